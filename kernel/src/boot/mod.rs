//! From the first instruction to `main`, and what the loader and the user ask for.

pub mod command_line;
pub mod entry;
pub mod info;
pub mod cpus;
pub mod features;
pub mod memory;
pub mod programs;

use smp::cpu::CpuId;
use smp::percpu::PerCpuBlock;

/// What GS points to on the boot CPU.
pub static BOOT_BLOCK: PerCpuBlock = PerCpuBlock::new(CpuId::BOOT, 0);
