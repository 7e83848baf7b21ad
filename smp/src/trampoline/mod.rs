//! The way into long mode for CPUs that do not come from there: those that have just been started, and the boot CPU
//! when it changes to five levels of page tables.
//!
//! A CPU starts in real mode at a page below 1 MiB, to which a few position-independent instructions are copied; they
//! lead into protected mode and to code in the kernel's own text, which runs at its physical address, first without
//! paging. So the page need not be executable in the kernel's map. Control registers and EFER become what the boot
//! CPU's are.
//!
//! Sources: Intel SDM volume 3, 10.8.5 "Initializing IA-32e Mode", 10.9 "Mode Switching", 9.4.4 "MP Initialization
//! Example".

use core::arch::global_asm;
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};

use x86_64::registers::control::{Cr0, Cr4, Cr4Flags, Efer, EferFlags};

use crate::bring_up::{ANSWERED, ASKED, CANDIDATES, Candidate, Candidates, RELEASED, STARTED};
use crate::percpu;

/// Selectors of the trampoline's own segments.
const CODE_32: u16 = 0x08;
const DATA: u16 = 0x10;
const CODE_64: u16 = 0x18;

/// Where a CPU can start: at a multiple of this, below the limit.
const PAGE_SIZE: usize = 4096;
const ONE_MIB: u32 = 1 << 20;

/// What a starting CPU loads into its registers. Written by the boot CPU before it starts one.
#[repr(C)]
struct Registers {
    cr0: AtomicU32,
    cr3: AtomicU32,
    cr4: AtomicU32,
    efer: AtomicU32,
}

static REGISTERS: Registers = Registers {
    cr0: AtomicU32::new(0),
    cr3: AtomicU32::new(0),
    cr4: AtomicU32::new(0),
    efer: AtomicU32::new(0),
};

static PAGE_NUMBER: AtomicU8 = AtomicU8::new(0);
/// An `extern "C" fn(usize) -> !`.
static ENTRY: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" {
    static trampoline_start: u8;
    static trampoline_end: u8;
    fn trampoline_enter_five_levels(root: u32);
}

/// Puts the trampoline into the page at `page_address`, and says on which page table it leads into long mode. Returns
/// the page's number.
///
/// # Safety
/// As for [`crate::bring_up::wake`], 2 and 3.
pub(crate) unsafe fn install(page_address: u32, root: u32) -> u8 {
    assert!(
        page_address != 0
            && page_address < ONE_MIB
            && page_address.is_multiple_of(PAGE_SIZE as u32)
    );
    let source = &raw const trampoline_start;
    let size = (&raw const trampoline_end).addr() - source.addr();
    assert!(size <= PAGE_SIZE);
    // SAFETY: both symbols delimit the code below; the page is ours, mapped and writable.
    unsafe {
        ptr::copy_nonoverlapping(
            source,
            ptr::with_exposed_provenance_mut(page_address as usize),
            size,
        )
    };

    // Process-context identifiers can be switched on only in long mode, and control-flow enforcement is per CPU.
    let cr4 = Cr4::read() - Cr4Flags::PCID - Cr4Flags::CONTROL_FLOW_ENFORCEMENT;
    let efer = Efer::read()
        & (EferFlags::SYSTEM_CALL_EXTENSIONS
            | EferFlags::NO_EXECUTE_ENABLE
            | EferFlags::LONG_MODE_ENABLE);
    // Relaxed: the command that starts a CPU is fenced.
    REGISTERS
        .cr0
        .store(Cr0::read_raw() as u32, Ordering::Relaxed);
    REGISTERS.cr3.store(root, Ordering::Relaxed);
    REGISTERS.cr4.store(cr4.bits() as u32, Ordering::Relaxed);
    REGISTERS.efer.store(efer.bits() as u32, Ordering::Relaxed);

    let page_number = (page_address / PAGE_SIZE as u32) as u8;
    PAGE_NUMBER.store(page_number, Ordering::Relaxed);
    page_number
}

/// Says where released CPUs go, and returns the page's number.
///
/// # Safety
/// Whatever `entry` uses is set up by the time that a CPU is released.
pub(crate) unsafe fn set_entry(entry: extern "C" fn(usize) -> !) -> u8 {
    // Relaxed: the command that starts a CPU is fenced.
    ENTRY.store(entry as usize, Ordering::Relaxed);
    PAGE_NUMBER.load(Ordering::Relaxed)
}

/// Where a released CPU arrives in Rust, on its own stack.
///
/// # Safety
/// For the trampoline only, with the candidate that it has just taken to STARTED.
unsafe extern "C" fn enter_kernel(candidate: &Candidate) -> ! {
    // SAFETY: START-2: the boot CPU stored a `&'static` there before it released this CPU.
    let block = unsafe { &*candidate.block.load(Ordering::Relaxed) };
    // SAFETY: 1. and 2. the boot CPU gives each number once, to the CPU for which the block was made; 3. is the
    // kernel's business from here on.
    unsafe { percpu::install(block) };
    let entry = ptr::with_exposed_provenance::<()>(ENTRY.load(Ordering::Relaxed));
    // SAFETY: `set_entry` has stored such a function before this CPU was released.
    let entry = unsafe { core::mem::transmute::<*const (), extern "C" fn(usize) -> !>(entry) };
    entry(block.cpu().index())
}

