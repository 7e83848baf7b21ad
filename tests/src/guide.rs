//! What the guide tells its readers to type, taken out of its pages.
//!
//! A command is a line of a fenced block without a language, or a code span in the text, that calls `./run-smp.sh`.
//! What it promises is said beside it:
//!
//! - with `--gdb`, or a comment that names a key (`# Ctrl-A x`), it does not end by itself;
//! - with a break switch, or a comment that begins with `fails`, its program does not pass;
//! - without a program it is the kernel shell, into which go the lines after the prompt in blocks (`argonaut> ps`);
//! - with a word in capital letters (`PROGRAM`) it is no command but the form of one;
//! - otherwise it ends with 0.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::root;

/// A page of the guide.
pub struct Page {
    /// Its path below the root of the tree.
    pub name: String,
    text: String,
}

/// A call of `run-smp.sh` in the guide.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct GuideCommand {
    /// The page that it stands on.
    pub page: String,
    /// The line or the span.
    pub text: String,
    /// The words after `run-smp.sh`, as a shell would pass them.
    pub words: Vec<String>,
    /// What is to come of it.
    pub promise: Promise,
}

/// What is to come of a command.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Promise {
    /// It ends with status 0.
    Passes,
    /// Its program fails, or is never over, which is what it shows.
    Fails,
    /// Somebody has to end it.
    StaysUp,
}

/// The pages of the guide, and the tree's README.
pub fn pages() -> Vec<Page> {
    let folder = root().join("docs");
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("docs: {error}"));
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    paths.sort();
    paths.insert(0, root().join("README.md"));
    paths.into_iter().map(|path| Page::read(&path)).collect()
}

impl Page {
    fn read(path: &PathBuf) -> Page {
        let text = fs::read_to_string(path);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let below = path.strip_prefix(root()).unwrap_or(path);
        Page {
            name: below.display().to_string(),
            text,
        }
    }

    /// The calls of `run-smp.sh` on this page.
    pub fn commands(&self) -> Vec<GuideCommand> {
        let parts = Parts::of(&self.text);
        let spans = parts.prose.split('`').skip(1).step_by(2);
        let spans = spans.map(|span| span.replace('\n', " "));
        let lines = parts.blocks.into_iter().chain(spans);
        let lines = lines.filter(|line| line.contains("./run-smp.sh"));
        lines.flat_map(|line| self.commands_of(&line)).collect()
    }

    /// A line is one call, or several if it is a loop.
    fn commands_of(&self, line: &str) -> Vec<GuideCommand> {
        let comment = line
            .split_once(" #")
            .map_or("", |(_, comment)| comment.trim());
        let calls = calls_of(line).into_iter();
        calls
            .filter(|words| !words.iter().any(|word| is_placeholder(word)))
            .map(|words| GuideCommand {
                page: self.name.clone(),
                text: line.to_owned(),
                promise: promise(&words, comment),
                words,
            })
            .collect()
    }

    /// What blocks show behind the prompt of the kernel shell, without comments.
    pub fn shell_lines(&self) -> Vec<String> {
        let lines = Parts::of(&self.text).blocks.into_iter();
        let typed = lines.filter_map(|line| {
            let typed = line.strip_prefix("argonaut> ")?;
            let command = typed.split_once(" #").map_or(typed, |(command, _)| command);
            Some(command.trim().to_owned())
        });
        typed.collect()
    }

    /// The targets of the page's links.
    pub fn links(&self) -> Vec<String> {
        let prose = Parts::of(&self.text).prose;
        let targets = prose.split("](").skip(1);
        let targets = targets.filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
        targets.map(str::to_owned).collect()
    }

    /// The anchors of the page's headings, as mdBook and GitHub make them.
    pub fn anchors(&self) -> Vec<String> {
        let prose = Parts::of(&self.text).prose;
        let headings = prose.lines().filter_map(|line| {
            let title = line.trim_start_matches('#');
            (title.len() < line.len()).then(|| title.trim().to_owned())
        });
        headings.map(|title| anchor(&title)).collect()
    }
}

/// A page taken apart.
struct Parts {
    /// The lines of its blocks that have no language.
    blocks: Vec<String>,
    /// What is in no block.
    prose: String,
}

impl Parts {
    fn of(text: &str) -> Parts {
        let (mut blocks, mut prose) = (Vec::new(), String::new());
        // The language of the block that a line is in.
        let mut within: Option<&str> = None;
        for line in text.lines() {
            match (within, line.trim_start().strip_prefix("```")) {
                (None, Some(language)) => within = Some(language.trim()),
                (Some(_), Some(_)) => within = None,
                (Some(""), None) => blocks.push(line.trim().to_owned()),
                (Some(_), None) => {}
                (None, None) => {
                    prose.push_str(line);
                    prose.push('\n');
                }
            }
        }
        Parts { blocks, prose }
    }
}

/// The arguments of each call of `run-smp.sh` in a line, which a shell takes apart.
fn calls_of(line: &str) -> Vec<Vec<String>> {
    let script = line.replace("./run-smp.sh", "called");
    // Bytes that no word has: the ends of a word and of a call.
    let called = r#"called() { for word; do printf '%s\001' "$word"; done; printf '\002'; }"#;
    let output = Command::new("bash")
        .args(["-c", &format!("{called}\n{script}")])
        .output();
    let output = output.unwrap_or_else(|error| panic!("bash: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let calls = text.split('\u{2}');
    let mut calls: Vec<Vec<String>> = calls
        .map(|call| call.split('\u{1}').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    // Behind the last end there is nothing.
    calls.pop();
    calls.iter_mut().for_each(|words| drop(words.pop()));
    calls
}

fn is_placeholder(word: &str) -> bool {
    let name = word.rsplit('=').next().unwrap_or_default();
    let name = name.trim_matches(|letter: char| !letter.is_alphanumeric());
    name.len() > 2 && name.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn promise(words: &[String], comment: &str) -> Promise {
    if words.iter().any(|word| word == "--gdb") || comment.contains("Ctrl-") {
        Promise::StaysUp
    } else if words.iter().any(|word| word.contains("break=")) || comment.starts_with("fails") {
        Promise::Fails
    } else {
        Promise::Passes
    }
}

/// Small letters, digits, hyphens for blanks, and nothing else.
fn anchor(title: &str) -> String {
    let kept = title.chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        _ if letter.is_alphanumeric() => Some(letter.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}
