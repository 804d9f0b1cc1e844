//! The message log of one shard: segments in a directory, group commit, recovery, retention.
//!
//! Every byte is drawn in `spec/journal.md`. Start reading at [`storage`].

mod checksum;
pub mod storage;
