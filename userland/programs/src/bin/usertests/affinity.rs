//! On which CPUs a process may run.

use abi::decode;
use ulib::{CpuMask, Errno, process, system_call};

use crate::check::{KERNEL_TEXT, UNMAPPED, join, kill, ok, start, start_spinner};
use crate::runner::tests;

tests![
    a_pinned_process_is_on_its_cpu_at_once,
    a_pinned_process_stays,
    affinity_reads_back_without_cpus_that_are_not_there,
    a_forked_child_inherits_affinity,
    a_parent_moves_its_child,
    affinity_refuses_sets_without_a_cpu,
    affinity_checks_pointers_and_ids,
    nobody_moves_another_than_himself_and_his_children,
];

fn a_pinned_process_is_on_its_cpu_at_once() {
    let cpus = process::cpu_count();
    for cpu in (0..cpus).chain((0..cpus).rev()) {
        process::pin(cpu);
        assert_eq!(process::getcpu(), cpu);
    }
}

fn a_pinned_process_stays() {
    let last = process::cpu_count() - 1;
    process::pin(last);
    let spinners = [(); 3].map(|()| start_spinner());
    for round in 0..300 {
        if round % 8 == 0 {
            process::yield_now();
        }
        assert_eq!(process::getcpu(), last);
    }
    spinners.into_iter().for_each(kill);
}

fn affinity_reads_back_without_cpus_that_are_not_there() {
    let cpus = process::cpu_count();
    ok(process::set_affinity(0, &CpuMask::ALL));
    let all = ok(process::get_affinity(0));
    assert_eq!(all.count(), cpus);
    ok(process::set_affinity(
        process::gettid(),
        &CpuMask::single(cpus - 1).with(cpus).with(1000),
    ));
    assert_eq!(process::get_affinity(0), Ok(CpuMask::single(cpus - 1)));
}

fn a_forked_child_inherits_affinity() {
    let last = process::cpu_count() - 1;
    process::pin(last);
    join(start(|| {
        assert_eq!(process::get_affinity(0), Ok(CpuMask::single(last)));
        assert_eq!(process::getcpu(), last);
    }));
}

fn a_parent_moves_its_child() {
    let last = process::cpu_count() - 1;
    process::pin(0);
    let child = start(|| while process::getcpu() != last {});
    ok(process::set_affinity(child, &CpuMask::single(last)));
    join(child);
}

fn set(tid: abi::Pid, mask: usize, len: usize) -> Result<usize, Errno> {
    // SAFETY: the kernel only reads.
    decode(unsafe { system_call::set_affinity(tid, mask as *const u8, len) })
}

fn affinity_refuses_sets_without_a_cpu() {
    let before = process::get_affinity(0);
    assert_eq!(
        process::set_affinity(0, &CpuMask::EMPTY),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        process::set_affinity(0, &CpuMask::single(process::cpu_count())),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        set(0, CpuMask::ALL.as_bytes().as_ptr() as usize, 0),
        Err(Errno::EINVAL)
    );
    assert_eq!(process::get_affinity(0), before);
}

fn affinity_checks_pointers_and_ids() {
    for address in [0, UNMAPPED, KERNEL_TEXT, usize::MAX - 2] {
        assert_eq!(set(0, address, 8), Err(Errno::EFAULT), "{address:#x}");
        // SAFETY: the kernel cannot write there.
        let result = unsafe { system_call::get_affinity(0, address as *mut u8, 128) };
        assert_eq!(decode(result), Err(Errno::EFAULT), "{address:#x}");
    }
    assert_eq!(
        process::set_affinity(0x7fff_fff0, &CpuMask::ALL),
        Err(Errno::ESRCH)
    );
    assert_eq!(process::get_affinity(0x7fff_fff0), Err(Errno::ESRCH));
    // SAFETY: a length of 0 leaves nothing to be written.
    let result = unsafe { system_call::get_affinity(0, UNMAPPED as *mut u8, 0) };
    assert_eq!(decode(result), Err(Errno::EINVAL));
}

fn nobody_moves_another_than_himself_and_his_children() {
    let sibling = start_spinner();
    let parent = process::getpid();
    join(start(|| {
        for other in [parent, sibling, 1] {
            let moved = process::set_affinity(other, &CpuMask::ALL);
            assert_eq!(moved, Err(Errno::EPERM), "{other}");
            ok(process::get_affinity(other));
        }
    }));
    kill(sibling);
}
