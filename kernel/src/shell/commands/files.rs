//! Commands about files.

use alloc::sync::Arc;
use core::ops::ControlFlow;

use abi::Errno;
use proc::process::Process;

use super::GO_ON;
use crate::device::console;
use crate::device::console::say;

pub(super) fn ls(_: &Arc<Process>, path: &str) -> ControlFlow<i32> {
    let path = if path.is_empty() { "/" } else { path };
    if let Err(error) = list(path) {
        say!("ls: {path}: {error}");
    }
    GO_ON
}

fn list(path: &str) -> Result<(), Errno> {
    proc::file::for_each_entry(path.as_bytes(), |name, is_directory, len_bytes| {
        let name = core::str::from_utf8(name).unwrap_or("?");
        say!(
            "{len_bytes:>10} {name}{}",
            if is_directory { "/" } else { "" }
        );
    })
}

pub(super) fn cat(_: &Arc<Process>, path: &str) -> ControlFlow<i32> {
    if let Err(error) = show(path) {
        say!("cat: {path}: {error}");
    }
    GO_ON
}

fn show(path: &str) -> Result<(), Errno> {
    let file = proc::file::find_regular(path.as_bytes())?;
    let mut buffer = [0; 512];
    let mut offset = 0;
    loop {
        let len = file.read_at(offset, &mut buffer);
        if len == 0 {
            return Ok(());
        }
        console::write(&buffer[..len]);
        offset += len as u64;
    }
}
