use std::ffi::{CStr, CString, c_char, c_int};

use proptest::prelude::{any, prop_assert_eq, proptest};

use super::{Output, VaList, format};

unsafe extern "C" {
    fn snprintf(buffer: *mut c_char, len: usize, format: *const c_char, ...) -> c_int;
}

impl Output for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

fn formatted(text: &str, words: &[u64]) -> String {
    let mut output = Vec::new();
    // SAFETY: the tests give what their formats say, and strings with a NUL.
    let len = unsafe { format(&mut output, text.as_bytes(), &mut VaList::of_words(words)) };
    assert_eq!(len, output.len());
    String::from_utf8(output).unwrap()
}

/// What the host's own library makes of it.
macro_rules! expected {
    ($text:expr, $($argument:expr),*) => {{
        let mut buffer = [0_u8; 4096];
        let text = CString::new($text).unwrap();
        // SAFETY: the buffer is as long as said; the arguments are what the format says.
        unsafe { snprintf(buffer.as_mut_ptr().cast(), buffer.len(), text.as_ptr(), $($argument),*) };
        CStr::from_bytes_until_nul(&buffer).unwrap().to_str().unwrap().to_owned()
    }};
}

#[test]
fn everyday_formats_read_as_in_c() {
    let name = c"init";
    let words = [1, name.as_ptr().addr() as u64, 0x1000, 97];
    assert_eq!(
        formatted("%d: %-6s|%p %c 100%%\n", &words),
        "1: init  |0x1000 a 100%\n"
    );
    assert_eq!(formatted("%s", &[0]), "(null)");
    assert_eq!(formatted("%p", &[0]), "0x0");
    assert_eq!(
        formatted("%5d|%-5d|%05d", &[42, 42, 42]),
        "   42|42   |00042"
    );
    assert_eq!(
        formatted("%lx %zu %ld", &[u64::MAX, 7, u64::MAX]),
        "ffffffffffffffff 7 -1"
    );
}

#[test]
fn upper_halves_of_int_arguments_have_no_meaning() {
    assert_eq!(
        formatted(
            "%d %u %x",
            &[0xdead_0000_0007, 0xdead_0000_0008, 0xdead_0000_0009]
        ),
        "7 8 9"
    );
}

#[test]
fn what_is_no_conversion_is_written_as_it_stands() {
    assert_eq!(formatted("%y %", &[]), "%y %");
    assert_eq!(formatted("%-5ly", &[]), "%-5ly");
}

#[test]
fn numbers_with_a_fraction_read_as_in_c() {
    let words = [12_345.678, 0.000_012_5, 100_000.0, 1e6, 1.0].map(f64::to_bits);
    assert_eq!(
        formatted("%e %g %g %g %#g", &words),
        "1.234568e+04 1.25e-05 100000 1e+06 1.00000"
    );
    // Rounding makes one digit more.
    let words = [9.995, 999_999.5, 0.000_099_999_99].map(f64::to_bits);
    assert_eq!(formatted("%.2e %g %.3g", &words), "9.99e+00 1e+06 0.0001");
}

#[test]
fn a_colour_goes_to_the_output_in_its_turn() {
    #[derive(Default)]
    struct Coloured(String);
    impl Output for Coloured {
        fn put(&mut self, bytes: &[u8]) {
            self.0.push_str(core::str::from_utf8(bytes).unwrap());
        }

        fn set_colour(&mut self, colour: i32) {
            self.0.push_str(&format!("<{colour:#x}>"));
        }
    }
    let mut output = Coloured::default();
    // SAFETY: two arguments, as the format says.
    let len = unsafe { format(&mut output, b"a%Cb%d", &mut VaList::of_words(&[0xe00, 7])) };
    assert_eq!((output.0.as_str(), len), ("a<0xe00>b7", 3));
}

#[test]
fn a_string_need_not_end_within_its_precision() {
    let bytes = *b"abc";
    assert_eq!(
        formatted(
            "%.3s|%.*s",
            &[bytes.as_ptr() as u64, 2, bytes.as_ptr() as u64]
        ),
        "abc|ab"
    );
}

proptest! {
    #[test]
    fn integers_are_as_the_hosts_library_has_them(
        flags in "[-+ 0#]{0,3}",
        width in "([0-9]|1[0-9])?",
        precision in "(\\.|\\.[0-9]|\\.1[0-9]|)",
        value in any::<u64>(),
        shift in 0_u32..64,
    ) {
        let value = value >> shift;
        for length in ["hh", "h", "", "l", "ll", "z", "j"] {
            for conversion in ["d", "i", "u", "o", "x", "X"] {
                let text = format!("<%{flags}{width}{precision}{length}{conversion}>");
                prop_assert_eq!(formatted(&text, &[value]), expected!(text.as_str(), value), "{}", text);
            }
        }
    }

    #[test]
    fn widths_and_precisions_may_be_arguments(width in -30_i32..30, precision in -3_i32..20, value: i32) {
        let words = [width as u64, precision as u64, value as u64];
        prop_assert_eq!(formatted("<%*.*d>", &words), expected!("<%*.*d>", width, precision, value));
    }

    #[test]
    fn texts_are_as_the_hosts_library_has_them(
        flags in "-?",
        width in "[0-9]?",
        precision in "(\\.[0-9])?",
        value in "[a-z]{0,12}",
    ) {
        let value = CString::new(value).unwrap();
        let text = format!("<%{flags}{width}{precision}s%{flags}{width}c>");
        let words = [value.as_ptr().addr() as u64, u64::from(b'x')];
        prop_assert_eq!(formatted(&text, &words), expected!(text.as_str(), value.as_ptr(), c_int::from(b'x')));
    }

    #[test]
    fn doubles_are_as_the_hosts_library_has_them(
        flags in "[-+ 0#]{0,3}",
        width in "([0-9]|1[0-9])?",
        precision in "(\\.|\\.[0-9]|)",
        value: f64,
    ) {
        for conversion in ["f", "F", "e", "E", "g", "G"] {
            let text = format!("<%{flags}{width}{precision}{conversion}>");
            let near_one = [value % 1000.0, value.trunc() % 8.0 + 0.5, value % 1.0 / 1000.0, 0.0];
            let strange = [value, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE / 8.0];
            for value in near_one.into_iter().chain(strange) {
                let bits = value.to_bits();
                prop_assert_eq!(formatted(&text, &[bits]), expected!(text.as_str(), value), "{} {}", text, value);
            }
        }
    }
}
