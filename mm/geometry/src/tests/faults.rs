//! The fault tables, value by value. The values are a choice: no exercise gives them (see `crate::fault`).

use crate::{Access, Ia32, Pae, Protection, Rights, Rules, Tag, Teensy, X86};

/// No fault.
const OK: Option<u32> = None;

/// What each of [`Access::EVERY`] comes to: kernel read, write, execute; user read, write, execute.
fn outcomes<M: Protection>(machine: M, raw: u64, level: u32) -> [Option<u32>; 6] {
    Access::EVERY.map(|access| {
        let outcome = machine.check(raw, level, access);
        outcome.err().map(|code| code.bits())
    })
}

const fn fault(code: u32) -> Option<u32> {
    Some(code)
}

#[test]
fn x86_faults_as_the_table_says() {
    const NX: u64 = 1 << 63;
    #[rustfmt::skip]
    let table = [
        //  entry        kernel: read      write       execute      user: read  write       execute
        (0x5000,       [fault(0x00), fault(0x02), fault(0x10), fault(0x04), fault(0x06), fault(0x14)]),
        (0x5006,       [fault(0x00), fault(0x02), fault(0x10), fault(0x04), fault(0x06), fault(0x14)]),
        (0x5001,       [OK,          fault(0x03), OK,          fault(0x05), fault(0x07), fault(0x15)]),
        (0x5003,       [OK,          OK,          OK,          fault(0x05), fault(0x07), fault(0x15)]),
        (0x5005,       [fault(0x01), fault(0x03), fault(0x11), OK,          fault(0x07), OK]),
        (0x5007,       [fault(0x01), fault(0x03), fault(0x11), OK,          OK,          OK]),
        (0x5001 | NX,  [OK,          fault(0x03), fault(0x11), fault(0x05), fault(0x07), fault(0x15)]),
        (0x5003 | NX,  [OK,          OK,          fault(0x11), fault(0x05), fault(0x07), fault(0x15)]),
        (0x5005 | NX,  [fault(0x01), fault(0x03), fault(0x11), OK,          fault(0x07), fault(0x15)]),
        (0x5007 | NX,  [fault(0x01), fault(0x03), fault(0x11), OK,          OK,          fault(0x15)]),
    ];
    for (raw, expected) in table {
        for machine in [X86::FOUR_LEVELS, X86::FIVE_LEVELS] {
            assert_eq!(outcomes(machine, raw, 1), expected, "entry {raw:#x}");
        }
    }
}

#[test]
fn teensy_faults_as_the_table_says() {
    #[rustfmt::skip]
    let table = [
        // entry  kernel: read    write       user: read   write
        (0x2a00, [fault(0x00), fault(0x02), fault(0x04), fault(0x06)]),
        (0x2a08, [fault(0x00), fault(0x02), fault(0x04), fault(0x06)]),
        (0x2a80, [fault(0x00), fault(0x02), fault(0x04), fault(0x06)]),
        (0x2a88, [fault(0x00), fault(0x02), fault(0x04), fault(0x06)]),
        (0x2a10, [OK,          fault(0x03), fault(0x05), fault(0x07)]),
        (0x2a18, [OK,          fault(0x03), OK,          fault(0x07)]),
        (0x2a90, [OK,          OK,          fault(0x05), fault(0x07)]),
        (0x2a98, [OK,          OK,          OK,          OK]),
        // The other bits of the low byte mean nothing.
        (0x2a67, [fault(0x00), fault(0x02), fault(0x04), fault(0x06)]),
        (0x2aff, [OK,          OK,          OK,          OK]),
    ];
    for (raw, [kernel_read, kernel_write, user_read, user_write]) in table {
        // Reading is executing here.
        let expected = [
            kernel_read,
            kernel_write,
            kernel_read,
            user_read,
            user_write,
            user_read,
        ];
        assert_eq!(outcomes(Teensy, raw, 1), expected, "entry {raw:#x}");
    }
}

#[test]
fn the_other_machines_fault_like_x86_without_what_they_do_not_have() {
    let user_page = [OK, fault(0x03), OK, OK, fault(0x07), OK];
    assert_eq!(outcomes(Tag, 0xfe05, 1), user_page);
    assert_eq!(outcomes(Ia32, 0xfe_d005, 1), user_page);
    assert_eq!(outcomes(Pae, 0xfe_d005, 1), user_page);
    let kernel_data = [OK, OK, fault(0x11), fault(0x05), fault(0x07), fault(0x15)];
    assert_eq!(outcomes(Pae, 0xfe_d003 | 1 << 63, 1), kernel_data);
    // The root's entries of PAE withhold nothing.
    assert_eq!(outcomes(Pae, 0xfe_d001, 3), [OK; 6]);
}

#[test]
fn without_wp_the_kernel_writes_everywhere() {
    let rules = Rules {
        has_write_protect: false,
        ..Rules::BASIC
    };
    let read_only = Rights {
        is_writable: false,
        ..Rights::ALL
    };
    let outcomes = Access::EVERY.map(|access| rules.check(Some(read_only), access).is_ok());
    assert_eq!(outcomes, [true, true, true, true, false, true]);
}
