//! The first programs.
