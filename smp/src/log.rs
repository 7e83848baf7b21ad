//! The kernel log, as far as the libraries see it: lines go to the sink that the kernel has installed.

use core::fmt;
use core::sync::atomic::{AtomicPtr, Ordering};

/// Takes one line, without its end. It may be called from any context in which a lock of rank `Log` may be taken.
pub type Sink = fn(fmt::Arguments<'_>);

static SINK: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Installs the sink. Lines from before are lost.
pub fn set_sink(sink: Sink) {
    // Release pairs with the Acquire in `write_line`: what the sink needs is there before the sink is.
    SINK.store(sink as *mut (), Ordering::Release);
}

/// Writes one line. [`log!`](crate::log!) is the way to call it.
pub fn write_line(line: fmt::Arguments<'_>) {
    // Acquire pairs with the Release in `set_sink`.
    let sink = SINK.load(Ordering::Acquire);
    if sink.is_null() {
        return;
    }
    // SAFETY: the only value other than null comes from a `Sink` in `set_sink`; function and data pointers are the same
    // size here.
    let sink = unsafe { core::mem::transmute::<*mut (), Sink>(sink) };
    sink(line);
}

/// Writes a line to the kernel log: `log!("{} CPUs", count)`.
#[macro_export]
macro_rules! log {
    ($($argument:tt)*) => {
        $crate::log::write_line(::core::format_args!($($argument)*))
    };
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};
    use std::sync::Mutex;

    static SEEN: Mutex<String> = Mutex::new(String::new());

    #[test]
    fn a_line_goes_to_the_sink_once_there_is_one() {
        crate::log!("lost");
        super::set_sink(|line| SEEN.lock().unwrap().push_str(&line.to_string()));
        crate::log!("{} CPUs", 4);
        assert_eq!(*SEEN.lock().unwrap(), "4 CPUs");
    }
}