/// Changes this CPU from four levels of page tables to five, which is possible outside of long mode only: leaves it,
/// and returns to it with `root` as page-table root.
///
/// # Safety
/// 1. The CPU has LA57, runs with four levels, and without process-context identifiers.
/// 2. `root` is the physical address of a level 5 table that maps everything that is in use now (code, stack, data,
///    descriptor tables) as it is mapped now, the kernel's image at its physical addresses below 4 GiB.
/// 3. Interrupts are off, and no NMI comes; no other CPU runs.
pub unsafe fn enter_five_levels(root: u32) {
    // SAFETY: the caller's conditions; the function preserves what a C function does.
    unsafe { trampoline_enter_five_levels(root) };
}

global_asm!(
    r#"
    .section .rodata.trampoline, "a", @progbits
    .global trampoline_start
    .global trampoline_end

    // Copied to a page below 1 MiB. CS is that page divided by 16, and nothing else is known.
    .code16
trampoline_start:
    cli
    cld
    mov ax, cs
    mov ds, ax
    // lgdt, with a 32-bit base, by an offset into the page.
    .byte 0x66, 0x0f, 0x01, 0x16
    .short trampoline_short_gdt_pointer - trampoline_start
    // Protected mode, caches on.
    mov eax, 0x11
    mov cr0, eax
    // Far jump with a 32-bit offset.
    .byte 0x66, 0xea
    .long trampoline_protected_mode
    .short {code_32}
trampoline_short_gdt_pointer:
    .short trampoline_gdt_end - trampoline_gdt - 1
    .long trampoline_gdt
trampoline_end:

    // Flat segments, with their accessed bits set, since the processor cannot set them in read-only memory.
    .balign 8
trampoline_gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00af9b000000ffff
trampoline_gdt_end:
trampoline_gdt_pointer:
    .short trampoline_gdt_end - trampoline_gdt - 1
    .quad trampoline_gdt

    .section .text.trampoline, "ax", @progbits
    .code32
trampoline_protected_mode:
    mov eax, {data}
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov eax, [{registers} + {cr4}]
    mov cr4, eax
    mov eax, [{registers} + {cr3}]
    mov cr3, eax
    mov ecx, 0xc0000080
    mov eax, [{registers} + {efer}]
    xor edx, edx
    wrmsr
    mov eax, [{registers} + {cr0}]
    mov cr0, eax
    ljmp {code_64}, offset trampoline_long_mode

    .code64
trampoline_long_mode:
    // The APIC id: all of it from the topology leaf, if there is one; else the 8 bits of leaf 1.
    xor eax, eax
    cpuid
    cmp eax, 0xb
    jb 2f
    mov eax, 0xb
    xor ecx, ecx
    cpuid
    test ebx, ebx
    jnz 3f
2:  mov eax, 1
    cpuid
    shr ebx, 24
    mov edx, ebx

    // The candidate with this id.
3:  mov rdi, [rip + {candidates} + {first}]
    mov rcx, [rip + {candidates} + {count}]
4:  test rcx, rcx
    jz 6f
    cmp [rdi + {apic_id}], edx
    je 5f
    add rdi, {candidate_size}
    dec rcx
    jmp 4b

    // START-1.
5:  mov eax, {asked}
    mov ecx, {answered}
    lock cmpxchg [rdi + {state}], ecx
    je 6f
    mov eax, {released}
    mov ecx, {started}
    lock cmpxchg [rdi + {state}], ecx
    jne 6f
    mov rsp, [rdi + {stack_top}]
    xor ebp, ebp
    call {enter_kernel}

    // Asleep until the next reset.
6:  cli
    hlt
    jmp 6b

    .global trampoline_enter_five_levels
trampoline_enter_five_levels:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    sgdt [rip + trampoline_saved_gdt_pointer]
    mov [rip + trampoline_saved_stack], rsp
    mov [rip + trampoline_saved_code], cs
    mov [rip + trampoline_saved_data], ss
    lgdt [rip + trampoline_gdt_pointer]
    push {code_32}
    lea rax, [rip + trampoline_leave_long_mode]
    push rax
    retfq

    .code32
trampoline_leave_long_mode:
    mov eax, {data}
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    mov eax, cr4
    or eax, 0x1000
    mov cr4, eax
    mov cr3, edi
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    ljmp {code_64}, offset trampoline_back_in_long_mode

    .code64
trampoline_back_in_long_mode:
    mov rsp, [rip + trampoline_saved_stack]
    lgdt [rip + trampoline_saved_gdt_pointer]
    mov ax, [rip + trampoline_saved_data]
    mov ds, ax
    mov es, ax
    mov ss, ax
    movzx eax, word ptr [rip + trampoline_saved_code]
    push rax
    lea rax, [rip + 7f]
    push rax
    retfq
7:  pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

    .section .bss.trampoline, "aw", @nobits
    .balign 8
trampoline_saved_stack:
    .skip 8
trampoline_saved_code:
    .skip 2
trampoline_saved_data:
    .skip 2
trampoline_saved_gdt_pointer:
    .skip 10
    .text
    "#,
    code_32 = const CODE_32,
    code_64 = const CODE_64,
    data = const DATA,
    registers = sym REGISTERS,
    cr0 = const offset_of!(Registers, cr0),
    cr3 = const offset_of!(Registers, cr3),
    cr4 = const offset_of!(Registers, cr4),
    efer = const offset_of!(Registers, efer),
    candidates = sym CANDIDATES,
    first = const offset_of!(Candidates, first),
    count = const offset_of!(Candidates, count),
    apic_id = const offset_of!(Candidate, apic_id),
    state = const offset_of!(Candidate, state),
    stack_top = const offset_of!(Candidate, stack_top),
    candidate_size = const size_of::<Candidate>(),
    asked = const ASKED,
    answered = const ANSWERED,
    released = const RELEASED,
    started = const STARTED,
    enter_kernel = sym enter_kernel,
);
