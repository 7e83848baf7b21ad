//! The boot line: words of the form `name` or `name=value`, then ` -- ` and the arguments of the program to run.

/// The boot line, parsed when asked.
#[derive(Clone, Copy)]
pub(crate) struct CommandLine {
    options: &'static str,
    arguments: &'static str,
}

impl CommandLine {
    /// Splits the options from the program's arguments.
    pub(crate) fn new(text: &'static str) -> CommandLine {
        let (options, arguments) = text.split_once(" -- ").unwrap_or((text, ""));
        CommandLine {
            options,
            arguments: arguments.trim(),
        }
    }

    /// The value of the last `name=value`.
    pub(crate) fn value(&self, name: &str) -> Option<&'static str> {
        self.values(name).last()
    }

    /// The values of all `name=value`.
    pub(crate) fn values<'a>(&self, name: &'a str) -> impl Iterator<Item = &'static str> + use<'a> {
        let words = self.options.split_ascii_whitespace();
        let pairs = words.filter_map(|word| word.split_once('='));
        pairs.filter_map(move |(key, value)| (key == name).then_some(value))
    }

    /// The value of the last `name=number`. Panics if it is not a number.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        let value = self.value(name)?;
        match value.parse() {
            Ok(number) => Some(number),
            Err(_) => panic!("boot line: {name}={value} is not a number"),
        }
    }

    /// Whether the last `name=value` has the first of two possible values rather than the second, which is meant where
    /// there is none. Panics if it is neither.
    pub(crate) fn is_first_of(&self, name: &str, [first, second]: [&str; 2]) -> bool {
        match self.value(name) {
            None => false,
            Some(value) if value == first => true,
            Some(value) if value == second => false,
            Some(value) => panic!("boot line: {name}={value} is neither {first} nor {second}"),
        }
    }

    /// The words after ` -- `, as they were written.
    pub(crate) fn arguments(&self) -> &'static str {
        self.arguments
    }
}
