# shellcheck shell=bash
# The weakenings that models must notice. See run.sh for what the words mean.
# shellcheck disable=SC2016 # what looks like the shell is Rust

active=mm/src/flush/active.rs
batch=mm/src/flush/batch.rs
cpu_tlb=mm/src/flush/cpu_tlb.rs
limbo=mm/src/flush/limbo.rs
claim=mm/src/page_table/claim.rs
slot=mm/src/page_table/table.rs
switch=mm/src/flush/switch.rs
arc_slot=smp/src/arc_slot.rs
cpu_set=smp/src/cpu_set/atomic.rs
post=smp/src/mailbox/post.rs
pending=smp/src/mailbox/post/pending.rs
serve=smp/src/mailbox/post/serve.rs
record=smp/src/mailbox/record.rs
raw_lock=smp/src/lock/raw.rs
rw_lock=mm/src/rw_lock.rs
attention=proc/src/attention.rs
exit=proc/src/exit.rs
futex=proc/src/futex.rs
life=proc/src/process/life.rs
wait=proc/src/wait.rs
single_wait=proc/src/single_wait.rs

mutation sets-read-by-a-load "$cpu_set" 'word.fetch_or(0, Ordering::SeqCst) & !bit_of(cpu)' \
    'word.load(Ordering::SeqCst) & !bit_of(cpu)' \
    mm loom_flush tlb_3

mutation sets-read-relaxed "$cpu_set" 'word.fetch_or(0, Ordering::SeqCst) & !bit_of(cpu)' \
    'word.fetch_or(0, Ordering::Relaxed) & !bit_of(cpu)' \
    mm loom_flush tlb_3

mutation bit-set-by-load-and-store "$cpu_set" 'self.words[word_of(cpu)].fetch_or(bit_of(cpu), Ordering::SeqCst) & bit_of(cpu) == 0' \
    '{
            let word = &self.words[word_of(cpu)];
            let before = word.load(Ordering::SeqCst);
            word.store(before | bit_of(cpu), Ordering::SeqCst);
            before & bit_of(cpu) == 0
        }' \
    mm loom_flush tlb_3

mutation bit-set-relaxed "$cpu_set" 'self.words[word_of(cpu)].fetch_or(bit_of(cpu), Ordering::SeqCst) & bit_of(cpu) == 0' \
    'self.words[word_of(cpu)].fetch_or(bit_of(cpu), Ordering::Relaxed) & bit_of(cpu) == 0' \
    mm loom_flush tlb_3

mutation bit-cleared-relaxed "$cpu_set" 'self.words[word_of(cpu)].fetch_and(!bit_of(cpu), Ordering::SeqCst) & bit_of(cpu) != 0' \
    'self.words[word_of(cpu)].fetch_and(!bit_of(cpu), Ordering::Relaxed) & bit_of(cpu) != 0' \
    mm loom_flush tlb_2_a_cpu_that_leaves

mutation generation-not-advanced "$active" 'self.generation.fetch_add(1, Ordering::AcqRel) + 1;' \
    'self.generation.load(Ordering::Acquire) + 1;' \
    mm loom_flush tlb_2_a_cpu_that_was_idle

mutation page-walkers-of-idle-cpus-not-waited-for "$batch" 'self.reach = Some(Reach::Loaded);' \
    'self.must_reach_active();' \
    mm loom_flush tlb_1_the_page_walker_of_an_idle

mutation a-retired-table-leaves-idle-cpus-on-it "$batch" 'self.space.publish(Reach::Loaded, pin.cpu(), &mut others);' \
    'self.space.publish(Reach::Active, pin.cpu(), &mut others);' \
    mm loom_flush a_whole_table

mutation frames-freed-before-the-answers "$batch" '            if let Some(asked) = self.dispatch(&pin, reach) {
                asked.wait();
            }
        }' \
    '            let asked = self.dispatch(&pin, reach);
            self.give_back();
            if let Some(asked) = asked {
                asked.wait();
            }
        }' \
    mm loom_flush tlb_1_a_cpu

mutation a-table-freed-before-the-cpus-have-left-it "$batch" '            if let Some(asked) = asked {
                asked.wait();
            }
        }
        self.is_unreachable = true;' \
    '            core::mem::forget(asked);
        }
        self.is_unreachable = true;' \
    mm loom_flush a_whole_table

