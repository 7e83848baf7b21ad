//! CPUs: topology, bring-up, per-CPU data, locks, APIC and inter-processor interrupts.
//!
//! `smp` knows nothing of pages or processes: what it needs of memory is handed to it.
#![cfg_attr(not(test), no_std)]
