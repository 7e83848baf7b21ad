//! Floating-point and vector registers belong to their process.

use core::arch::asm;
use core::arch::x86_64::__cpuid;

use abi::layout::PAGE_SIZE;
use ulib::mapping::{MapRequest, Mapping};
use ulib::{Pid, process};

use crate::check::{join, ok, start, start_spinner};
use crate::runner::tests;

tests![
    vector_registers_survive_yielding_to_others_that_use_them,
    vector_registers_survive_being_preempted,
    vector_registers_survive_sleeping_and_moving,
    vector_registers_survive_page_faults,
    wide_vector_registers_survive,
    floating_point_control_survives_and_is_inherited,
    vector_registers_are_copied_by_fork,
    floating_point_results_are_right_while_everybody_computes,
];

/// Loads a value made of `seed` into the 16 vector registers, runs `$pause` (instructions that leave them alone), and
/// counts the registers that have changed.
macro_rules! changed_after {
    ($seed:expr, $($pause:literal),+ ; $($operands:tt)*) => {{
        let (seed, changed): (u64, u64) = ($seed, 0);
        let mut changed = changed;
        let mut saved = [[0_u64; 2]; 16];
        // SAFETY: the registers are declared as changed; the asm stores 16 times 16 bytes into `saved`.
        unsafe {
            asm!(
                "movq xmm0, {seed}", "punpcklqdq xmm0, xmm0",
                "movdqa xmm1, xmm0", "paddq xmm1, xmm0",
                "movdqa xmm2, xmm1", "paddq xmm2, xmm0",
                "movdqa xmm3, xmm2", "paddq xmm3, xmm0",
                "movdqa xmm4, xmm3", "paddq xmm4, xmm0",
                "movdqa xmm5, xmm4", "paddq xmm5, xmm0",
                "movdqa xmm6, xmm5", "paddq xmm6, xmm0",
                "movdqa xmm7, xmm6", "paddq xmm7, xmm0",
                "movdqa xmm8, xmm7", "paddq xmm8, xmm0",
                "movdqa xmm9, xmm8", "paddq xmm9, xmm0",
                "movdqa xmm10, xmm9", "paddq xmm10, xmm0",
                "movdqa xmm11, xmm10", "paddq xmm11, xmm0",
                "movdqa xmm12, xmm11", "paddq xmm12, xmm0",
                "movdqa xmm13, xmm12", "paddq xmm13, xmm0",
                "movdqa xmm14, xmm13", "paddq xmm14, xmm0",
                "movdqa xmm15, xmm14", "paddq xmm15, xmm0",
                $($pause,)+
                "movups [{saved}], xmm0", "movups [{saved} + 16], xmm1",
                "movups [{saved} + 32], xmm2", "movups [{saved} + 48], xmm3",
                "movups [{saved} + 64], xmm4", "movups [{saved} + 80], xmm5",
                "movups [{saved} + 96], xmm6", "movups [{saved} + 112], xmm7",
                "movups [{saved} + 128], xmm8", "movups [{saved} + 144], xmm9",
                "movups [{saved} + 160], xmm10", "movups [{saved} + 176], xmm11",
                "movups [{saved} + 192], xmm12", "movups [{saved} + 208], xmm13",
                "movups [{saved} + 224], xmm14", "movups [{saved} + 240], xmm15",
                seed = in(reg) seed,
                saved = in(reg) &raw mut saved,
                $($operands)*
                out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
                options(nostack),
            );
        }
        for (words, factor) in saved.iter().zip(1..) {
            changed += u64::from(*words != [seed.wrapping_mul(factor); 2]);
        }
        changed
    }};
}

/// Counts the vector registers that a system call without arguments or with one changes.
pub(crate) fn changed_by_system_call(seed: u64, call: abi::Sysno, argument: u64) -> u64 {
    changed_after!(seed, "syscall";
        inlateout("rax") call.number() => _, in("rdi") argument, out("rcx") _, out("r11") _,)
}

/// Counts the vector registers that change while the process runs without a system call.
fn changed_by_running(seed: u64, turns: u64) -> u64 {
    changed_after!(seed, "2:", "dec {turns}", "jnz 2b"; turns = inout(reg) turns => _,)
}

pub(crate) fn seed_of(number: u64) -> u64 {
    0x0123_4567_89ab_cdef ^ (number << 32) ^ number
}

fn vector_registers_survive_yielding_to_others_that_use_them() {
    process::pin(0);
    let children = core::array::from_fn::<Pid, 4, _>(|number| {
        start(|| {
            for round in 0..100 {
                let seed = seed_of(number as u64 * 1000 + round);
                assert_eq!(
                    changed_by_system_call(seed, abi::Sysno::Yield, 0),
                    0,
                    "registers have changed"
                );
            }
        })
    });
    children.into_iter().for_each(join);
}

fn vector_registers_survive_being_preempted() {
    process::pin(0);
    let children = core::array::from_fn::<Pid, 3, _>(|number| {
        start(|| {
            let deadline_ns = process::clock_ns() + 150_000_000;
            while process::clock_ns() < deadline_ns {
                let seed = seed_of(number as u64);
                assert_eq!(
                    changed_by_running(seed, 1_000_000),
                    0,
                    "registers have changed"
                );
            }
        })
    });
    children.into_iter().for_each(join);
}