mutation the-unmapping-cpu-does-not-flush-itself "$cpu_tlb" 'if !self.has_loaded(space) || (is_idle && reach == Reach::Active) {' \
    'if !is_idle || reach != Reach::Loaded || self.has_loaded(space) {' \
    mm loom_flush tlb_5

mutation root-loaded-before-the-bits-are-set "$cpu_tlb" '        next.add_loaded(self.cpu);
        let generation = next.generation();
        load_root();' \
    '        load_root();
        next.add_loaded(self.cpu);
        let generation = next.generation();' \
    mm loom_flush tlb_3

mutation generation-read-after-the-root-is-loaded "$cpu_tlb" '        let generation = next.generation();
        load_root();' \
    '        load_root();
        let generation = next.generation();' \
    mm loom_flush tlb_3

mutation bits-cleared-before-the-root-is-loaded "$cpu_tlb" '            load_kernel_root();
            self.forget(self.loaded.swap(ptr::null_mut(), Ordering::Relaxed));' \
    '            self.forget(self.loaded.swap(ptr::null_mut(), Ordering::Relaxed));
            load_kernel_root();' \
    mm loom_flush tlb_1_the_page_walker_of_a_cpu_that_leaves

mutation generation-read-before-the-bit-is-set "$cpu_tlb" '        space.add_active(self.cpu);
        self.catch_up(space, processor)' \
    '        let flushed = self.catch_up(space, processor);
        space.add_active(self.cpu);
        flushed' \
    mm loom_flush tlb_2_a_cpu_that_was_idle

mutation an-idle-cpu-does-not-catch-up "$cpu_tlb" '        self.catch_up(space, processor)
    }

    /// This CPU goes on' \
    '        let _ = processor;
        Flushed::Nothing
    }

    /// This CPU goes on' \
    mm loom_flush tlb_2_a_cpu_that_was_idle

mutation an-idle-cpu-does-not-come-back "$cpu_tlb" '        space.add_active(self.cpu);
        self.catch_up' \
    '        self.catch_up' \
    mm loom_flush tlb_2_a_cpu_that_was_idle

mutation idleness-is-not-noted "$cpu_tlb" '&& !self.is_idle.swap(true, Ordering::Relaxed)' \
    '&& !self.is_idle.load(Ordering::Relaxed)' \
    mm loom_flush tlb_2_a_cpu_that_is_idle

mutation catching-up-flushes-nothing "$cpu_tlb" '        processor.flush_all();
        self.seen.store(generation' \
    '        let _ = processor;
        self.seen.store(generation' \
    mm loom_flush tlb_2_a_cpu_that_was_idle

mutation generation-read-after-the-flush "$cpu_tlb" '        processor.flush_all();
        self.seen.store(generation, Ordering::Relaxed);' \
    '        processor.flush_all();
        self.seen.store(space.generation(), Ordering::Relaxed);' \
    mm loom_flush tlb_2_what_changes

mutation generation-read-relaxed "$active" 'self.generation.load(Ordering::Acquire)' \
    'self.generation.load(Ordering::Relaxed)' \
    mm loom_flush tlb_2_a_cpu_that_was_idle

mutation generation-advanced-relaxed "$active" 'self.generation.fetch_add(1, Ordering::AcqRel) + 1;' \
    'self.generation.fetch_add(1, Ordering::Relaxed) + 1;' \
    mm loom_flush tlb_2_a_cpu_that_was_idle

mutation a-gap-in-generations-is-overlooked "$cpu_tlb" 'if seen + 1 != generation || pages.is_empty() {' \
    'if pages.is_empty() {' \
    mm loom_flush tlb_4

mutation one-generation-too-many-counts-as-seen "$cpu_tlb" 'if seen >= generation {' \
    'if seen + 1 >= generation {' \
    mm loom_flush tlb_1_a_cpu

mutation a-table-page-flushes-no-walker "$cpu_tlb" '            return self.catch_up(space, processor);
        }
        for page' \
    '            return Flushed::Nothing;
        }
        for page' \
    mm loom_flush tlb_4

