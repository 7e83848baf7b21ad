//! The tree of directories and files.
//!
//! The initrd's files are its beginning; files that programs make are added. Nothing is ever taken out, so a name that
//! was found stays valid, and a position in a directory (the number of entries before it, in the order in which they
//! were made) means the same for ever.
//!
//! Each directory has a lock of its own, held while one name is looked up in it. Who has opened a file never comes
//! here.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use abi::{Dirent, Errno, FileKind};
use mm::NoMemory;
use mm::heap::try_arc;
use smp::lock::SpinLock;
use smp::rank;
use spin::Once;

use super::path::{Path, Step};
use super::regular::RegularFile;

/// What a name in the tree stands for.
#[derive(Clone)]
pub enum Node {
    /// A file with contents.
    File(Arc<RegularFile>),
    /// A directory.
    Directory(Arc<Directory>),
}

/// A directory.
pub struct Directory {
    /// Dangles in the root.
    parent: Weak<Directory>,
    entries: SpinLock<Entries, rank::FileTree>,
}

struct Entries {
    in_order_made: Vec<Entry>,
    /// Indices into `in_order_made`, sorted by name.
    by_name: Vec<usize>,
}

struct Entry {
    name: Vec<u8>,
    node: Node,
}

/// A tree with a root.
pub struct FileTree {
    root: Arc<Directory>,
}

/// What [`FileTree::create`] came to.
pub enum Created<T> {
    /// There was none; this has been made of the new, empty file.
    New(T),
    /// There was something of that name already.
    Existing(Node),
}

static TREE: Once<FileTree> = Once::new();

/// Makes `tree` the one that programs see. At boot, once.
pub fn install(tree: FileTree) {
    TREE.call_once(|| tree);
}

/// The tree that programs see, once it is there.
pub fn installed() -> Option<&'static FileTree> {
    TREE.get()
}

impl FileTree {
    /// A tree with an empty root directory.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn new() -> Result<FileTree, NoMemory> {
        Ok(FileTree {
            root: Directory::new(Weak::new())?,
        })
    }

    /// What `path` names.
    ///
    /// # Errors
    /// `ENOENT` if there is no such name; `ENOTDIR` if the path goes on, or ends with a `/`, after a file.
    pub fn lookup(&self, path: Path<'_>) -> Result<Node, Errno> {
        let mut node = Node::Directory(self.root.clone());
        for step in path.steps() {
            let Node::Directory(directory) = &node else {
                return Err(Errno::ENOTDIR);
            };
            node = match step {
                Step::Stay => continue,
                Step::Up => Node::Directory(directory.parent()),
                Step::Down(name) => directory.find(name).ok_or(Errno::ENOENT)?,
            };
        }
        match node {
            Node::File(_) if path.must_be_directory() => Err(Errno::ENOTDIR),
            node => Ok(node),
        }
    }

    /// Makes an empty file at `path`, if there is nothing.
    ///
    /// What the caller needs of a new file `prepare` makes, before anybody can find it: if there is no memory for that,
    /// there is no file either.
    ///
    /// # Errors
    /// `ENOENT` or `ENOTDIR` if its directory does not exist; `EISDIR` if the path must be a directory but is none;
    /// `ENOMEM`.
    pub fn create<T>(
        &self,
        path: Path<'_>,
        prepare: impl FnOnce(Arc<RegularFile>) -> Result<T, NoMemory>,
    ) -> Result<Created<T>, Errno> {
        let Some((directory, name)) = path.split_name() else {
            return match self.lookup(path) {
                Ok(existing) => Ok(Created::Existing(existing)),
                Err(Errno::ENOENT) => Err(Errno::EISDIR),
                Err(error) => Err(error),
            };
        };
        let directory = self.directory(directory)?;
        if let Some(existing) = directory.find(name) {
            return Ok(Created::Existing(existing));
        }
        let file = try_arc(RegularFile::new(&[]))?;
        let prepared = prepare(file.clone())?;
        Ok(match directory.add(name, Node::File(file))? {
            None => Created::New(prepared),
            Some(existing) => Created::Existing(existing),
        })
    }

    /// The directory at `path`, made together with those above it if there was none.
    ///
    /// # Errors
    /// `ENOTDIR` if there is a file in its way; `ENOMEM`.
    pub(super) fn make_directories(&self, path: Path<'_>) -> Result<Arc<Directory>, Errno> {
        let mut directory = self.root.clone();
        for step in path.steps() {
            directory = match step {
                Step::Stay => continue,
                Step::Up => directory.parent(),
                Step::Down(name) => directory.child_directory(name)?,
            };
        }
        Ok(directory)
    }

    /// Puts `file` at `path`, whose directories are made as needed.
    ///
    /// # Errors
    /// `EEXIST` if there is something already; `ENOTDIR` if there is a file in the way; `EISDIR` if the path must be a
    /// directory; `ENOMEM`.
    pub(super) fn insert(&self, path: Path<'_>, file: RegularFile) -> Result<(), Errno> {
        let (directory, name) = path.split_name().ok_or(Errno::EISDIR)?;
        let directory = self.make_directories(directory)?;
        match directory.add(name, Node::File(try_arc(file)?))? {
            None => Ok(()),
            Some(_) => Err(Errno::EEXIST),
        }
    }

    fn directory(&self, path: Path<'_>) -> Result<Arc<Directory>, Errno> {
        match self.lookup(path)? {
            Node::Directory(directory) => Ok(directory),
            Node::File(_) => Err(Errno::ENOTDIR),
        }
    }
}

