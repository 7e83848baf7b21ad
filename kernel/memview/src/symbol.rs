//! Which character and which colour mean what.

use crate::picture::{Cell, Colour};

/// The id of a process.
pub type Pid = i32;

/// What a block of physical memory is shown as.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Use {
    /// There is no memory.
    Absent,
    Free,
    Reserved,
    Kernel,
    Tables,
    Files,
    /// Memory of users of which nobody knows whose it is: its pages could not be looked at.
    User,
    /// Memory that several processes may have.
    Shared,
    Process(Pid),
}

/// Shown for processes in turn, from number 1 on.
const PROCESS_CHARACTERS: &[u8] = b"123456789abcdefghijklmnopqrstuvwxyz";
const PROCESS_COLOURS: [Colour; 3] = [Colour::GREEN, Colour::CYAN, Colour::BLUE];

impl Use {
    /// Its character; bright if most of the block is used so.
    pub(crate) fn cell(self, is_bright: bool) -> Cell {
        let (character, colour) = match self {
            Use::Absent => return Cell::BLANK,
            Use::Free => return Cell::new(b'.', Colour::DARK_GREY),
            Use::Reserved => return Cell::new(b'R', Colour::DARK_GREY),
            Use::Kernel => (b'K', Colour::RED),
            Use::Tables => (b'T', Colour::MAGENTA),
            Use::Files => (b'F', Colour::BROWN),
            Use::User => (b'+', Colour::GREY),
            Use::Shared => (b'S', Colour::GREY),
            Use::Process(pid) => {
                let turn = pid.max(1) as usize - 1;
                (
                    PROCESS_CHARACTERS[turn % PROCESS_CHARACTERS.len()],
                    PROCESS_COLOURS[turn % PROCESS_COLOURS.len()],
                )
            }
        };
        let colour = if is_bright { colour.bright() } else { colour };
        Cell::new(character, colour)
    }
}

/// What a block of virtual memory is shown as.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Right {
    /// Users may read.
    Read,
    /// Users may write.
    Write,
    /// Users may execute.
    Execute,
    /// Only the kernel may use it.
    Kernel,
}

impl Right {
    pub(crate) const ALL: [Right; 4] = [Right::Read, Right::Write, Right::Execute, Right::Kernel];

    /// Its character: small, or a capital if the memory is shared.
    pub(crate) fn cell(self, is_shared: bool) -> Cell {
        let (character, colour) = match self {
            Right::Read => (b'r', Colour::BROWN.bright()),
            Right::Write => (b'w', Colour::GREEN.bright()),
            Right::Execute => (b'x', Colour::CYAN.bright()),
            Right::Kernel => (b'k', Colour::RED.bright()),
        };
        let shown = match is_shared {
            true => character.to_ascii_uppercase(),
            false => character,
        };
        Cell::new(shown, colour)
    }
}

#[cfg(test)]
mod tests {
    use super::Use;

    #[test]
    fn processes_have_digits_then_letters_and_neighbours_have_different_colours() {
        let characters: Vec<u8> = (1..=36)
            .map(|pid| Use::Process(pid).cell(true).character())
            .collect();
        assert_eq!(&characters[..11], b"123456789ab");
        assert_eq!((characters[34], characters[35]), (b'z', b'1'));
        for pid in 1..100 {
            let colour = |pid| Use::Process(pid).cell(false).colour();
            assert_ne!(colour(pid), colour(pid + 1));
        }
    }
}
