//! `bigdata`: the same file prints its text in another order when set-up has exchanged two entries of its page table.

use tests::{Boot, Run};

/// What the log says of the two pages: address, frame and hash of its contents.
#[track_caller]
fn pages(run: &Run, when: &str) -> Vec<[String; 3]> {
    let start = format!("warp {when}: ");
    let lines = run.log().lines().filter_map(|line| line.split_once(&start));
    let pages: Vec<[String; 3]> = lines
        .map(|(_, rest)| {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let [address, "->", "frame", frame, "hash", hash] = words[..] else {
                panic!("{rest}\n{run}");
            };
            [address, frame, hash].map(str::to_owned)
        })
        .collect();
    assert_eq!(pages.len(), 2, "{run}");
    pages
}

#[test]
fn warp_changes_entries_of_the_page_table_and_no_frame() {
    let boot = Boot::program(&["bigdata"]).cpus(2);
    let run = boot.run();
    run.assert_status(0);
    let place = |words| run.console().find(words);
    let [end, start] = ["in the right order.", "These words have been put"].map(place);
    assert!(end.is_some() && end < start, "{run}");
    assert!(!run.log().contains("warp"), "{run}");

    let run = boot.append("warp=on").run();
    run.assert_status(0)
        .assert_console_has("These words have been put in the right order.");
    let [before, after] = ["before", "after"].map(|when| pages(&run, when));
    let [[first, ..], [second, ..]] = &before[..] else {
        panic!("{run}");
    };
    assert_ne!(before[0][1], before[1][1], "one frame\n{run}");
    assert_ne!(before[0][2], before[1][2], "one text\n{run}");
    // The same frames with the same contents, each at the other's address.
    let exchanged = [
        [first.clone(), before[1][1].clone(), before[1][2].clone()],
        [second.clone(), before[0][1].clone(), before[0][2].clone()],
    ];
    assert_eq!(after, exchanged, "{run}");
}

#[test]
fn warp_changes_no_other_program() {
    Boot::program(&["spawn"])
        .cpus(2)
        .append("warp=on")
        .run()
        .assert_status(0);
}