impl Directory {
    fn new(parent: Weak<Directory>) -> Result<Arc<Directory>, NoMemory> {
        let entries = Entries {
            in_order_made: Vec::new(),
            by_name: Vec::new(),
        };
        try_arc(Directory {
            parent,
            entries: SpinLock::new(entries),
        })
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.lock().in_order_made.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Describes the entry at `position`, in the order in which they were made. None at the end.
    pub fn entry(&self, position: usize) -> Option<Dirent> {
        let entries = self.entries.lock();
        let entry = entries.in_order_made.get(position)?;
        let (kind, len) = match &entry.node {
            Node::File(file) => (FileKind::File, file.len_bytes()),
            Node::Directory(_) => (FileKind::Directory, 0),
        };
        Dirent::new(&entry.name, kind, len)
    }

    /// What `name` stands for here.
    pub fn find(&self, name: &[u8]) -> Option<Node> {
        let entries = self.entries.lock();
        let index = entries.search(name).ok()?;
        Some(entries.in_order_made.get(index)?.node.clone())
    }

    /// The directory above; the root is above itself.
    fn parent(self: &Arc<Self>) -> Arc<Directory> {
        self.parent.upgrade().unwrap_or_else(|| self.clone())
    }

    /// Adds an entry, unless there is one of that name: then nothing changes, and it is returned.
    fn add(&self, name: &[u8], node: Node) -> Result<Option<Node>, NoMemory> {
        let mut own_name = Vec::new();
        own_name
            .try_reserve_exact(name.len())
            .map_err(|_| NoMemory)?;
        own_name.extend_from_slice(name);
        self.entries.lock().add(Entry {
            name: own_name,
            node,
        })
    }

    fn child_directory(self: &Arc<Self>, name: &[u8]) -> Result<Arc<Directory>, Errno> {
        let existing = match self.find(name) {
            Some(node) => node,
            None => {
                let new = Directory::new(Arc::downgrade(self))?;
                match self.add(name, Node::Directory(new.clone()))? {
                    None => return Ok(new),
                    Some(existing) => existing,
                }
            }
        };
        match existing {
            Node::Directory(directory) => Ok(directory),
            Node::File(_) => Err(Errno::ENOTDIR),
        }
    }
}

impl Entries {
    /// The index of `name`; or where it belongs in `by_name`.
    fn search(&self, name: &[u8]) -> Result<usize, usize> {
        // Every index is in bounds: nothing is ever taken out.
        let place = self
            .by_name
            .binary_search_by(|&index| self.in_order_made[index].name.as_slice().cmp(name))?;
        Ok(self.by_name[place])
    }

    fn add(&mut self, entry: Entry) -> Result<Option<Node>, NoMemory> {
        let place = match self.search(&entry.name) {
            Ok(index) => {
                return Ok(self
                    .in_order_made
                    .get(index)
                    .map(|existing| existing.node.clone()));
            }
            Err(place) => place,
        };
        self.in_order_made.try_reserve(1).map_err(|_| NoMemory)?;
        self.by_name.try_reserve(1).map_err(|_| NoMemory)?;
        self.by_name.insert(place, self.in_order_made.len());
        self.in_order_made.push(entry);
        Ok(None)
    }
}
