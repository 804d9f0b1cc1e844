//! What of a group differs from what is stored, and how it is divided into pieces that the journal
//! can take.
//!
//! A piece is stored all or not at all. Whatever fits into one piece goes as one; what is more is cut
//! where a crash does no harm: places ahead of blocks, and a dead letter always with the place and the
//! block that settle its message.

use std::collections::{BTreeMap, BTreeSet};

use ::bytes::Bytes;

use super::record::Definition;

/// Bytes of dead letters that wait to be stored at the same time, but for the last of them, with the
/// blocks that settle them: they are stored in one piece, which has to fit into the smallest segment.
const LETTER_BYTES: usize = 256 * 1024;
/// Bytes that a stored value takes at most, beside key and value.
const VALUE_BYTES: usize = 48;

/// Keys with their new values; `None` removes.
pub(crate) type Piece = Vec<(Bytes, Option<Bytes>)>;

/// Something that happened to dead letters, stored in one piece.
#[derive(Debug)]
pub(super) struct Act {
    pub(super) values: Piece,
    /// Dead letters, and the id of the next one, after it.
    letters: u64,
    next_letter: u64,
    /// Whether it goes with the settlement of a message.
    settles: bool,
}

/// What differs from what is stored.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub(super) definition: bool,
    /// Whether nothing is stored of the group.
    pub(super) is_new: bool,
    /// Topics whose cursor may differ.
    pub(super) topics: BTreeSet<u64>,
    acts: Vec<Act>,
    act_bytes: usize,
    /// Blocks whose messages have become dead letters, by topic.
    pub(super) settled: BTreeMap<u64, BTreeSet<u64>>,
    /// Keys of messages that were back and are settled.
    pub(super) returned: Vec<Bytes>,
}

impl Changed {
    /// Whether no more may happen to dead letters for now.
    pub(super) fn is_full(&self) -> bool {
        self.act_bytes >= LETTER_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        let Changed { definition, topics, acts, returned, .. } = self;
        !*definition && topics.is_empty() && acts.is_empty() && returned.is_empty()
    }

    /// Something has happened to dead letters, and made the definition this.
    pub(super) fn act(&mut self, values: Piece, after: &Definition) {
        self.act_bytes += values.iter().map(weight).sum::<usize>();
        let Definition { letters, next_letter, .. } = *after;
        self.acts.push(Act { values, letters, next_letter, settles: false });
        self.definition = true;
    }

    /// What has happened last settles a message of this block, of about so many bytes.
    pub(super) fn settle_with(&mut self, topic_id: u64, block: u64, bytes: usize) {
        if self.settled.entry(topic_id).or_default().insert(block) {
            self.act_bytes += bytes;
        }
        self.acts.iter_mut().rev().take(1).for_each(|act| act.settles = true);
    }

    /// What has happened to dead letters: pieces of about so many bytes, each with the definition that
    /// it leads to, and `with`, which settles messages, in the one that it belongs to.
    pub(super) fn pieces(
        &mut self,
        key: &Bytes,
        definition: &Definition,
        mut with: Piece,
        piece_bytes: usize,
    ) -> Vec<Piece> {
        let acts = std::mem::take(&mut self.acts);
        let last = acts.iter().rposition(|act| act.settles);
        let first = acts.iter().position(|act| act.settles);
        let (mut pieces, mut piece) = (Vec::new(), Piece::new());
        for (index, act) in acts.into_iter().enumerate() {
            piece.extend(act.values);
            if Some(index) == last {
                piece.append(&mut with);
            }
            let divides =
                first.zip(last).is_some_and(|(first, last)| index >= first && index < last);
            let is_long = piece.iter().map(weight).sum::<usize>() >= piece_bytes;
            if is_long && !divides || Some(index) == last {
                let (letters, next_letter) = (act.letters, act.next_letter);
                let definition = Definition { letters, next_letter, ..definition.clone() };
                piece.push((key.clone(), Some(definition.encode())));
                pieces.push(std::mem::take(&mut piece));
            }
        }
        piece.append(&mut with);
        if !piece.is_empty() || self.definition && pieces.is_empty() {
            piece.push((key.clone(), Some(definition.encode())));
            pieces.push(piece);
        }
        pieces
    }
}

/// Bytes that a key and its value take in the journal at most.
pub(crate) fn weight((key, value): &(Bytes, Option<Bytes>)) -> usize {
    key.len() + value.as_ref().map_or(0, Bytes::len) + VALUE_BYTES
}