mutation root-read-before-the-bits-are-set "$switch" '    let load_root = || {' \
    '    let early = root.load(Ordering::Acquire);
    let load_root = || {
        let root = AtomicU64::new(early);' \
    mm loom_flush a_whole_table

mutation a-cpu-leaves-with-the-root-of-the-space "$switch" 'own.tlb.leave(off, || machine.load_kernel_root(off));' \
    'own.tlb.leave(off, || ());
    let _ = machine;' \
    mm loom_flush tlb_1_the_page_walker_of_a_cpu_that_leaves

mutation answer-relaxed "$record" 'self.unfinished.fetch_sub(1, Ordering::Release);' \
    'self.unfinished.fetch_sub(1, Ordering::Relaxed);' \
    smp loom_mailbox a_record

mutation answer-read-relaxed "$record" 'self.unfinished.load(Ordering::Acquire) == 0' \
    'self.unfinished.load(Ordering::Relaxed) == 0' \
    smp loom_mailbox a_record

mutation answered-before-it-is-done "$record" '            (request.function)(&request.words[..request.len], off);
        });
        // Release pairs with the Acquire in `is_finished`.
        self.unfinished.fetch_sub(1, Ordering::Release);' \
    '            self.unfinished.fetch_sub(1, Ordering::Release);
            (request.function)(&request.words[..request.len], off);
        });' \
    smp loom_mailbox a_record

mutation request-posted-relaxed "$post" '.inbox[word].fetch_add(bit, Ordering::Release) != 0' \
    '.inbox[word].fetch_add(bit, Ordering::Relaxed) != 0' \
    smp loom_mailbox interrupts_off

