//! The pipe that all processes have in common: how many calls a message takes, with and without what makes it cheap.

use tests::{Boot, Run};

const MESSAGE_LEN: u64 = 32;
const MESSAGES: u64 = 3;

/// A writer, and the reader that it starts.
type Pair = [&'static str; 2];
const RUST: Pair = ["pipewriter", "pipereader"];
const C: Pair = ["pipewriter_c", "pipereader_c"];

/// How many calls `program` says to have made.
#[track_caller]
fn calls(run: &Run, program: &str) -> u64 {
    let start = format!("{program}: {MESSAGES} messages in ");
    let (_, rest) = run
        .console()
        .split_once(&start)
        .unwrap_or_else(|| panic!("{program} tells no count\n{run}"));
    let number = rest.split(' ').next().and_then(|word| word.parse().ok());
    number.unwrap_or_else(|| panic!("{program} tells no number\n{run}"))
}

/// The calls of writer and reader with these words after `pipe=`.
#[track_caller]
fn calls_with(pair: Pair, words: &str, cpus: usize) -> [u64; 2] {
    let mut boot = Boot::program(&[pair[0], &MESSAGES.to_string()]).cpus(cpus);
    if !words.is_empty() {
        boot = boot.append(&format!("pipe={words}"));
    }
    let run = boot.run();
    run.assert_status(0);
    pair.map(|program| calls(&run, program))
}

#[test]
fn a_message_takes_one_call_of_each_side() {
    for (pair, cpus) in [(RUST, 1), (RUST, 2), (RUST, 4), (C, 2)] {
        assert_eq!(calls_with(pair, "", cpus), [MESSAGES; 2]);
        assert_eq!(calls_with(pair, "noschedule", cpus), [MESSAGES; 2]);
    }
    // The reader can be the one that starts the other.
    for pair in [RUST, C] {
        let run = Boot::program(&[pair[1], &MESSAGES.to_string()]).run();
        run.assert_status(0);
        assert_eq!(pair.map(|program| calls(&run, program)), [MESSAGES; 2]);
    }
}

#[test]
fn without_batching_a_byte_takes_one_call_of_each_side() {
    for words in ["nobatch", "nobatch,noschedule"] {
        for (pair, cpus) in [(RUST, 1), (RUST, 2), (C, 2)] {
            assert_eq!(calls_with(pair, words, cpus), [MESSAGES * MESSAGE_LEN; 2]);
        }
    }
}

#[test]
fn without_blocking_the_partner_gets_a_turn_and_few_calls_are_in_vain() {
    for pair in [RUST, C] {
        let [writer, reader] = calls_with(pair, "noblock", 1);
        assert_eq!(writer, MESSAGES);
        assert!((MESSAGES..4 * MESSAGES).contains(&reader), "{reader}");
        for count in calls_with(pair, "noblock,nobatch", 1) {
            let bytes = MESSAGES * MESSAGE_LEN;
            assert!((bytes..2 * bytes).contains(&count), "{count}");
        }
    }
}

#[test]
fn polling_byte_by_byte_takes_hundreds_of_calls_a_message() {
    for pair in [RUST, C] {
        for count in calls_with(pair, "noblock,nobatch,noschedule", 1) {
            assert!(count > 1000 * MESSAGES, "{count}");
        }
    }
}

#[test]
fn a_mode_that_does_not_exist_is_not_passed_over() {
    let run = Boot::program(&["hello"])
        .cpus(1)
        .append("pipe=nosuch")
        .run();
    assert_ne!(run.status(), Some(0), "{run}");
    assert!(run.console().contains("nosuch"), "{run}");
}
