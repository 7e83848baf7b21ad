//! What others leave behind in memory that they give back.

use ulib::memory::Area;
use ulib::{Errno, ExitStatus, println, process};

/// How much the victim has, and is searched for its secret.
const LEN_PAGES: usize = 4096;
const SECRET: [u8; 8] = *b"password";

/// Lets another process have its secret in memory and end, takes as much memory, and looks. Returns the number of
/// holes.
pub(crate) fn search() -> Result<usize, Errno> {
    let victim = process::start(|| match write_secret() {
        Ok(()) => 0,
        Err(errno) => panic!("the victim has no memory: {errno}"),
    })?;
    let status = process::wait(victim)?;
    assert!(status == ExitStatus::exited(0), "the victim: {status}");

    let mut area = Area::new();
    area.grow(LEN_PAGES)?;
    let left = (0..LEN_PAGES).filter_map(|page| {
        let word = area.page(page).iter().find(|word| **word != 0)?;
        Some((page, word.to_ne_bytes()))
    });
    let (mut count, mut first) = (0, None);
    for found in left {
        count += 1;
        first.get_or_insert(found);
    }
    match first {
        None => println!("fresh memory: {LEN_PAGES} pages, all zero"),
        Some((page, bytes)) => println!(
            "fresh memory: {count} of {LEN_PAGES} pages have been somebody's: page {page} has '{}'",
            bytes.escape_ascii()
        ),
    }
    Ok(usize::from(count > 0))
}

fn write_secret() -> Result<(), Errno> {
    let mut area = Area::new();
    area.grow(LEN_PAGES)?;
    area.words().fill(u64::from_ne_bytes(SECRET));
    Ok(())
}
