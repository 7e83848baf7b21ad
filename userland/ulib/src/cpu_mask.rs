//! Sets of CPUs as `set_affinity` takes them.

/// A set of CPUs.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct CpuMask {
    bytes: [u8; CpuMask::LEN],
}

impl CpuMask {
    /// How many CPUs a mask can hold.
    pub const CAPACITY: usize = 1024;
    const LEN: usize = CpuMask::CAPACITY / 8;

    /// No CPU.
    pub const EMPTY: CpuMask = CpuMask {
        bytes: [0; CpuMask::LEN],
    };
    /// Every CPU there can be.
    pub const ALL: CpuMask = CpuMask {
        bytes: [0xff; CpuMask::LEN],
    };

    /// Only `cpu`.
    pub fn single(cpu: usize) -> CpuMask {
        CpuMask::EMPTY.with(cpu)
    }

    /// This set and `cpu`. A CPU from [`CpuMask::CAPACITY`] on cannot be, and is left out.
    #[must_use]
    pub fn with(mut self, cpu: usize) -> CpuMask {
        if let Some(byte) = self.bytes.get_mut(cpu / 8) {
            *byte |= 1 << (cpu % 8);
        }
        self
    }

    /// Is `cpu` in the set?
    pub fn contains(&self, cpu: usize) -> bool {
        self.bytes
            .get(cpu / 8)
            .is_some_and(|byte| byte & (1 << (cpu % 8)) != 0)
    }

    /// How many CPUs are in the set.
    pub fn count(&self) -> usize {
        self.bytes
            .iter()
            .map(|byte| byte.count_ones() as usize)
            .sum()
    }

    /// The bytes that the kernel reads.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes for the kernel to fill.
    pub fn as_bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::CpuMask;

    #[test]
    fn cpu_0_is_the_lowest_bit_of_the_first_byte() {
        assert_eq!(CpuMask::single(0).as_bytes()[0], 1);
        assert_eq!(CpuMask::single(9).as_bytes()[1], 2);
        assert_eq!(CpuMask::single(1023).as_bytes()[127], 0x80);
    }

    #[test]
    fn a_set_has_what_was_put_into_it() {
        let mask = CpuMask::single(3).with(255).with(5000);
        assert!(mask.contains(3) && mask.contains(255));
        assert!(!mask.contains(4) && !mask.contains(5000));
        assert_eq!(mask.count(), 2);
    }
}
