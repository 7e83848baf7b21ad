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

    /// The values of all `name=value`, each split at commas.
    pub(crate) fn values<'a>(&self, name: &'a str) -> impl Iterator<Item = &'static str> + use<'a> {
        let words = self.options.split_ascii_whitespace();
        words
            .filter_map(move |word| word.split_once('=').filter(|(key, _)| *key == name))
            .flat_map(|(_, v)| v.split(','))
    }

    /// The value of the last `name=number`, if it is one.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.value(name).and_then(|value| value.parse().ok())
    }

    /// The words after ` -- `, as they were written.
    pub(crate) fn arguments(&self) -> &'static str {
        self.arguments
    }
}