mutation request-posted-by-load-and-store "$post" 'if self.mailbox(target).inbox[word].fetch_add(bit, Ordering::Release) != 0 {' \
    'let place = &self.mailbox(target).inbox[word];
            let before = place.load(Ordering::Acquire);
            place.store(before | bit, Ordering::Release);
            if before != 0 {' \
    smp loom_mailbox two_senders

mutation inbox-taken-relaxed "$serve" 'let mut senders = word.swap(0, Ordering::Acquire);' \
    'let mut senders = word.swap(0, Ordering::Relaxed);' \
    smp loom_mailbox interrupts_off

mutation inbox-taken-by-load-and-store "$serve" 'let mut senders = word.swap(0, Ordering::Acquire);' \
    'let mut senders = word.load(Ordering::Acquire);
        word.store(0, Ordering::Relaxed);' \
    smp loom_mailbox two_senders

mutation a-record-is-filled-while-it-is-read "$post" '        while !own.record.is_finished() {
            drop(off);' \
    '        while false {
            drop(off);' \
    smp loom_mailbox a_record

mutation who-waits-serves-nobody "$pending" '            self.serve_requests(&pin);
' \
    '' \
    smp loom_mailbox interrupts_off

mutation nobody-is-rung-for "$post" '            None => self.bell.ring(targets, &off),' \
    '            None => {}' \
    smp loom_mailbox two_senders

mutation the-rest-is-not-rung-for "$post" 'if !rest.is_empty() {' \
    'if rest.is_empty() {' \
    smp loom_mailbox of_two_targets

mutation reader-comes-relaxed "$rw_lock" '.compare_exchange(word, word + 1, Ordering::Acquire, Ordering::Relaxed)' \
    '.compare_exchange(word, word + 1, Ordering::Relaxed, Ordering::Relaxed)' \
    mm loom_rw_lock a_reader_and_a_writer

mutation reader-leaves-relaxed "$rw_lock" 'fetch_sub(1, Ordering::Release)' \
    'fetch_sub(1, Ordering::Relaxed)' \
    mm loom_rw_lock a_reader_and_a_writer

mutation writer-comes-relaxed "$rw_lock" '                word | WRITER,
                Ordering::Acquire,' \
    '                word | WRITER,
                Ordering::Relaxed,' \
    mm loom_rw_lock two_writers

mutation writer-leaves-relaxed "$rw_lock" '.compare_exchange(WRITER, 0, Ordering::Release, Ordering::Relaxed)' \
    '.compare_exchange(WRITER, 0, Ordering::Relaxed, Ordering::Relaxed)' \
    mm loom_rw_lock two_writers

mutation writer-leaves-relaxed-while-somebody-waits "$rw_lock" 'self.word.fetch_and(RESERVED, Ordering::Release);' \
    'self.word.fetch_and(RESERVED, Ordering::Relaxed);' \
    mm loom_rw_lock two_writers

mutation writer-wakes-nobody "$rw_lock" 'self.word.fetch_and(RESERVED, Ordering::Release);
        self.wake();' \
    'self.word.fetch_and(RESERVED, Ordering::Release);' \
    mm loom_rw_lock two_writers

mutation writer-leaves-waiting-set "$rw_lock" 'self.word.fetch_and(RESERVED, Ordering::Release);' \
    'self.word.fetch_and(!WRITER, Ordering::Release);' \
    mm loom_rw_lock a_reader_and_a_writer

mutation last-reader-wakes-nobody "$rw_lock" 'if before > WAITING {' \
    'if before < WAITING {' \
    mm loom_rw_lock a_reader_and_a_writer

mutation last-reader-takes-the-lock-from-a-writer "$rw_lock" '        let cleared =
            self.word
                .compare_exchange(free, free & RESERVED, Ordering::Relaxed, Ordering::Relaxed);
        if cleared.is_ok() {' \
    '        let cleared = self.word.swap(free & RESERVED, Ordering::Relaxed);
        if cleared != 0 {' \
    mm loom_rw_lock rw_2_a_reader_and_two

mutation a-reservation-is-lost-when-a-writer-leaves "$rw_lock" 'self.word.fetch_and(RESERVED, Ordering::Release);' \
    'self.word.swap(0, Ordering::Release);' \
    mm lib rw_lock::overtaking

mutation who-is-overtaken-reserves-nothing "$rw_lock" '        if !self.try_when_free(access) {
            self.reserve_and_take(access);
        }' \
    '        while !self.try_when_free(access) {}' \
    mm lib rw_lock::overtaking

mutation a-writer-comes-in-beside-readers "$rw_lock" 'while word & !WAITING == 0 {' \
    'while word & WRITER == 0 {' \
    mm loom_rw_lock a_reader_and_a_writer

mutation spin-lock-taken-relaxed "$raw_lock" '.compare_exchange(FREE, mark, Ordering::Acquire, Ordering::Relaxed)' \
    '.compare_exchange(FREE, mark, Ordering::Relaxed, Ordering::Relaxed)' \
    smp loom_lock ''

mutation spin-lock-given-back-relaxed "$raw_lock" 'self.word.store(FREE, Ordering::Release);' \
    'self.word.store(FREE, Ordering::Relaxed);' \
    smp loom_lock ''

mutation sets-read-before-the-generation-is-advanced "$active" '        let generation = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
        let set = match reach {
            Reach::Active => &self.active,
            Reach::Loaded => &self.loaded,
        };
        // TLB-3: pairs with the `fetch_insert` in `add_loaded` and `add_active`.
        set.add_others_after_publish(others, cpu);
        generation' \
    '        let set = match reach {
            Reach::Active => &self.active,
            Reach::Loaded => &self.loaded,
        };
        set.add_others_after_publish(others, cpu);
        self.generation.fetch_add(1, Ordering::AcqRel) + 1' \
    mm loom_flush tlb_2_a_cpu_that_was_idle

mutation a-thread-is-added-to-a-process-that-ends "$life" 'if self.status.is_some() {' 'if false {' \
    proc lib exit::model::a_thread_that_is_created

mutation who-ends-with-its-process-can-be-joined "$life" 'let can_be_joined = self.status.is_none();' \
    'let can_be_joined = true;' \
    proc lib exit::model::of_two_threads

mutation the-first-burial-publishes "$life" 'self.unburied == 0' 'true' \
    proc lib exit::model

mutation the-last-thread-keeps-those-that-nobody-joins "$life" 'Some(core::mem::take(&mut self.ended))' 'Some(ArcList::new())' \
    proc lib exit::model::of_two_threads_that_end_alone

mutation a-sleeper-is-not-woken-when-its-process-ends "$exit" '        Thread::unpark(thread);
    }
    drop(life);' \
    '    }
    drop(life);' \
    proc lib exit::model::a_thread_that_sleeps

mutation who-joins-is-not-woken "$exit" 'process.thread_ended.wake_all();' '' \
    proc lib join::model::who_joins_a_thread_gets

mutation signals-die-with-their-thread "$exit" 'signal::hand_over(process, thread);' '' \
    proc lib signal::send::model

mutation a-word-is-read-before-the-thread-is-in-the-list "$futex" '        self.list.lock().push_back(current.clone());
        // FUTEX-1.
        let outcome = match look() {' \
    '        let found = look();
        self.list.lock().push_back(current.clone());
        let outcome = match found {' \
    proc lib futex::model::who_has_seen

mutation a-new-name-is-not-looked-for "$futex" 'Ok(Seen::Renamed) => Ok(Ended::Restarted),' \
    'Ok(Seen::Renamed) => self.sleep(&current).map(|()| Ended::Woken),' \
    proc lib futex::model::who_waits_by_the_old_name

mutation a-wake-up-is-forgotten "$futex" 'None => Ok(Ended::Woken),' 'None => outcome,' \
    proc lib futex::model

mutation a-signal-is-posted-to-who-ends "$attention" 'self.post_unless(IN_HANDLER | DYING, signal)' \
    'self.post_unless(IN_HANDLER, signal)' \
    proc loom_attention ''

mutation a-signal-without-a-fence "$attention" '        fence(Ordering::SeqCst);
        posted.map(drop)' \
    '        posted.map(drop)' \
    proc loom_parking a_kill_or_a_signal

mutation a-place-for-one-waiter-orders-nothing "$arc_slot" 'self.address.swap(address, Ordering::AcqRel)' \
    'self.address.swap(address, Ordering::Relaxed)' \
    proc loom_wait a_parcel_that_is_sent

mutation a-wake-up-is-not-passed-on "$wait" '                self.wake_one();
            }
            return' \
    '            }
            return' \
    proc loom_wait ''

mutation attention-is-looked-at-after-the-condition "$wait" '        let is_over_now = is_over(current.attention());
        // WAIT-1: the last look, from inside the queue.
        let found = condition();' \
    '        let found = condition();
        let is_over_now = is_over(current.attention());' \
    proc loom_wait what_has_come_before

mutation attention-is-looked-at-after-the-parcel "$single_wait" '            let is_over = current.attention().is_interrupted();
            // SINGLE-1: the last look, from inside the place.
            let found = condition();' \
    '            let found = condition();
            let is_over = current.attention().is_interrupted();' \
    proc loom_wait a_parcel_that_has_come_before

mutation a-sweep-flushes-nothing "$limbo" '            machine.flush_all();
' '            let _ = machine;
' \
    mm loom_limbo limbo_1_a_cpu_that_ticks

mutation what-is-owed-is-read-after-the-flush "$limbo" '            for (owed, set) in owed.iter_mut().zip(owing) {
                *owed = set.contains(cpu);
            }
            machine.flush_all();
