//! The screen and the kernel log, as far as programs write there themselves.

/// How many lines the screen has.
pub const SCREEN_ROWS: usize = 25;

/// How many characters a line of the screen has.
pub const SCREEN_COLUMNS: usize = 80;

/// The longest message for the kernel log, in bytes without its NUL.
pub const LOG_MAX: usize = 255;
