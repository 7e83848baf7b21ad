//! What `printf` does to its arguments: a format and a C argument list become bytes.
//!
//! Flags, width and precision (`*` too), the lengths `hh h l ll j z t`, and the conversions `d i u o x X c s p f F e E
//! g G %` are as C has them. A conversion that is none of these is written as it stands. `%s` of a null pointer is
//! `(null)`. `%C` takes a colour, an `int`, and is no text itself.

#![cfg_attr(not(test), no_std)]

mod convert;
mod digits;
mod floating;
mod specification;
#[cfg(test)]
mod tests;
mod va_list;

pub use va_list::VaList;

use convert::Converter;
use specification::{Item, items};

/// Where formatted bytes go.
pub trait Output {
    /// Takes the next bytes.
    fn put(&mut self, bytes: &[u8]);

    /// Takes the colour that `%C` is given, for the bytes that follow.
    fn set_colour(&mut self, _colour: i32) {}
}

/// Formats `arguments` as `format`, which is without its NUL, says. Returns how many bytes that are.
///
/// # Safety
/// 1. `arguments` are what the conversions say, in their order, as C passes them.
/// 2. What `%s` is given ends with a NUL, or is as long as its precision says.
pub unsafe fn format(output: &mut dyn Output, format: &[u8], arguments: &mut VaList) -> usize {
    let mut converter = Converter::new(output);
    for item in items(format) {
        match item {
            Item::Text(text) => converter.put(text),
            // SAFETY: by the caller's word.
            Item::Conversion(specification) => unsafe {
                converter.convert(&specification, arguments)
            },
        }
    }
    converter.len()
}