' \
    '            machine.flush_all();
            for (owed, set) in owed.iter_mut().zip(owing) {
                *owed = set.contains(cpu);
            }
' \
    mm loom_limbo limbo_1_what_is_unmapped_during

mutation a-sweep-counts-for-what-it-did-not-owe "$limbo" '.filter(|(owed, _)| **owed)' '.filter(|_| true)' \
    mm loom_limbo limbo_1_what_is_unmapped_during

mutation a-creditor-is-forgotten-after-the-sets-are-read "$limbo" '            own.owes_to.fetch_remove(creditor);
            let owing = &self.of(creditor).owing;
            let mut owed = [false; SLOTS];
            for (owed, set) in owed.iter_mut().zip(owing) {
                *owed = set.contains(cpu);
            }
' \
    '            let owing = &self.of(creditor).owing;
            let mut owed = [false; SLOTS];
            for (owed, set) in owed.iter_mut().zip(owing) {
                *owed = set.contains(cpu);
            }
            own.owes_to.fetch_remove(creditor);
' \
    mm loom_limbo limbo_1_what_is_unmapped_during

mutation a-tick-frees-what-is-still-owed "$limbo" '        if owing.is_empty() {
            slots' \
    '        if own.owing.len() > index {
            slots' \
    mm loom_limbo limbo_1_a_cpu_that_ticks

mutation a-swept-set-is-read-relaxed "$cpu_set" 'words.all(|word| word.load(Ordering::Acquire) == 0)' \
    'words.all(|word| word.load(Ordering::Relaxed) == 0)' \
    mm loom_limbo limbo_1_a_cpu_that_ticks

mutation nobody-looks-who-has-left-meanwhile "$limbo" '        make_sweep(machine, pin, &gone);' \
    '        let _ = (machine, gone);' \
    mm loom_limbo limbo_2_a_cpu_that_becomes_idle

mutation a-cpu-is-told-after-the-look-who-has-left "$limbo" '        for other in others.iter() {
            self.of(other).owes_to.fetch_insert(pin.cpu());
        }
        drop(slots);
        let active = space.active_after_telling();' \
    '        let active = space.active_after_telling();
        for other in others.iter() {
            self.of(other).owes_to.fetch_insert(pin.cpu());
        }
        drop(slots);' \
    mm loom_limbo limbo_2_a_cpu_that_becomes_idle

