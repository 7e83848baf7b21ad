//! The FPU registers: x87, SSE and, where the processor has them, AVX. They belong to user programs; the kernel's own
//! code uses none, so they are saved and loaded only when a CPU changes from one user thread to another.

use alloc::alloc::{Layout, alloc, dealloc};
use core::arch::asm;
use core::ptr::NonNull;

use crate::OutOfMemory;

#[cfg(target_os = "none")]
pub use self::machine::{has_avx, init_cpu};

/// XSAVE wants its area on such a boundary.
const AREA_ALIGN: usize = 64;
/// The legacy area, for x87 and SSE: all that FXSAVE knows.
const LEGACY_SIZE: usize = 512;
/// Behind it XSAVE keeps a header, which is zero for the initial state.
const HEADER_SIZE: usize = 64;

/// Places in the legacy area, and their initial values: all exceptions masked.
const CONTROL_WORD_AT: usize = 0;
const INITIAL_CONTROL_WORD: u16 = 0x037f;
const MXCSR_AT: usize = 24;
const INITIAL_MXCSR: u32 = 0x1f80;

/// Components in XCR0.
const X87: u32 = 1 << 0;
const SSE: u32 = 1 << 1;
const AVX: u32 = 1 << 2;

/// The FPU registers of a thread that does not run.
#[derive(Debug)]
pub struct FpuState {
    area: NonNull<u8>,
}

// SAFETY: the area is plain memory that the state owns.
unsafe impl Send for FpuState {}
// SAFETY: a shared reference gives no way to the area but the unsafe functions below.
unsafe impl Sync for FpuState {}

impl FpuState {
    /// The state that a program starts with.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn new() -> Result<FpuState, OutOfMemory> {
        let state = FpuState::allocate()?;
        let area = state.area.as_ptr();
        // SAFETY: the area is large enough for both, and ours. An all-zero header says that every component is in its
        // initial state; MXCSR (and with FXRSTOR the rest) is loaded from the legacy area all the same.
        unsafe {
            area.write_bytes(0, LEGACY_SIZE + HEADER_SIZE);
            area.add(CONTROL_WORD_AT)
                .cast::<u16>()
                .write(INITIAL_CONTROL_WORD);
            area.add(MXCSR_AT).cast::<u32>().write(INITIAL_MXCSR);
        }
        Ok(state)
    }

    /// Room to save a state in. What it holds before that means nothing, but does no harm.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn unsaved() -> Result<FpuState, OutOfMemory> {
        let state = FpuState::allocate()?;
        let area = state.area.as_ptr();
        // SAFETY: both lie within the area, which is ours. XSAVE keeps the parts of the header that it does not know,
        // and they must be 0; no value but that of MXCSR can be a wrong one.
        unsafe {
            area.add(LEGACY_SIZE).write_bytes(0, HEADER_SIZE);
            area.add(MXCSR_AT).cast::<u32>().write(INITIAL_MXCSR);
        }
        Ok(state)
    }

    /// A copy of what the registers hold: the state of the thread that calls this, if it has any.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn copy_of_current() -> Result<FpuState, OutOfMemory> {
        let mut state = FpuState::unsaved()?;
        state.save_current();
        Ok(state)
    }

    /// Makes this a copy of `other`.
    pub fn copy_from(&mut self, other: &FpuState) {
        // SAFETY: both are areas of this size, and this one is ours alone. What a state does not use of its area is
        // never read but here, as bytes.
        unsafe {
            other
                .area
                .as_ptr()
                .copy_to_nonoverlapping(self.area.as_ptr(), area_size())
        };
    }

    /// Makes this a copy of what the registers hold, as [`FpuState::copy_of_current`].
    pub fn save_current(&mut self) {
        // SAFETY: nobody else has this state.
        unsafe { self.save_registers() };
    }

    /// Lets the registers be as a function expects them that is called: nothing in those of x87, all exceptions masked,
    /// rounding to nearest. Save them first.
    pub fn prepare_for_call() {
        // SAFETY: they are a user program's, whatever they hold; the kernel's own code uses none. On the host these are
        // the values that all code expects.
        unsafe {
            asm!("fninit", "ldmxcsr [{}]", in(reg) &INITIAL_MXCSR, options(nostack, preserves_flags, readonly));
        }
    }

    fn allocate() -> Result<FpuState, OutOfMemory> {
        // SAFETY: the layout is not empty.
        let area = unsafe { alloc(area_layout()) };
        NonNull::new(area)
            .map(|area| FpuState { area })
            .ok_or(OutOfMemory)
    }

    /// Saves the registers here.
    ///
    /// # Safety
    /// Nobody else uses this state meanwhile.
    #[inline]
    pub(crate) unsafe fn save_registers(&self) {
        let area = self.area.as_ptr();
        // SAFETY: the area is aligned and large enough for the components, all of which are enabled.
        unsafe {
            match components() {
                0 => asm!("fxsave64 [{}]", in(reg) area, options(nostack, preserves_flags)),
                some => {
                    asm!("xsave64 [{}]", in(reg) area, in("eax") some, in("edx") 0, options(nostack, preserves_flags));
                }
            }
        }
    }

    /// Loads the registers from here.
    ///
    /// # Safety
    /// 1. The registers hold nothing that is still needed.
    /// 2. Nobody else uses this state meanwhile.
    #[inline]
    pub(crate) unsafe fn load_registers(&self) {
        let area = self.area.as_ptr();
        // SAFETY: the area is aligned, and holds what `new` or `save_registers` has written. The registers are not the
        // compiler's: in the kernel it uses none, and on the host only tests come here, with the registers declared
        // lost.
        unsafe {
            match components() {
                0 => asm!("fxrstor64 [{}]", in(reg) area, options(nostack, preserves_flags)),
                some => {
                    asm!("xrstor64 [{}]", in(reg) area, in("eax") some, in("edx") 0, options(nostack, preserves_flags));
                }
            }
        }
    }
}

