//! The kernel's first instructions: from the 32-bit protected mode in which a PVH loader starts it, to `main` in long
//! mode.
//!
//! The loader finds `pvh_entry` through the ELF note and leaves the address of its start information in EBX. Here the
//! boot CPU gets a stack, page tables that map memory one to one (512 GiB with 1 GiB pages, or 4 GiB with 2 MiB pages
//! on a processor without those), and 64-bit segments. These tables serve until [`mm::kernel_map`] has built the real
//! ones.
//!
//! Source: the Xen PVH boot protocol; Intel SDM volume 3, 10.8.5 "Initializing IA-32e Mode".

use core::arch::global_asm;

/// Size of the boot CPU's stack, on which `main` and later its idle loop run.
pub(crate) const BOOT_STACK_SIZE: usize = 64 * 1024;

global_asm!(
    // The note by which the loader finds the entry: type 18 is XEN_ELFNOTE_PHYS32_ENTRY.
    r#"
    .section .note.pvh, "a", @note
    .balign 4
    .long 4
    .long 8
    .long 18
    .asciz "Xen"
    .quad pvh_entry

    .section .text.boot, "ax", @progbits
    .code32
    .global pvh_entry
pvh_entry:
    cld
    rdtsc
    mov [boot_tsc], eax
    mov [boot_tsc + 4], edx
    mov esp, offset boot_stack_top

    mov edi, offset boot_pointers
    // Kept for `main`: the loader's information, which CPUID would overwrite.
    mov esi, ebx
    mov eax, 0x80000001
    cpuid
    bt edx, 26
    jnc 3f

    // 512 pages of 1 GiB: present, writable, large.
    mov dword ptr [boot_mapped_gib], 512
    mov eax, 0x83
    xor edx, edx
    mov ecx, 512
2:  mov [edi], eax
    mov [edi + 4], edx
    add edi, 8
    add eax, 0x40000000
    adc edx, 0
    loop 2b
    jmp 5f

    // Four page directories of 512 pages of 2 MiB: present, writable, large.
3:  mov dword ptr [boot_mapped_gib], 4
    mov eax, offset boot_directories + 3
    mov ecx, 4
4:  mov [edi], eax
    add edi, 8
    add eax, 4096
    loop 4b
    mov edi, offset boot_directories
    mov eax, 0x83
    mov ecx, 2048
4:  mov [edi], eax
    add edi, 8
    add eax, 0x200000
    loop 4b

5:
    mov eax, offset boot_pointers + 3
    mov [boot_root], eax

    mov eax, offset boot_root
    mov cr3, eax
    // Physical address extension; SSE instructions.
    mov eax, 0x620
    mov cr4, eax
    // EFER: system calls, long mode, no-execute.
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x901
    wrmsr
    // Paging, write protection, protected mode; native FPU errors.
    mov eax, 0x80010033
    mov cr0, eax
    lgdt [boot_gdt_pointer]
    ljmp 8, offset boot_long_mode

    .code64
boot_long_mode:
    mov eax, 16
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    mov edi, esi
    xor ebp, ebp
    call {main}
    ud2

    .section .rodata.boot, "a", @progbits
    .balign 8
boot_gdt:
    .quad 0
    // Code: present, long mode, executable. Data: present, writable.
    .quad 0x00af9a000000ffff
    .quad 0x00cf92000000ffff
boot_gdt_pointer:
    .short 23
    .long boot_gdt

    .section .data.boot, "aw", @progbits
    .balign 8
    .global boot_tsc
boot_tsc:
    .quad 0
    .global boot_mapped_gib
boot_mapped_gib:
    .quad 0

    .section .bss.boot, "aw", @nobits
    .balign 4096
boot_root:
    .skip 4096
boot_pointers:
    .skip 4096
boot_directories:
    .skip 16384
    .global boot_stack
boot_stack:
    .skip {stack_size}
boot_stack_top:
    "#,
    main = sym crate::main,
    stack_size = const BOOT_STACK_SIZE,
);

unsafe extern "C" {
    static boot_tsc: u64;
    static boot_mapped_gib: u64;
}

/// How much physical memory the boot tables map, from 0 on.
pub(crate) fn mapped_bytes() -> u64 {
    // SAFETY: as below.
    unsafe { boot_mapped_gib << 30 }
}

/// The time-stamp counter at the kernel's first instruction.
pub(crate) fn first_instruction_tsc() -> u64 {
    // SAFETY: the entry code above wrote it before any Rust code ran, and nobody writes it again.
    unsafe { boot_tsc }
}
