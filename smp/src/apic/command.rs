//! Interrupt commands: what is written to send an interrupt, and how a set of targets becomes few commands.

/// The bit that says "assert"; every command but an INIT level de-assert carries it.
const ASSERT: u32 = 1 << 14;
/// Destinations are bit masks within a cluster instead of APIC ids.
const LOGICAL: u32 = 1 << 11;
/// How many CPUs share an x2APIC cluster.
const CLUSTER_SIZE: u32 = 16;

/// What is to happen at the target.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(super) enum Delivery {
    /// The interrupt of this vector.
    Fixed(u8),
    /// A non-maskable interrupt.
    NonMaskable,
    /// A reset to the state that waits for a start-up command.
    Init,
    /// Start in real mode at this page (a physical page number below 256).
    StartUp(u8),
}

impl Delivery {
    /// The low half of the command, without destination.
    pub(super) const fn low_word(self) -> u32 {
        ASSERT
            | match self {
                Delivery::Fixed(vector) => vector as u32,
                Delivery::NonMaskable => 0b100 << 8,
                Delivery::Init => 0b101 << 8,
                Delivery::StartUp(page) => 0b110 << 8 | page as u32,
            }
    }
}

/// The x2APIC command to the one CPU with `apic_id`.
pub(super) const fn to_one(delivery: Delivery, apic_id: u32) -> u64 {
    (apic_id as u64) << 32 | delivery.low_word() as u64
}

/// The x2APIC command to the CPUs of one cluster.
const fn to_cluster(delivery: Delivery, cluster: u32, members: u16) -> u64 {
    ((cluster << 16 | members as u32) as u64) << 32 | (delivery.low_word() | LOGICAL) as u64
}

/// Calls `send` with the x2APIC commands that together reach each of `apic_ids` once: one for each run of neighbours
/// in the same cluster, so with ids in ascending order one for each cluster.
pub(super) fn multicast(
    delivery: Delivery,
    apic_ids: impl Iterator<Item = u32>,
    mut send: impl FnMut(u64),
) {
    let mut run: Option<(u32, u16)> = None;
    for apic_id in apic_ids {
        let cluster = apic_id / CLUSTER_SIZE;
        let member = 1 << (apic_id % CLUSTER_SIZE);
        run = match run {
            Some((current, members)) if current == cluster => Some((cluster, members | member)),
            finished => {
                if let Some((current, members)) = finished {
                    send(to_cluster(delivery, current, members));
                }
                Some((cluster, member))
            }
        };
    }
    if let Some((cluster, members)) = run {
        send(to_cluster(delivery, cluster, members));
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::{Delivery, multicast, to_one};

    fn commands(apic_ids: &[u32]) -> Vec<u64> {
        let mut sent = Vec::new();
        multicast(Delivery::Fixed(0xf2), apic_ids.iter().copied(), |command| {
            sent.push(command)
        });
        sent
    }

    #[test]
    fn commands_to_one_cpu_carry_the_manuals_encodings() {
        assert_eq!(to_one(Delivery::Fixed(0xf1), 3), 0x3_0000_40f1);
        assert_eq!(to_one(Delivery::NonMaskable, 0x1_0000), 0x1_0000_0000_4400);
        assert_eq!(to_one(Delivery::Init, 1), 0x1_0000_4500);
        assert_eq!(to_one(Delivery::StartUp(0x08), 254), 0xfe_0000_4608);
    }

    #[test]
    fn neighbours_in_a_cluster_share_a_command() {
        assert_eq!(commands(&[0, 1, 3]), [0x000b_0000_48f2]);
        assert_eq!(
            commands(&[15, 16, 17]),
            [0x8000_0000_48f2, 0x0001_0003_0000_48f2]
        );
    }

    #[test]
    fn clusters_that_interleave_still_reach_everyone_once() {
        assert_eq!(
            commands(&[0, 16, 1]),
            [0x0001_0000_48f2, 0x0001_0001_0000_48f2, 0x0002_0000_48f2]
        );
    }

    #[test]
    fn an_empty_set_sends_nothing() {
        assert_eq!(commands(&[]), []);
    }
}
