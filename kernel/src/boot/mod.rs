//! From the first instruction to `main`, and what the loader and the user ask for.

pub(crate) mod command_line;
pub(crate) mod cpus;
pub(crate) mod entry;
pub(crate) mod features;
pub(crate) mod info;
pub(crate) mod memory;
pub(crate) mod programs;
pub(crate) mod self_test;

use smp::cpu::CpuId;
use smp::percpu::PerCpuBlock;

/// What GS points to on the boot CPU.
pub(crate) static BOOT_BLOCK: PerCpuBlock = PerCpuBlock::new(CpuId::BOOT, 0);
