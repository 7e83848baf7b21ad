use super::{OwnTime, Watch, excuse, usual_bound_seconds};

const PERIOD_NS: u64 = 100;

/// Tests that look at own time and the one that makes excuses take turns: excuses are for everybody.
static EXCUSE: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    EXCUSE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
fn the_bound_grows_with_the_number_of_cpus() {
    let bounds = [1, 8, 15, 16, 64, 255].map(usual_bound_seconds);
    assert_eq!(bounds, [10, 10, 10, 11, 17, 40]);
}

#[test]
fn silence_is_the_time_since_the_last_look_that_found_a_beat() {
    let _alone = alone();
    let mut watch = Watch::new();
    let looks = [
        (1, 0, 0),
        (1, 100, 100),
        (1, 250, 250),
        (2, 300, 0),
        (2, 400, 100),
    ];
    for (beats, now_ns, silent_ns) in looks {
        assert_eq!(watch.look(beats, now_ns, PERIOD_NS), silent_ns);
    }
}

#[test]
fn a_watcher_that_was_stopped_blames_nobody_for_that_time() {
    let _alone = alone();
    let mut watch = Watch::new();
    watch.look(7, 0, PERIOD_NS);
    assert_eq!(watch.look(7, 1_000_000, PERIOD_NS), 2 * PERIOD_NS);
    assert_eq!(
        watch.look(7, 1_000_100, PERIOD_NS),
        3 * PERIOD_NS,
        "it is not forgotten either"
    );
}

#[test]
fn a_cpu_that_has_never_beaten_is_not_silent() {
    let _alone = alone();
    let mut watch = Watch::new();
    for now_ns in [0, 100, 200, 300] {
        assert_eq!(watch.look(0, now_ns, PERIOD_NS), 0);
    }
}

#[test]
fn an_excuse_begins_the_time_anew() {
    let _alone = alone();
    let mut time = OwnTime::new();
    assert_eq!([0, 50, 90].map(|ns| time.count(ns, 100)), [0, 50, 90]);
    excuse();
    assert_eq!([100, 130].map(|ns| time.count(ns, 100)), [0, 30]);
}
