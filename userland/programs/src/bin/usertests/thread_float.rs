//! Floating-point and vector registers belong to their thread.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::{Sysno, ThreadRegisters};
use ulib::process;

use crate::float::{changed_by_system_call, control_words, seed_of, set_control_words};
use crate::runner::tests;
use crate::thread_tools::{Arrivals, new_stack, result, spawn, spawn_pinned, yield_until};

tests![
    eight_threads_on_one_cpu_have_their_own_floating_point_state,
    floating_point_state_goes_with_its_thread_to_other_cpus,
    the_older_unit_has_its_numbers_for_each_thread,
    a_thread_starts_with_a_clean_floating_point_state,
];

/// Control words that differ between numbers in their ways to round.
fn control_words_of(number: usize) -> (u32, u16) {
    let rounding = number % 4;
    (
        0x1f80 | (rounding as u32) << 13,
        0x37f | (rounding as u16) << 10,
    )
}

/// Lets others run for `rounds`, by `pause`, and looks each time whether this thread's state is still there.
fn keep_float_state(number: usize, rounds: usize, pause: Sysno, argument: u64) {
    let (mxcsr, control) = control_words_of(number);
    set_control_words(mxcsr, control);
    for round in 0..rounds {
        let seed = seed_of((number * 1000 + round) as u64);
        let changed = changed_by_system_call(seed, pause, argument);
        assert_eq!(changed, 0, "registers of thread {number} have changed");
        assert_eq!(control_words(), (mxcsr, control), "thread {number}");
    }
}

fn eight_threads_on_one_cpu_have_their_own_floating_point_state() {
    static READY: Arrivals = Arrivals::new();
    process::pin(process::cpu_count() - 1);
    let threads = core::array::from_fn::<_, 8, _>(|number| {
        spawn(move || {
            READY.arrive();
            READY.await_count(8);
            keep_float_state(number, 100, Sysno::Yield, 0);
        })
    });
    threads.into_iter().for_each(result);
    assert_eq!(control_words(), control_words_of(0), "the first thread's");
}

fn floating_point_state_goes_with_its_thread_to_other_cpus() {
    let cpus = process::cpu_count();
    let threads = spawn_pinned(4, move |number| {
        for round in 0..2 * cpus {
            process::pin((number + round) % cpus);
            keep_float_state(number + round, 3, Sysno::SleepMs, 1);
        }
    });
    threads.into_iter().for_each(result);
}

/// The product of two numbers, of which one stays in the older unit while others run.
fn product_across_a_yield(factors: [u32; 2]) -> u32 {
    let mut product = 0;
    // SAFETY: the registers are declared; the asm reads two numbers and stores one.
    unsafe {
        asm!(
            "fild dword ptr [{factors}]",
            "syscall",
            "fild dword ptr [{factors} + 4]",
            "fmulp",
            "fistp dword ptr [{product}]",
            factors = in(reg) &raw const factors,
            product = in(reg) &raw mut product,
            inout("rax") Sysno::Yield as usize => _,
            out("rcx") _, out("r11") _,
            out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
            out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
            options(nostack),
        );
    }
    product
}

fn the_older_unit_has_its_numbers_for_each_thread() {
    process::pin(0);
    let threads = core::array::from_fn::<_, 4, _>(|number| {
        spawn(move || {
            for round in 0..100 {
                let factors = [number as u32 + 2, round];
                assert_eq!(product_across_a_yield(factors), factors[0] * factors[1]);
            }
        })
    });
    threads.into_iter().for_each(result);
}

/// Where [`save_state`] stores what `fxsave64` gives, with something in each word before.
#[repr(C, align(16))]
struct SavedState {
    words: [AtomicU64; 64],
    is_done: AtomicU64,
}

static SAVED_STATE: SavedState = SavedState {
    words: [const { AtomicU64::new(u64::MAX) }; 64],
    is_done: AtomicU64::new(0),
};

/// Stores the state of the unit at its argument, says so behind it, and ends the thread.
#[unsafe(naked)]
extern "C" fn save_state() -> ! {
    core::arch::naked_asm!(
        "fxsave64 [rdi]",
        "mov qword ptr [rdi + {is_done}], 1",
        "mov eax, {exit_thread}",
        "syscall",
        "ud2",
        is_done = const core::mem::offset_of!(SavedState, is_done),
        exit_thread = const Sysno::ExitThread as usize,
    )
}

/// Its creator has something in all vector registers when it calls the kernel, and rounds in another way. Source for
/// what lies where: Intel SDM volume 1, 10.5.1.
fn a_thread_starts_with_a_clean_floating_point_state() {
    let (mxcsr, control) = control_words_of(3);
    set_control_words(mxcsr, control);
    let registers = ThreadRegisters {
        rip: save_state as *const () as u64,
        rdi: (&raw const SAVED_STATE).expose_provenance() as u64,
        rsp: new_stack() as u64,
        ..ThreadRegisters::default()
    };
    let address = (&raw const registers).expose_provenance() as u64;
    changed_by_system_call(seed_of(9), Sysno::CreateThreadRegisters, address);
    // Acquire: what the thread has stored before, comes before.
    yield_until(|| SAVED_STATE.is_done.load(Ordering::Acquire) == 1);

    // Relaxed: see above.
    let word = |index: usize| SAVED_STATE.words[index].load(Ordering::Relaxed);
    assert_eq!(word(0) & 0xff_ffff_ffff, 0x37f, "the older unit");
    assert_eq!(word(3) & 0xffff_ffff, 0x1f80, "MXCSR");
    // Of the older unit's registers the second words have 16 bits.
    let older = (4..20).map(|index| word(index) & [u64::MAX, 0xffff][index % 2]);
    assert!(older.eq([0; 16]), "the older unit's registers");
    assert!((20..52).map(word).eq([0; 32]), "the vector registers");
}
