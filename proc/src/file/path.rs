//! Paths: how a name from outside becomes steps through the tree.
//!
//! Components are separated by one or more `/`. A path may begin with `/` or not: there is no current directory, every
//! path starts at the root. `.` is the directory itself, `..` the one above it (at the root: the root). A path that
//! ends with `/`, `.` or `..` names a directory.

use abi::{Errno, NAME_MAX, PATH_MAX};

/// A path whose length and components are within bounds; what it names need not exist.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Path<'a> {
    bytes: &'a [u8],
}

/// One step of a path.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Step<'a> {
    /// Stay in this directory.
    Stay,
    /// Go to the directory above.
    Up,
    /// Go to what has this name here.
    Down(&'a [u8]),
}

impl<'a> Path<'a> {
    /// Checks the path.
    ///
    /// # Errors
    /// `ENOENT` if it is empty, `ENAMETOOLONG` if it has more than [`PATH_MAX`] bytes or a component of more than
    /// [`NAME_MAX`], `EINVAL` if it has a NUL in it.
    pub fn parse(bytes: &'a [u8]) -> Result<Path<'a>, Errno> {
        if bytes.is_empty() {
            return Err(Errno::ENOENT);
        }
        if bytes.len() > PATH_MAX || components(bytes).any(|component| component.len() > NAME_MAX) {
            return Err(Errno::ENAMETOOLONG);
        }
        if bytes.contains(&0) {
            return Err(Errno::EINVAL);
        }
        Ok(Path { bytes })
    }

    /// The steps, from the root.
    pub fn steps(self) -> impl Iterator<Item = Step<'a>> {
        components(self.bytes).map(|component| match component {
            b"." => Step::Stay,
            b".." => Step::Up,
            name => Step::Down(name),
        })
    }

    /// Whether the path says by its form that it names a directory.
    pub fn must_be_directory(self) -> bool {
        matches!(
            self.bytes.rsplit(|&byte| byte == b'/').next(),
            Some(b"" | b"." | b"..")
        )
    }

    /// The path of the directory and the name in it, for making a file. None if the path must be a directory.
    pub fn split_name(self) -> Option<(Path<'a>, &'a [u8])> {
        if self.must_be_directory() {
            return None;
        }
        let directory_len = self
            .bytes
            .iter()
            .rposition(|&byte| byte == b'/')
            .map_or(0, |slash| slash + 1);
        let (directory, name) = self.bytes.split_at_checked(directory_len)?;
        Some((Path { bytes: directory }, name))
    }
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/')
        .filter(|component| !component.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{Path, Step};
    use abi::{Errno, NAME_MAX, PATH_MAX};

    fn steps(path: &str) -> Vec<Step<'_>> {
        Path::parse(path.as_bytes()).unwrap().steps().collect()
    }

    #[test]
    fn slashes_separate_however_many_there_are() {
        let expected = [Step::Down(b"a"), Step::Down(b"b")];
        for path in ["a/b", "/a/b", "//a///b//"] {
            assert_eq!(steps(path), expected, "{path}");
        }
        assert_eq!(steps("/"), []);
    }

    #[test]
    fn dots_are_steps_and_longer_runs_of_dots_are_names() {
        assert_eq!(
            steps("./../..."),
            [Step::Stay, Step::Up, Step::Down(b"...")]
        );
    }

    #[test]
    fn a_path_that_ends_without_a_name_is_a_directory() {
        for (path, expected) in [
            ("/", true),
            ("a/", true),
            ("a/.", true),
            ("..", true),
            ("a", false),
            ("a/b..", false),
        ] {
            assert_eq!(
                Path::parse(path.as_bytes()).unwrap().must_be_directory(),
                expected,
                "{path}"
            );
        }
    }

    #[test]
    fn a_path_splits_before_its_last_name() {
        let path = Path::parse(b"/a//b/c").unwrap();
        let (directory, name) = path.split_name().unwrap();
        assert_eq!((directory.steps().count(), name), (2, b"c".as_slice()));
        let (directory, name) = Path::parse(b"c").unwrap().split_name().unwrap();
        assert_eq!((directory.steps().count(), name), (0, b"c".as_slice()));
        assert!(Path::parse(b"a/").unwrap().split_name().is_none());
    }

    #[test]
    fn bounds_are_kept_to_the_byte() {
        let longest_name = vec![b'n'; NAME_MAX];
        assert!(Path::parse(&longest_name).is_ok());
        let too_long = [&longest_name[..], b"n"].concat();
        assert_eq!(Path::parse(&too_long), Err(Errno::ENAMETOOLONG));
        let longest_path = b"a/".repeat(PATH_MAX / 2 + 1);
        assert!(Path::parse(&longest_path[..PATH_MAX]).is_ok());
        assert_eq!(
            Path::parse(&longest_path[..PATH_MAX + 1]),
            Err(Errno::ENAMETOOLONG)
        );
        assert_eq!(Path::parse(b""), Err(Errno::ENOENT));
        assert_eq!(Path::parse(b"a\0b"), Err(Errno::EINVAL));
    }
}
