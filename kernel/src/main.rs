#![no_std]
#![no_main]
//! k
use core::panic::PanicInfo;
#[panic_handler] fn p(_:&PanicInfo)->!{loop{}}