impl Drop for FpuState {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, which does not change after boot.
        unsafe { dealloc(self.area.as_ptr(), area_layout()) };
    }
}

fn area_layout() -> Layout {
    // SAFETY: the alignment is a power of two, and the size, of which processors report kilobytes, far from overflow.
    unsafe { Layout::from_size_align_unchecked(area_size(), AREA_ALIGN) }
}

#[cfg(target_os = "none")]
use self::machine::{area_size, components};

#[cfg(target_os = "none")]
mod machine {
    use core::arch::asm;
    use core::arch::x86_64::{__cpuid, __cpuid_count};
    use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

    use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags};

    use super::{AVX, HEADER_SIZE, LEGACY_SIZE, SSE, X87};

    /// What XSAVE saves; 0 where there is no XSAVE. These two are set by the boot CPU, for all.
    static COMPONENTS: AtomicU32 = AtomicU32::new(0);
    static AREA_SIZE: AtomicUsize = AtomicUsize::new(LEGACY_SIZE + HEADER_SIZE);

    const FEATURE_XSAVE: u32 = 1 << 26;
    const STATE_LEAF: u32 = 0xd;

    #[inline(always)]
    pub(super) fn components() -> u32 {
        COMPONENTS.load(Relaxed)
    }

    #[inline(always)]
    pub(super) fn area_size() -> usize {
        AREA_SIZE.load(Relaxed)
    }

    /// Whether AVX is switched on, on each CPU that has done [`init_cpu`].
    #[inline(always)]
    pub fn has_avx() -> bool {
        components() & AVX != 0
    }

    /// Switches the FPU of this CPU on for user programs. The boot CPU calls it before any [`super::FpuState`] is made.
    ///
    /// Without XSAVE only x87 and SSE can be saved, so AVX stays off.
    pub fn init_cpu() {
        let has_xsave = __cpuid(1).ecx & FEATURE_XSAVE != 0;
        // SAFETY: every x86-64 CPU has x87 and SSE; these flags let them be used, and OSXSAVE is set only where it
        // exists.
        unsafe {
            Cr0::update(|flags| {
                flags.remove(Cr0Flags::EMULATE_COPROCESSOR | Cr0Flags::TASK_SWITCHED);
                flags.insert(Cr0Flags::MONITOR_COPROCESSOR | Cr0Flags::NUMERIC_ERROR);
            });
            Cr4::update(|flags| {
                flags.insert(Cr4Flags::OSFXSR | Cr4Flags::OSXMMEXCPT_ENABLE);
                flags.set(Cr4Flags::OSXSAVE, has_xsave);
            });
        }
        if has_xsave {
            enable_components();
        }
    }

    fn enable_components() {
        let wanted = __cpuid_count(STATE_LEAF, 0).eax & (X87 | SSE | AVX);
        // SAFETY: XCR0 exists, since OSXSAVE is set; x87 always is in `wanted`, and AVX only comes with SSE.
        unsafe {
            asm!("xsetbv", in("ecx") 0, in("eax") wanted, in("edx") 0, options(nomem, nostack, preserves_flags))
        };
        // The size for what is enabled now.
        AREA_SIZE.store(__cpuid_count(STATE_LEAF, 0).ebx as usize, Relaxed);
        COMPONENTS.store(wanted, Relaxed);
    }
}

/// On the host: what its kernel has enabled, without the large components.
#[cfg(not(target_os = "none"))]
fn components() -> u32 {
    const OS_HAS_XSAVE: u32 = 1 << 27;
    if core::arch::x86_64::__cpuid(1).ecx & OS_HAS_XSAVE == 0 {
        return 0;
    }
    let enabled: u32;
    // SAFETY: the system has switched XSAVE on, so the register can be read.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") enabled, out("edx") _, options(nomem, nostack, preserves_flags))
    };
    enabled & (X87 | SSE | AVX)
}

#[cfg(not(target_os = "none"))]
fn area_size() -> usize {
    const AVX_SIZE: usize = 256;
    LEGACY_SIZE + HEADER_SIZE + AVX_SIZE
}
