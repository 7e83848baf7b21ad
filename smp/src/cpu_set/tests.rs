use std::collections::BTreeSet;
use std::vec::Vec;

use proptest::prelude::{Strategy, any, prop_assert_eq, proptest};

use super::{AtomicCpuSet, CpuId, CpuSet, MAX_CPUS};

fn any_cpu() -> impl Strategy<Value = CpuId> {
    // Close together often, so that removals hit.
    proptest::prop_oneof![0..4_usize, 60..68_usize, 0..MAX_CPUS].prop_map(CpuId::new)
}

fn members(set: &CpuSet) -> Vec<CpuId> {
    set.iter().collect()
}

proptest! {
    #[test]
    fn insertions_and_removals_agree_with_a_tree_set(steps in proptest::collection::vec((any::<bool>(), any_cpu()), 0..60)) {
        let (mut set, atomic, mut model) = (CpuSet::new(), AtomicCpuSet::new(), BTreeSet::new());
        for (insert, cpu) in steps {
            let changed = if insert { model.insert(cpu) } else { model.remove(&cpu) };
            prop_assert_eq!(if insert { set.insert(cpu) } else { set.remove(cpu) }, changed);
            prop_assert_eq!(if insert { atomic.fetch_insert(cpu) } else { atomic.fetch_remove(cpu) }, changed);
            prop_assert_eq!(set.contains(cpu), insert);
            prop_assert_eq!(atomic.contains(cpu), insert);
        }
        prop_assert_eq!(members(&set), model.iter().copied().collect::<Vec<_>>());
        prop_assert_eq!(set.count(), model.len());
        prop_assert_eq!(set.is_empty(), model.is_empty());
        prop_assert_eq!(atomic.load(), set);
        prop_assert_eq!(atomic.is_empty(), set.is_empty());
        prop_assert_eq!(atomic.load_after_publish(), set);
        // From any place on, one by one and all together are the same CPUs.
        let mut rest = set.iter();
        loop {
            let mut together = Vec::new();
            rest.clone().for_each(|cpu| together.push(cpu));
            let one_by_one: Vec<_> = std::iter::from_fn({
                let mut next = rest.clone();
                move || next.next()
            })
            .collect();
            prop_assert_eq!(together, one_by_one);
            if rest.next().is_none() {
                break;
            }
        }
        for cpu in model.iter().copied().chain([CpuId::BOOT]) {
            let mut others = set;
            others.remove(cpu);
                        let mut loaded = CpuSet::new();
            atomic.add_others_after_publish(&mut loaded, cpu);
            prop_assert_eq!(loaded, others);
        }
        prop_assert_eq!(CpuSet::from_words(set.used_words().iter().copied()), set);
        prop_assert_eq!(model.into_iter().collect::<CpuSet>(), set);
    }

    #[test]
    fn the_intersection_has_what_both_have_and_the_difference_the_rest(
        left in proptest::collection::btree_set(any_cpu(), 0..20),
        right in proptest::collection::btree_set(any_cpu(), 0..20),
    ) {
        let sets = [left.iter().copied().collect::<CpuSet>(), right.iter().copied().collect()];
        prop_assert_eq!(members(&sets[0].intersection(&sets[1])), left.intersection(&right).copied().collect::<Vec<_>>());
        prop_assert_eq!(members(&sets[0].difference(&sets[1])), left.difference(&right).copied().collect::<Vec<_>>());
    }

    #[test]
    fn the_first_cpus_are_those_below_the_count(count in 0..=MAX_CPUS) {
        prop_assert_eq!(members(&CpuSet::first(count)), (0..count).map(CpuId::new).collect::<Vec<_>>());
    }
}

#[test]
fn bits_beyond_the_largest_machine_are_left_out() {
    assert_eq!(CpuSet::from_words([u64::MAX; 100]), CpuSet::first(MAX_CPUS));
}