mutation a-cpu-is-told-before-it-is-in-the-set "$limbo" '        own.owing[index].store(others);
' \
    '        for other in others.iter() {
            self.of(other).owes_to.fetch_insert(pin.cpu());
        }
        own.owing[index].store(others);
        let others = &CpuSet::new();
' \
    mm loom_limbo limbo_2_a_cpu_that_becomes_idle

mutation a-cpu-that-becomes-idle-does-not-sweep "$switch" '    own.tlb.become_idle(off);
    limbo::sweep_if_owed(machine, off);' \
    '    let _ = machine;
    own.tlb.become_idle(off);' \
    mm loom_limbo limbo_2_a_cpu_that_becomes_idle

mutation a-cpu-sweeps-before-it-leaves "$switch" '    own.tlb.leave(off, || machine.load_kernel_root(off));
    limbo::sweep_if_owed(machine, off);' \
    '    limbo::sweep_if_owed(machine, off);
    own.tlb.leave(off, || machine.load_kernel_root(off));' \
    mm loom_limbo limbo_2_a_cpu_that_leaves

mutation draining-does-not-wait "$limbo" '        make_sweep(machine, pin, &owing.load());' \
    '        let _ = (machine, pin);' \
    mm loom_limbo draining

mutation a-table-goes-to-limbo "$batch" '            && self.reach == Some(Reach::Active)
' '            && self.reach.is_some()
' \
    mm loom_limbo limbo_3

mutation addresses-in-limbo-are-not-looked-for "$limbo" 'waiting.range.intersection(range).is_some()' \
    'waiting.range.intersection(range).is_none()' \
    mm loom_limbo an_address_is_mapped_again

mutation a-space-goes-before-its-limbo "$limbo" 'limbo.drain_where(machine, |waiting| waiting.space == space);' \
    'limbo.drain_where(machine, |waiting| waiting.space != space);' \
    mm loom_limbo a_space_that_goes

mutation an-entry-is-claimed-by-load-and-store "$slot" '            let claimed = self.0.compare_exchange(
                old.raw(),
                Entry::CLAIMED.raw(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            );' \
    '            let now = self.0.load(Ordering::Acquire);
            let claimed = match now == old.raw() {
                true => {
                    self.0.store(Entry::CLAIMED.raw(), Ordering::Release);
                    Ok(now)
                }
                false => Err(now),
            };' \
    mm loom_claim of_two_that_write

mutation a-mark-is-overlooked-when-an-entry-is-claimed "$slot" 'Ok(_) => return Some(old),' 'Ok(_) => return Some(seen),' \
    mm loom_claim a_mark_that_comes

mutation a-claim-is-settled-relaxed "$slot" '        debug_assert!(self.load() == Entry::CLAIMED);
        // Release pairs with the Acquire in `load`.
        self.0.store(new.raw(), Ordering::Release);' \
    '        self.0.store(new.raw(), Ordering::Relaxed);' \
    mm loom_claim a_mark_that_comes

mutation a-shared-frame-is-written "$claim" 'if self.frame.is_sole_owner() {' 'if !self.frame.is_sole_owner() {' \
    mm loom_claim of_two_that_write

mutation a-copy-replaces-what-nobody-flushes "$claim" '        record(claim.va, claim.old, batch);' '' \
    mm loom_claim who_knows_of_a_write

mutation a-copy-is-mapped-before-the-flush "$claim" '        batch.complete();
        claim
            .slot
            .settle(Entry::new(frame.into_raw(), perm.for_leaf()));' \
    '        claim
            .slot
            .settle(Entry::new(frame.into_raw(), perm.for_leaf()));
        batch.complete();' \
    mm loom_claim nobody_finds_the_copy

mutation a-claim-that-fails-stays "$claim" '    fn drop(&mut self) {
        self.slot.settle(self.old);' \
    '    fn drop(&mut self) {' \
    mm loom_claim a_claim_that_finds
