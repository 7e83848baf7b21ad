//! Memory that a program touches and must not: each ends the process, and only it, by `SIGSEGV`.

use core::arch::asm;

use abi::layout::{PAGE_SIZE, PROGRAM_BASE, STACK_BOTTOM};
use ulib::{ExitStatus, Signal, process};

use crate::check::{
    KERNEL_TEXT, LAST_PAGE, LONELY_PAGE_END, NOT_CANONICAL, UNMAPPED, lonely_page, ok, status_of,
};
use crate::runner::tests;

tests![
    read_of_null dies_by SIGSEGV,
    write_to_null dies_by SIGSEGV,
    jump_to_null dies_by SIGSEGV,
    read_of_unmapped_memory dies_by SIGSEGV,
    write_to_unmapped_memory dies_by SIGSEGV,
    jump_to_unmapped_memory dies_by SIGSEGV,
    read_of_the_kernels_text dies_by SIGSEGV,
    write_to_the_kernels_text dies_by SIGSEGV,
    jump_into_the_kernel dies_by SIGSEGV,
    read_of_low_kernel_memory dies_by SIGSEGV,
    read_of_high_kernel_memory dies_by SIGSEGV,
    read_of_a_noncanonical_address dies_by SIGSEGV,
    jump_to_a_noncanonical_address dies_by SIGSEGV,
    stack_access_at_a_noncanonical_address dies_by SIGSEGV,
    read_of_the_last_page dies_by SIGSEGV,
    write_to_program_text dies_by SIGSEGV,
    write_to_constants dies_by SIGSEGV,
    execution_of_static_data dies_by SIGSEGV,
    execution_of_the_stack dies_by SIGSEGV,
    execution_of_allocated_memory dies_by SIGSEGV,
    read_behind_an_allocated_page dies_by SIGSEGV,
    read_across_the_end_of_an_allocated_page dies_by SIGSEGV,
    read_below_the_stack dies_by SIGSEGV,
    endless_recursion dies_by SIGSEGV,
    a_fault_ends_one_process_only,
    a_child_that_faults_leaves_its_parents_memory_alone,
];

fn read(address: usize) {
    // SAFETY: this ends the process, which is the test.
    unsafe { asm!("mov {0}, [{0}]", inout(reg) address => _, options(nostack)) };
}

fn write(address: usize) {
    // SAFETY: as for `read`.
    unsafe { asm!("mov byte ptr [{0}], 1", in(reg) address, options(nostack)) };
}

fn jump(address: usize) {
    // SAFETY: as for `read`.
    unsafe { asm!("jmp {0}", in(reg) address, options(noreturn)) };
}

/// `ret`: what a program that could execute its data would do there.
const RETURN_INSTRUCTION: u8 = 0xc3;

fn call(address: usize) {
    // SAFETY: as for `read`; if the call returns, the test fails.
    unsafe { asm!("call {0}", in(reg) address, clobber_abi("C")) };
}

fn read_of_null() {
    read(0);
}

fn write_to_null() {
    write(0);
}

fn jump_to_null() {
    jump(0);
}

fn read_of_unmapped_memory() {
    read(UNMAPPED);
}

fn write_to_unmapped_memory() {
    write(UNMAPPED);
}

fn jump_to_unmapped_memory() {
    jump(UNMAPPED);
}

fn read_of_the_kernels_text() {
    read(KERNEL_TEXT);
}

fn write_to_the_kernels_text() {
    write(KERNEL_TEXT);
}

fn jump_into_the_kernel() {
    jump(KERNEL_TEXT);
}

fn read_of_low_kernel_memory() {
    read(0x1000);
}

fn read_of_high_kernel_memory() {
    read(0x7fff_ffff_f000);
}

fn read_of_a_noncanonical_address() {
    read(NOT_CANONICAL);
}

fn jump_to_a_noncanonical_address() {
    jump(NOT_CANONICAL);
}

fn stack_access_at_a_noncanonical_address() {
    // SAFETY: as for `read`.
    unsafe { asm!("mov rsp, {0}", "push rax", in(reg) NOT_CANONICAL, options(noreturn)) };
}

fn read_of_the_last_page() {
    read(LAST_PAGE);
}

fn write_to_program_text() {
    write(PROGRAM_BASE);
}

fn write_to_constants() {
    static CONSTANT: u64 = 0x0123_4567_89ab_cdef;
    write((&raw const CONSTANT).addr());
}

fn execution_of_static_data() {
    static mut CODE: u8 = RETURN_INSTRUCTION;
    call((&raw const CODE).addr());
}

fn execution_of_the_stack() {
    let mut code = RETURN_INSTRUCTION;
    call((&raw mut code).addr());
}

fn execution_of_allocated_memory() {
    let mut page = lonely_page();
    page.words()
        .fill(u64::from_ne_bytes([RETURN_INSTRUCTION; 8]));
    call(page.words().as_ptr().addr());
}

fn read_behind_an_allocated_page() {
    let _page = lonely_page();
    read(LONELY_PAGE_END);
}

fn read_across_the_end_of_an_allocated_page() {
    let _page = lonely_page();
    read(LONELY_PAGE_END - 4);
}

fn read_below_the_stack() {
    read(STACK_BOTTOM - PAGE_SIZE);
}

fn endless_recursion() {
    #[expect(unconditional_recursion, reason = "the stack shall overflow")]
    fn recurse(depth: &[u64; 32]) -> u64 {
        let mine = core::hint::black_box([depth[0] + 1; 32]);
        recurse(&mine) + mine[0]
    }
    core::hint::black_box(recurse(&[0; 32]));
}

fn a_fault_ends_one_process_only() {
    for _ in 0..20 {
        let status = status_of(|| {
            read(UNMAPPED);
            0
        });
        assert_eq!(status, ExitStatus::killed(Signal::SIGSEGV));
    }
    assert_eq!(
        ok(process::start(|| 5).and_then(process::wait)),
        ExitStatus::exited(5)
    );
}

fn a_child_that_faults_leaves_its_parents_memory_alone() {
    let mut page = lonely_page();
    page.words().fill(1);
    let status = status_of(|| {
        page.words().fill(2);
        write(LONELY_PAGE_END);
        0
    });
    assert_eq!(status, ExitStatus::killed(Signal::SIGSEGV));
    assert!(page.words().iter().all(|&word| word == 1));
}