fn vector_registers_survive_sleeping_and_moving() {
    let cpus = process::cpu_count();
    let spinner = start_spinner();
    for round in 0..4 * cpus {
        process::pin(round % cpus);
        assert_eq!(
            changed_by_system_call(seed_of(round as u64), abi::Sysno::SleepMs, 1),
            0
        );
    }
    crate::check::kill(spinner);
}

pub(crate) fn has_avx() -> bool {
    const OSXSAVE_AND_AVX: u32 = 1 << 27 | 1 << 28;
    __cpuid(1).ecx & OSXSAVE_AND_AVX == OSXSAVE_AND_AVX
}

/// The upper halves of ymm0 and ymm15, made of `seed`, after `$pause`, instructions that leave them alone.
macro_rules! upper_halves_after {
    ($seed:expr, $pause:literal; $($operands:tt)*) => {{
        let mut upper = [0_u64; 2];
        // SAFETY: the registers are declared as changed; `has_avx` has said that the instructions exist; the asm stores
        // twice 8 bytes into `upper`.
        unsafe {
            asm!(
                "vmovq xmm0, {seed}",
                "vinsertf128 ymm0, ymm0, xmm0, 1",
                "vmovaps ymm15, ymm0",
                $pause,
                "vextractf128 xmm0, ymm0, 1",
                "vextractf128 xmm15, ymm15, 1",
                "vmovq [{upper}], xmm0",
                "vmovq [{upper} + 8], xmm15",
                "vzeroupper",
                seed = in(reg) $seed,
                upper = in(reg) &raw mut upper,
                $($operands)*
                out("xmm0") _, out("xmm15") _,
                options(nostack),
            );
        }
        upper
    }};
}

/// A yield, to processes that use neither.
fn upper_halves_after_yield(seed: u64) -> [u64; 2] {
    upper_halves_after!(
        seed, "syscall";
        inlateout("rax") abi::Sysno::Yield.number() => _,
        out("rcx") _, out("r11") _, // not late: `upper` is needed after the call
    )
}

/// The kernel zeroes pages by a vector register.
fn vector_registers_survive_page_faults() {
    let memory = ok(Mapping::new(&MapRequest::anonymous(32 * PAGE_SIZE)));
    for page in 0..32 {
        let seed = seed_of(page as u64);
        let page = memory.address() + page * PAGE_SIZE;
        if (page / PAGE_SIZE).is_multiple_of(2) || !has_avx() {
            let changed = changed_after!(seed, "mov byte ptr [{page}], 1"; page = in(reg) page,);
            assert_eq!(changed, 0, "registers have changed");
        } else {
            let upper = upper_halves_after!(seed, "mov byte ptr [{page}], 1"; page = in(reg) page,);
            assert_eq!(upper, [seed; 2]);
        }
    }
}

fn wide_vector_registers_survive() {
    if !has_avx() {
        return;
    }
    process::pin(0);
    let children = core::array::from_fn::<Pid, 3, _>(|number| {
        start(|| {
            for round in 0..100 {
                let seed = seed_of(number as u64 * 1000 + round);
                assert_eq!(upper_halves_after_yield(seed), [seed; 2]);
            }
        })
    });
    children.into_iter().for_each(join);
}

pub(crate) fn control_words() -> (u32, u16) {
    let (mut mxcsr, mut control) = (0_u32, 0_u16);
    // SAFETY: the instructions store into the two variables, which are as large as what is stored.
    unsafe {
        asm!("stmxcsr [{0}]", "fnstcw [{1}]", in(reg) &raw mut mxcsr, in(reg) &raw mut control, options(nostack));
    }
    (mxcsr & !0x3f, control)
}

pub(crate) fn set_control_words(mxcsr: u32, control: u16) {
    // SAFETY: the values only change the rounding, which nothing else in this test relies on.
    unsafe {
        asm!("ldmxcsr [{0}]", "fldcw [{1}]", in(reg) &raw const mxcsr, in(reg) &raw const control, options(nostack));
    }
}

fn floating_point_control_survives_and_is_inherited() {
    assert_eq!(control_words(), (0x1f80, 0x37f));
    process::pin(0);
    let other = start_spinner();
    set_control_words(0x7f80, 0xc7f); // both round towards zero
    process::yield_now();
    assert_eq!(control_words(), (0x7f80, 0xc7f));
    let child = start(|| {
        assert_eq!(control_words(), (0x7f80, 0xc7f));
        set_control_words(0x1f80, 0x37f);
    });
    join(child);
    assert_eq!(control_words(), (0x7f80, 0xc7f));
    set_control_words(0x1f80, 0x37f);
    crate::check::kill(other);
}

fn vector_registers_are_copied_by_fork() {
    let parent = process::getpid();
    let changed = changed_by_system_call(seed_of(1), abi::Sysno::Fork, 0);
    if process::getpid() != parent {
        process::exit(changed as i32);
    }
    assert_eq!(changed, 0, "the parent's");
    let status = process::wait_any().map(|(_, status)| status);
    assert_eq!(status, Ok(ulib::ExitStatus::exited(0)), "the child's");
}

fn floating_point_results_are_right_while_everybody_computes() {
    let harmonic = |terms: u32| (1..=terms).fold(0.0_f64, |sum, term| sum + 1.0 / f64::from(term));
    let expected = harmonic(20_000).to_bits();
    let children: alloc::vec::Vec<Pid> = (0..2 * process::cpu_count())
        .map(|_| {
            start(|| {
                for _ in 0..10 {
                    assert_eq!(harmonic(core::hint::black_box(20_000)).to_bits(), expected);
                }
            })
        })
        .collect();
    children.into_iter().for_each(join);
}
