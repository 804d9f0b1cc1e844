//! What a disk holds, what programs see of it, and what of the difference a crash keeps.
//!
//! A byte lasts once its file is synced, a name once the directory is. Until then a crash keeps any
//! part: of a write any of its sectors or pages, of a file's growth all or nothing, of names any
//! changes. What a failed sync was to keep stays in doubt for ever, whatever a later sync says.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Chooses one of so many possibilities, counted from 0.
pub type Choose<'a> = dyn FnMut(u64) -> u64 + 'a;

/// Pieces that a write may be torn into: sectors, pages.
const PIECES: [usize; 2] = [512, 4096];

/// A change of the disk, in the order in which a program made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An empty file was made. Files are numbered in the order in which they were made.
    Create {
        /// Its name.
        name: String,
    },
    /// Bytes were written.
    Write {
        /// Which file.
        file: usize,
        /// Where they start.
        at: u64,
        /// The bytes.
        bytes: Arc<[u8]>,
    },
    /// A file was cut or made longer.
    SetLen {
        /// Which file.
        file: usize,
        /// To what length.
        bytes: u64,
    },
    /// A file was synced.
    Sync {
        /// Which file.
        file: usize,
        /// Whether it succeeded.
        done: bool,
    },
    /// A file was given another name.
    Rename {
        /// From this one.
        from: String,
        /// To this one.
        to: String,
    },
    /// A name was removed.
    Remove {
        /// The name.
        name: String,
    },
    /// The directory was synced.
    SyncDir {
        /// Whether it succeeded.
        done: bool,
    },
}

/// Whether a crash keeps a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Not synced.
    Open,
    /// Synced.
    Sure,
    /// A sync has failed.
    Doubtful,
}

/// Changes that are not all sure yet, oldest first.
type Pending<T> = Vec<(T, Fate)>;

/// A sync of everything pending: tells the changes at the front that are sure, and forgets them.
fn settle<T>(pending: &mut Pending<T>, done: bool) -> Vec<T> {
    for (_, fate) in pending.iter_mut().filter(|(_, fate)| *fate == Fate::Open) {
        *fate = if done { Fate::Sure } else { Fate::Doubtful };
    }
    let sure = pending.iter().take_while(|(_, fate)| *fate == Fate::Sure).count();
    pending.drain(..sure).map(|(change, _)| change).collect()
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: u64, bytes: Arc<[u8]> },
    SetLen(u64),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write { at, bytes } => put(content, index(*at), bytes),
            Change::SetLen(bytes) => content.resize(index(*bytes), 0),
        }
    }

    /// Applies what a crash keeps of it.
    fn crash(&self, content: &mut Vec<u8>, choose: &mut Choose<'_>) {
        let Change::Write { at, bytes } = self else {
            return if choose(2) == 0 {
                self.apply(content)
            };
        };
        let (at, before) = (index(*at), content.len());
        let whole = choose(4);
        if whole == 0 {
            return put(content, at, bytes);
        }
        if whole == 1 {
            return;
        }
        let piece = PIECES[index(choose(2))];
        let pieces = pieces(at, bytes.len(), piece);
        let first = if whole == 2 { index(choose(pieces.len() as u64)) } else { 0 };
        for (number, (from, to)) in pieces.into_iter().enumerate() {
            let kept = if whole == 2 { number < first } else { choose(2) == 0 };
            if kept {
                put(content, at + from, &bytes[from..to]);
            }
        }
        if at + bytes.len() > before {
            let grown = choose(2) == 0;
            content.resize(if grown { at + bytes.len() } else { before }, 0);
        }
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(bytes);
}

/// Where a write of `length` bytes at `at` may tear, as ranges of its bytes.
fn pieces(at: usize, length: usize, piece: usize) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let mut from = 0;
    while from < length {
        let to = length.min((at + from) / piece * piece + piece - at);
        out.push((from, to));
        from = to;
    }
    out
}

#[derive(Clone, Debug, Default)]
struct Content {
    /// As programs see it.
    now: Arc<Vec<u8>>,
    /// As it is when nothing of `pending` is kept.
    sure: Arc<Vec<u8>>,
    pending: Pending<Change>,
    /// Bytes up to which space is taken.
    taken: u64,
}

impl Content {
    fn lasting(bytes: Arc<Vec<u8>>, taken: u64) -> Self {
        Content { now: Arc::clone(&bytes), sure: bytes, pending: Vec::new(), taken }
    }

    fn change(&mut self, change: Change) {
        change.apply(Arc::make_mut(&mut self.now));
        self.taken = match &change {
            Change::Write { at, bytes } => self.taken.max(at + bytes.len() as u64),
            Change::SetLen(bytes) => self.taken.min(*bytes),
        };
        self.pending.push((change, Fate::Open));
    }

    fn sync(&mut self, done: bool) {
        let sure = settle(&mut self.pending, done);
        if !sure.is_empty() {
            let content = Arc::make_mut(&mut self.sure);
            sure.iter().for_each(|change| change.apply(content));
        }
    }

