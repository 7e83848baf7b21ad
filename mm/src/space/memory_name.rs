//! Names for places in memory, by which those find each other who see each other's stores there.
#![forbid(unsafe_code)]

use alloc::sync::Arc;

use crate::addr::VirtAddr;
use crate::space::{Backing, PageSource, Space};

/// The name of a place in memory: the same for all who see each other's stores there, and nobody else's as long as
/// somebody has it.
pub struct MemoryName {
    words: [u64; 2],
    /// Keeps what the name is made of.
    _source: Option<Arc<dyn PageSource>>,
}

impl MemoryName {
    /// The name as two words.
    pub fn words(&self) -> [u64; 2] {
        self.words
    }
}

impl Space {
    /// The name of the memory at `address`; `None` if that is in no region.
    ///
    /// Private memory is called by space and address, since what is behind them can change (a fork, a move); shared
    /// memory by its source and the place in it, since each space can have it elsewhere.
    pub fn memory_name(&self, address: VirtAddr) -> Option<MemoryName> {
        let memory = self.memory.read();
        let region = memory.regions.find(address)?;
        Some(match &region.backing {
            Backing::File(file) if region.backing.is_shared() => {
                let distance = address.as_u64() - region.range.start().as_u64();
                let (source, offset) = file.place_at(distance);
                // An address of what is aligned to more than a byte: the lowest bit tells the two kinds of names apart.
                MemoryName {
                    words: [source.identity() as u64, offset],
                    _source: Some(source.clone()),
                }
            }
            _ => MemoryName {
                words: [self.first_word_of_private(), address.as_u64()],
                _source: None,
            },
        })
    }

    /// Whether `words` are the name of a place in the page at `page` as long as that is private.
    pub fn is_private_name(&self, words: [u64; 2], page: VirtAddr) -> bool {
        let [first, address] = words;
        first == self.first_word_of_private() && VirtAddr::new(address).page_align_down() == page
    }

    fn first_word_of_private(&self) -> u64 {
        self.id().as_u64() << 1 | 1
    }
}
