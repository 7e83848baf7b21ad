//! Files against the simplest model there is: a vector of bytes for each file, an offset for each open file.

use abi::{Errno, OpenFlags};
use mm::frame::{FrameKind, accounts};
use mm::hw::host::machine;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use proptest::test_runner::TestCaseError;

use super::super::{Descriptors, FileTree, read_archive};
use super::{pattern, read, tar, write};

const FILES: [&str; 2] = ["a", "b"];

#[derive(Clone, Debug)]
enum Operation {
    Open {
        file: usize,
        append: bool,
        truncate: bool,
    },
    /// The operations below name descriptors of the parent or the child.
    Close {
        number: usize,
    },
    Dup {
        number: usize,
    },
    Read {
        number: usize,
        len: usize,
    },
    Write {
        number: usize,
        len: usize,
    },
    Seek {
        number: usize,
        distance: i64,
        whence: u32,
    },
    /// The child becomes a copy of the parent.
    Fork,
    /// From here on the operations are the child's, or the parent's again.
    SwitchProcess,
}

fn operation() -> impl Strategy<Value = Operation> {
    let number = 0_usize..6;
    let len = || prop_oneof![0_usize..20, 4090_usize..4100, 0_usize..20_000];
    let distance = prop_oneof![-20_i64..20, 4090_i64..4100, -20_000_i64..40_000];
    prop_oneof![
        2 => (0..2_usize, any::<bool>(), any::<bool>())
            .prop_map(|(file, append, truncate)| Operation::Open { file, append, truncate: truncate && append }),
        1 => number.clone().prop_map(|number| Operation::Close { number }),
        1 => number.clone().prop_map(|number| Operation::Dup { number }),
        4 => (number.clone(), len()).prop_map(|(number, len)| Operation::Read { number, len }),
        4 => (number.clone(), len()).prop_map(|(number, len)| Operation::Write { number, len }),
        3 => (number, distance, 0_u32..3)
            .prop_map(|(number, distance, whence)| Operation::Seek { number, distance, whence }),
        1 => Just(Operation::Fork),
        1 => Just(Operation::SwitchProcess),
    ]
}

#[derive(Clone)]
struct ModelOpen {
    file: usize,
    append: bool,
    offset: usize,
}

/// Open files by index; two processes' tables of indices.
struct Model {
    files: [Vec<u8>; 2],
    open: Vec<ModelOpen>,
    tables: [Vec<Option<usize>>; 2],
    process: usize,
}

impl Model {
    fn add(&mut self, open: usize) -> usize {
        let table = &mut self.tables[self.process];
        let number = table
            .iter()
            .position(Option::is_none)
            .unwrap_or(table.len());
        table.resize(table.len().max(number + 1), None);
        table[number] = Some(open);
        number
    }

    fn index(&self, number: usize) -> Result<usize, Errno> {
        self.tables[self.process]
            .get(number)
            .copied()
            .flatten()
            .ok_or(Errno::EBADF)
    }

    fn read(&mut self, number: usize, len: usize) -> Result<Vec<u8>, Errno> {
        let index = self.index(number)?;
        let open = &mut self.open[index];
        let bytes: Vec<u8> = self.files[open.file]
            .iter()
            .skip(open.offset)
            .take(len)
            .copied()
            .collect();
        open.offset += bytes.len();
        Ok(bytes)
    }

    fn write(&mut self, number: usize, bytes: &[u8]) -> Result<usize, Errno> {
        let index = self.index(number)?;
        let open = &mut self.open[index];
        let file = &mut self.files[open.file];
        if bytes.is_empty() {
            return Ok(0);
        }
        let start = if open.append { file.len() } else { open.offset };
        file.resize(file.len().max(start + bytes.len()), 0);
        file[start..start + bytes.len()].copy_from_slice(bytes);
        open.offset = start + bytes.len();
        Ok(bytes.len())
    }

    fn seek(&mut self, number: usize, distance: i64, whence: u32) -> Result<usize, Errno> {
        let index = self.index(number)?;
        let open = &mut self.open[index];
        let base = [0, open.offset, self.files[open.file].len()][whence as usize];
        open.offset = base
            .checked_add_signed(distance as isize)
            .ok_or(Errno::EINVAL)?;
        Ok(open.offset)
    }
}

fn run(operations: &[Operation], lens: [usize; 2]) -> Result<(), TestCaseError> {
    let _machine = machine();
    let before = accounts().in_use(FrameKind::File);
    let files = [pattern(lens[0], 100), pattern(lens[1], 101)];
    let tree: FileTree = read_archive(tar(&[
        (FILES[0], b'0', &files[0]),
        (FILES[1], b'0', &files[1]),
    ]))
    .unwrap();
    let mut processes = [Descriptors::new(), Descriptors::new()];
    let mut model = Model {
        files,
        open: Vec::new(),
        tables: [Vec::new(), Vec::new()],
        process: 0,
    };
    for (round, operation) in operations.iter().enumerate() {
        let descriptors = &processes[model.process];
        match *operation {
            Operation::Open {
                file,
                append,
                truncate,
            } => {
                let with =
                    |flags: OpenFlags, wanted, flag| if wanted { flags.with(flag) } else { flags };
                let flags = with(OpenFlags::READ_WRITE, append, OpenFlags::APPEND);
                let flags = with(flags, truncate, OpenFlags::TRUNCATE);
                if truncate {
                    model.files[file].clear();
                }
                model.open.push(ModelOpen {
                    file,
                    append,
                    offset: 0,
                });
                let expected = model.add(model.open.len() - 1);
                prop_assert_eq!(
                    descriptors.open(&tree, FILES[file].as_bytes(), flags),
                    Ok(expected)
                );
            }
            Operation::Close { number } => {
                let expected = model
                    .index(number)
                    .map(|_| model.tables[model.process][number] = None);
                prop_assert_eq!(descriptors.close(number as i32), expected.map(|()| 0));
            }
            Operation::Dup { number } => {
                let expected = model.index(number).map(|open| model.add(open));
                prop_assert_eq!(descriptors.dup(number as i32), expected);
            }
            Operation::Read { number, len } => {
                prop_assert_eq!(read(descriptors, number, len), model.read(number, len));
            }
            Operation::Write { number, len } => {
                let bytes = pattern(len, round);
                prop_assert_eq!(
                    write(descriptors, number, &bytes),
                    model.write(number, &bytes)
                );
            }
            Operation::Seek {
                number,
                distance,
                whence,
            } => {
                let expected = model.seek(number, distance, whence);
                prop_assert_eq!(descriptors.seek(number as i32, distance, whence), expected);
            }
            Operation::Fork => {
                processes[1] = processes[0].fork().unwrap();
                model.tables[1] = model.tables[0].clone();
            }
            Operation::SwitchProcess => model.process = 1 - model.process,
        }
    }
    for (name, expected) in FILES.iter().zip(&model.files) {
        prop_assert_eq!(&super::contents(&tree, name).unwrap(), expected);
    }
    drop((tree, processes));
    prop_assert_eq!(accounts().in_use(FrameKind::File), before);
    Ok(())
}

proptest! {
    #[test]
    fn files_behave_like_vectors_of_bytes_with_offsets(
        operations in vec(operation(), 1..60),
        lens in [0_usize..10_000, 0_usize..10_000],
    ) {
        run(&operations, lens)?;
    }
}
