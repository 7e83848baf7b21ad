//! What `console_put` and `log` refuse.

use abi::{LOG_MAX, SCREEN_COLUMNS, SCREEN_ROWS, decode};
use ulib::{Errno, system_call};

use crate::check::{LONELY_PAGE_END, UNMAPPED, join, lonely_page, start};
use crate::pointers::BAD_ADDRESSES;
use crate::runner::tests;

tests![
    text_outside_of_the_screen_is_refused,
    text_at_bad_addresses_is_not_put_on_the_screen,
    a_message_of_up_to_255_bytes_is_logged_whatever_they_are,
    messages_at_bad_addresses_are_not_logged,
];

const ROWS: u32 = SCREEN_ROWS as u32;
const COLUMNS: u32 = SCREEN_COLUMNS as u32;

fn put(row: u32, column: u32, attribute: u32, address: usize, len: usize) -> Result<usize, Errno> {
    // SAFETY: the kernel only reads.
    decode(unsafe { system_call::console_put(row, column, attribute, address as *const u8, len) })
}

fn log(address: usize) -> Result<usize, Errno> {
    // SAFETY: the kernel only reads.
    decode(unsafe { system_call::log(address as *const u8) })
}

fn text_outside_of_the_screen_is_refused() {
    let line = [b' '; SCREEN_COLUMNS + 1];
    let address = line.as_ptr().addr();
    for (row, column, attribute, len) in [
        (ROWS, 0, 7, 1),
        (u32::MAX, 0, 7, 1),
        (0, COLUMNS, 7, 1),
        (0, COLUMNS + 1, 7, 0),
        (0, u32::MAX, 7, 1),
        (0, 1, 7, SCREEN_COLUMNS),
        (0, 0, 7, SCREEN_COLUMNS + 1),
        (0, 0, 7, usize::MAX),
        (0, 0, 0x80, 1),
        (0, 0, u32::MAX, 1),
    ] {
        let refused = put(row, column, attribute, address, len);
        assert_eq!(
            refused,
            Err(Errno::EINVAL),
            "{len} bytes in {row}, {column}"
        );
    }
    assert_eq!(
        put(ROWS - 1, COLUMNS, 7, UNMAPPED, 0),
        Ok(0),
        "no bytes are read"
    );
    assert_eq!(put(ROWS - 1, 0, 7, address, SCREEN_COLUMNS), Ok(0));
}

fn text_at_bad_addresses_is_not_put_on_the_screen() {
    for (what, address) in BAD_ADDRESSES {
        for len in [1, SCREEN_COLUMNS] {
            assert_eq!(put(0, 0, 7, address, len), Err(Errno::EFAULT), "{what}");
        }
    }
    join(start(|| {
        let _page = lonely_page();
        let crossing = LONELY_PAGE_END - 4;
        assert_eq!(put(0, 0, 7, crossing, 5), Err(Errno::EFAULT));
        assert_eq!(put(0, 0, 7, crossing, 4), Ok(0));
    }));
}

fn a_message_of_up_to_255_bytes_is_logged_whatever_they_are() {
    let mut message = [b'm'; LOG_MAX + 2];
    message[LOG_MAX + 1] = 0;
    let address = message.as_ptr().addr();
    assert_eq!(log(address), Err(Errno::E2BIG));
    assert_eq!(log(address + 1), Ok(0), "the longest message");
    assert_eq!(log(c"not \xff UTF-8".as_ptr().addr()), Ok(0));
    assert_eq!(log(c"".as_ptr().addr()), Ok(0));
}

fn messages_at_bad_addresses_are_not_logged() {
    for (what, address) in BAD_ADDRESSES {
        assert_eq!(log(address), Err(Errno::EFAULT), "{what}");
    }
    join(start(|| {
        let mut page = lonely_page();
        page.words().fill(u64::from_ne_bytes([b'x'; 8]));
        assert_eq!(
            log(LONELY_PAGE_END - 8),
            Err(Errno::EFAULT),
            "no end before the page's"
        );
    }));
}
