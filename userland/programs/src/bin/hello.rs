//! Prints a greeting.
#![no_std]
#![no_main]
