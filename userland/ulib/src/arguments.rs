//! The words that a program was started with.

use abi::arguments;

/// The program's name and arguments.
#[derive(Copy, Clone)]
pub struct Arguments {
    /// The words, each followed by a NUL.
    words: &'static [u8],
    count: usize,
}

impl Arguments {
    /// Takes the argument string apart where it stands; its last byte is room for a NUL.
    pub fn split(string: &'static mut [u8]) -> Arguments {
        let split = arguments::split_in_place(string);
        let string: &'static [u8] = string;
        Arguments {
            words: string.get(..split.len).unwrap_or_default(),
            count: split.count,
        }
    }

    /// How many words there are, the program's name among them.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Are there no words at all?
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The words in their order. The first is the program's name.
    ///
    /// # Panics
    /// If a word is not UTF-8.
    pub fn iter(&self) -> impl Iterator<Item = &'static str> + Clone + use<> {
        arguments::words(self.words)
            .map(|word| core::str::from_utf8(word).expect("an argument is not UTF-8"))
    }

    /// The word at `position`; 0 is the program's name.
    ///
    /// # Panics
    /// If a word up to it is not UTF-8.
    pub fn get(&self, position: usize) -> Option<&'static str> {
        self.iter().nth(position)
    }

    /// The program's name, as it was called.
    pub fn name(&self) -> &'static str {
        self.get(0).unwrap_or_default()
    }

    /// The words after the program's name.
    pub fn operands(&self) -> impl Iterator<Item = &'static str> + Clone + use<> {
        self.iter().skip(1)
    }

    /// The number at `position`, or `default` if there is no such word.
    ///
    /// # Panics
    /// If the word is not a number.
    pub fn number(&self, position: usize, default: usize) -> usize {
        match self.get(position) {
            None => default,
            Some(word) => match word.parse() {
                Ok(number) => number,
                Err(_) => panic!("'{word}' is not a number"),
            },
        }
    }

    /// The time at `position` in nanoseconds: a number of seconds, or of milliseconds with `ms` behind it; `default_s`
    /// seconds if there is no such word.
    ///
    /// # Panics
    /// If the word is something else.
    pub fn duration_ns(&self, position: usize, default_s: u64) -> u64 {
        let Some(word) = self.get(position) else {
            return default_s * 1_000_000_000;
        };
        let (number, unit_ns) = match word.strip_suffix("ms") {
            Some(number) => (number, 1_000_000),
            None => (word, 1_000_000_000),
        };
        let count: Option<u64> = number.parse().ok();
        match count.and_then(|count| count.checked_mul(unit_ns)) {
            Some(duration_ns) => duration_ns,
            None => panic!("'{word}' is not a time"),
        }
    }

    /// The word after the word `option`, as a number; `default` if `option` is not there.
    ///
    /// # Panics
    /// If `option` is there without a number after it.
    pub fn option(&self, option: &str, default: usize) -> usize {
        match self.iter().position(|word| word == option) {
            None => default,
            Some(position) => match self.get(position + 1).and_then(|word| word.parse().ok()) {
                Some(number) => number,
                None => panic!("{option} wants a number"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Arguments;

    fn arguments(string: &str) -> Arguments {
        let mut string = string.as_bytes().to_vec();
        string.push(0);
        Arguments::split(string.leak())
    }

    #[test]
    fn the_first_word_is_the_name_and_the_others_are_operands() {
        let arguments = arguments("hello 'big world' x");
        assert_eq!(arguments.name(), "hello");
        assert_eq!(arguments.operands().collect::<Vec<_>>(), ["big world", "x"]);
        assert_eq!(arguments.len(), 3);
        assert_eq!(arguments.get(3), None);
    }

    #[test]
    fn numbers_have_defaults() {
        let arguments = arguments("forkexit --rounds 50 7");
        assert_eq!(arguments.option("--rounds", 1000), 50);
        assert_eq!(arguments.option("--jobs", 4), 4);
        assert_eq!(arguments.number(3, 1), 7);
        assert_eq!(arguments.number(4, 1), 1);
    }

    #[test]
    fn times_are_seconds_or_milliseconds() {
        let arguments = arguments("threadstorm 3 60ms");
        assert_eq!(arguments.duration_ns(1, 10), 3_000_000_000);
        assert_eq!(arguments.duration_ns(2, 10), 60_000_000);
        assert_eq!(arguments.duration_ns(3, 10), 10_000_000_000);
    }

    #[test]
    #[should_panic(expected = "'3s' is not a time")]
    fn a_time_in_another_unit_is_an_error() {
        arguments("threadstorm 3s").duration_ns(1, 10);
    }

    #[test]
    #[should_panic(expected = "--rounds wants a number")]
    fn an_option_without_its_number_is_an_error() {
        arguments("forkexit --rounds").option("--rounds", 1000);
    }
}
