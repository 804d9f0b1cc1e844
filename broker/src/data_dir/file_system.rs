//! What a directory lies on, and whether its word can be taken for what is on the disk.

use std::io;
use std::path::Path;

use rustix::fs::statfs;

/// A file system, as far as it matters to a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// One that keeps what it has synced.
    Sound,
    /// In memory, or on top of another one: it lasts as long as that.
    Borrowed(&'static str),
    /// On another machine, or in another process: a sync may mean less than it says, and a lock may
    /// hold nobody off.
    Distant(&'static str),
}

/// Magic numbers of `statfs(2)`; what is not here is taken for sound.
const KNOWN: [(u32, FileSystem); 13] = [
    (0x0000_6969, FileSystem::Distant("NFS")),
    (0xFF53_4D42, FileSystem::Distant("SMB")),
    (0xFE53_4D42, FileSystem::Distant("SMB")),
    (0x0000_517B, FileSystem::Distant("SMB")),
    (0x0102_1997, FileSystem::Distant("9p")),
    (0x6573_5546, FileSystem::Distant("FUSE")),
    (0x5346_414F, FileSystem::Distant("AFS")),
    (0x00C3_6400, FileSystem::Distant("Ceph")),
    (0x0BD0_0BD0, FileSystem::Distant("Lustre")),
    (0x0102_1994, FileSystem::Borrowed("tmpfs")),
    (0x8584_58F6, FileSystem::Borrowed("ramfs")),
    (0x794C_7630, FileSystem::Borrowed("overlay")),
    (0x00C0_FFEE, FileSystem::Borrowed("hostfs")),
];

impl FileSystem {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let kind = statfs(path)?.f_type;
        // The field is wider than the number that it holds.
        let magic = u32::try_from(kind & 0xffff_ffff).unwrap_or(0);
        let known = KNOWN.iter().find(|(number, _)| *number == magic);
        Ok(known.map_or(FileSystem::Sound, |(_, kind)| *kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_memory_is_told_from_what_lies_on_a_disk() {
        let proc = FileSystem::of(Path::new("/proc")).expect("there is one");
        assert_eq!(proc, FileSystem::Sound, "what is not known is not doubted");
        if Path::new("/dev/shm").is_dir() {
            let shared = FileSystem::of(Path::new("/dev/shm")).expect("there is one");
            assert_eq!(shared, FileSystem::Borrowed("tmpfs"));
        }
    }
}