    fn crash(&self, choose: &mut Choose<'_>) -> Content {
        if self.pending.is_empty() {
            return Content::lasting(Arc::clone(&self.sure), self.taken);
        }
        let mut content = (*self.sure).clone();
        for (change, fate) in &self.pending {
            match fate {
                Fate::Sure => change.apply(&mut content),
                Fate::Open | Fate::Doubtful => change.crash(&mut content, choose),
            }
        }
        let taken = self.taken.min(content.len() as u64);
        Content::lasting(Arc::new(content), taken)
    }
}

/// Which file a name stands for; `None` if it is removed.
type Naming = Vec<(String, Option<usize>)>;

/// A directory and its files.
#[derive(Clone, Debug, Default)]
pub struct Medium {
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    sure: BTreeMap<String, usize>,
    pending: Pending<Naming>,
}

fn name_all(names: &mut BTreeMap<String, usize>, naming: &Naming) {
    for (name, file) in naming {
        match file {
            Some(file) => names.insert(name.clone(), *file),
            None => names.remove(name),
        };
    }
}

impl Medium {
    /// Makes a change. One that cannot be made, such as a rename of nothing, changes nothing.
    pub fn apply(&mut self, step: &Step) {
        match step {
            Step::Create { name } => {
                self.files.push(Content::default());
                self.name(vec![(name.clone(), Some(self.files.len() - 1))]);
            }
            Step::Rename { from, to } => {
                if let Some(file) = self.find(from) {
                    self.name(vec![(from.clone(), None), (to.clone(), Some(file))]);
                }
            }
            Step::Remove { name } => self.name(vec![(name.clone(), None)]),
            Step::SyncDir { done } => {
                for naming in settle(&mut self.pending, *done) {
                    name_all(&mut self.sure, &naming);
                }
            }
            Step::Write { file, at, bytes } => {
                let change = Change::Write { at: *at, bytes: Arc::clone(bytes) };
                self.with(*file, |content| content.change(change));
            }
            Step::SetLen { file, bytes } => {
                self.with(*file, |content| content.change(Change::SetLen(*bytes)));
            }
            Step::Sync { file, done } => self.with(*file, |content| content.sync(*done)),
        }
    }

    fn with(&mut self, file: usize, act: impl FnOnce(&mut Content)) {
        self.files.get_mut(file).map(act);
    }

    fn name(&mut self, naming: Naming) {
        name_all(&mut self.names, &naming);
        self.pending.push((naming, Fate::Open));
    }

    /// The disk after a power cut: what was synced, and what is chosen of the rest.
    #[must_use]
    pub fn crash(&self, choose: &mut Choose<'_>) -> Medium {
        let mut names = self.sure.clone();
        for (naming, fate) in &self.pending {
            if *fate == Fate::Sure || choose(2) == 0 {
                name_all(&mut names, naming);
            }
        }
        self.with_names(names, |content| content.crash(choose))
    }

    /// The disk when a process has ended and everything that it did has come to last.
    #[must_use]
    pub fn kill(&self) -> Medium {
        let lasting = |content: &Content| Content::lasting(Arc::clone(&content.now), content.taken);
        self.with_names(self.names.clone(), lasting)
    }

    /// A disk with these names; files without one are not kept.
    fn with_names(
        &self,
        names: BTreeMap<String, usize>,
        mut content: impl FnMut(&Content) -> Content,
    ) -> Medium {
        let mut files = Vec::new();
        let mut kept = BTreeMap::new();
        let mut names = names;
        for file in names.values_mut() {
            *file = *kept.entry(*file).or_insert_with(|| {
                files.push(self.files.get(*file).map(&mut content).unwrap_or_default());
                files.len() - 1
            });
        }
        Medium { files, sure: names.clone(), names, pending: Vec::new() }
    }

    /// The names of all files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// The file of this name.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    pub(super) fn bytes(&self, name: &str) -> Option<Arc<Vec<u8>>> {
        self.find(name).and_then(|file| self.files.get(file)).map(|content| content.now.clone())
    }

    pub(super) fn rot(&mut self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(content) = self.find(name).and_then(|file| self.files.get_mut(file)) {
            change(Arc::make_mut(&mut content.now));
            content.sure = Arc::clone(&content.now);
            content.pending.clear();
        }
    }

    pub(super) fn len(&self, file: usize) -> u64 {
        self.files.get(file).map_or(0, |content| content.now.len() as u64)
    }

    pub(super) fn read(&self, file: usize, buffer: &mut [u8], at: u64) -> usize {
        let content = self.files.get(file).map_or(&[][..], |content| &content.now);
        let there = content.get(index(at)..).unwrap_or(&[]);
        let count = there.len().min(buffer.len());
        buffer[..count].copy_from_slice(&there[..count]);
        count
    }

    /// Bytes that a write of this file up to `end` takes in addition.
    pub(super) fn growth(&self, file: usize, end: u64) -> u64 {
        end.saturating_sub(self.files.get(file).map_or(0, |content| content.taken))
    }

    /// Bytes that all files with a name take together.
    pub(super) fn used(&self) -> u64 {
        self.names.values().filter_map(|file| self.files.get(*file)).map(|file| file.taken).sum()
    }
}
