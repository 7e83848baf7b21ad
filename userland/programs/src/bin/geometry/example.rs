//! A small page table in this process's memory, which plays the machine's physical memory.
//!
//! It is filled in with the walker: where a walk ends too early, the entry where it ended gets a new table.

use alloc::vec::Vec;

use geometry::{Decoded, Lookup, Protection, Rights, Stop, virtual_to_physical, walk};

use crate::failure::Failure;

/// What the example maps somewhere.
pub(crate) struct Mapping {
    pub(crate) address: u64,
    pub(crate) physical: u64,
    pub(crate) bytes: u64,
    pub(crate) rights: Rights,
}

pub(crate) struct Example<M> {
    machine: M,
    /// The machine's memory from address 0, as far as there are tables. The first page is not used.
    memory: Vec<u8>,
    mappings: Vec<Mapping>,
}

impl<M: Protection> Example<M> {
    /// A read-only page, a page of data and, at the other end of the address space, one of the kernel's; and a page of
    /// each bigger size that the machine has.
    pub(crate) fn new(machine: M) -> Result<Example<M>, Failure> {
        let mut example = Example {
            machine,
            memory: Vec::new(),
            mappings: Vec::new(),
        };
        example.add_page();
        example.add_page();
        let text = Rights {
            is_writable: false,
            ..Rights::ALL
        };
        let data = Rights {
            is_executable: !machine.rules().has_no_execute,
            ..Rights::ALL
        };
        let kernel_data = Rights {
            is_user: false,
            ..data
        };
        let page = machine.span(1);
        example.map(page, 0x2a * page, 1, text);
        example.map(2 * page, 0x2b * page, 1, data);
        let last_page = machine.canonical(u64::MAX) & !(page - 1);
        example.map(last_page, 0x2c * page, 1, kernel_data);
        for level in 2..=machine.highest_leaf_level() {
            let page = machine.span(level);
            example.map(3 * page, 5 * page, level, data);
        }
        example.check()?;
        Ok(example)
    }

    /// The physical address of the root.
    pub(crate) fn root(&self) -> u64 {
        self.machine.span(1)
    }

    /// How many tables there are.
    pub(crate) fn tables(&self) -> u64 {
        (self.memory.len() as u64 >> self.machine.page_bits()) - 1
    }

    pub(crate) fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// The word of an entry. Memory without tables is full of zeros.
    pub(crate) fn load(&self, at: Lookup) -> u64 {
        let mut word = [0; 8];
        let start = self.byte_of(at);
        let entry = self.memory.get(start..start + self.entry_bytes());
        let entry = entry.unwrap_or_default();
        for (byte, &stored) in word.iter_mut().zip(entry) {
            *byte = stored;
        }
        u64::from_le_bytes(word)
    }

    /// What the machine makes of `address`, by the library's word.
    pub(crate) fn physical(&self, address: u64) -> Option<u64> {
        virtual_to_physical(self.machine, self.root(), address, |at| self.load(at))
    }

    fn map(&mut self, address: u64, physical: u64, level: u32, rights: Rights) {
        self.mappings.push(Mapping {
            address,
            physical,
            bytes: self.machine.span(level),
            rights,
        });
        loop {
            let Stop { at, .. } = walk(self.machine, self.root(), address, |at| self.load(at));
            if at.level == level {
                let leaf = Decoded::Leaf(physical);
                return self.store(at, self.machine.encode(leaf, rights, level));
            }
            let table = Decoded::Table(self.add_page());
            self.store(at, self.machine.encode(table, Rights::ALL, at.level));
        }
    }

    /// The address of a new page of zeros.
    fn add_page(&mut self) -> u64 {
        let page = self.memory.len();
        self.memory.resize(page + self.machine.span(1) as usize, 0);
        page as u64
    }

    fn store(&mut self, at: Lookup, raw: u64) {
        let start = self.byte_of(at);
        let end = start + self.entry_bytes();
        let entry = self.memory.get_mut(start..end).unwrap_or_default();
        for (stored, byte) in entry.iter_mut().zip(raw.to_le_bytes()) {
            *stored = byte;
        }
    }

    /// Where an entry lies.
    fn byte_of(&self, at: Lookup) -> usize {
        at.table as usize + at.index * self.entry_bytes()
    }

    fn entry_bytes(&self) -> usize {
        self.machine.entry_bytes() as usize
    }

    /// Looks whether what was mapped is, from the first byte to the last, and whether the tables are as many as they
    /// can be.
    fn check(&self) -> Result<(), Failure> {
        for mapping in &self.mappings {
            for offset in [0, mapping.bytes - 1] {
                let translated = self.physical(mapping.address + offset);
                if translated != Some(mapping.physical + offset) {
                    return Err(Failure::Wrong("the example does not map what was mapped"));
                }
            }
        }
        let least = self.machine.least_table(1)?;
        let greatest = self.machine.greatest_table(self.mappings.len() as u64)?;
        if (least.tables..=greatest.tables).contains(&self.tables()) {
            Ok(())
        } else {
            Err(Failure::Wrong("the example has too few or too many tables"))
        }
    }
}
