//! Cutting a stream of bytes into messages and joining messages into one, in bounded memory.

use bytes::Bytes;
use clap::ValueEnum;

/// What stands between messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Separator {
    /// The end of a line.
    Lines,
    /// An empty line, or several.
    Paragraphs,
    /// A zero byte.
    Nul,
}

impl Separator {
    /// What follows a message when messages are joined.
    pub(super) fn bytes(self) -> &'static [u8] {
        match self {
            Separator::Lines => b"\n",
            Separator::Paragraphs => b"\n\n",
            Separator::Nul => b"\0",
        }
    }
}

/// One message's payload, or the size of one that is too large to be any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A payload without its separator, not empty.
    Whole(Bytes),
    /// How many bytes it had.
    TooLarge(usize),
}

/// Cuts bytes, however they come, into pieces. Empty pieces are dropped. Holds one piece at most.
#[derive(Debug)]
pub(super) struct Splitter {
    separator: Option<Separator>,
    bytes_max: usize,
    piece: Vec<u8>,
    /// Bytes of the piece that were not kept, since it is too large.
    excess: usize,
    /// A line has ended, and the next byte decides whether its piece has.
    at_line_end: bool,
}

impl Splitter {
    /// A splitter for pieces of at most `bytes_max`; without a separator all is one piece.
    pub(super) fn new(separator: Option<Separator>, bytes_max: usize) -> Self {
        Splitter { separator, bytes_max, piece: Vec::new(), excess: 0, at_line_end: false }
    }

    /// Takes the next bytes, and appends the pieces that end in them to `out`.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<Piece>) {
        let end = match self.separator {
            None => return self.append(bytes),
            Some(Separator::Nul) => b'\0',
            Some(Separator::Lines | Separator::Paragraphs) => b'\n',
        };
        let mut runs = bytes.split(|byte| *byte == end);
        self.append(runs.next().unwrap_or_default());
        for run in runs {
            self.at_separator(out);
            self.append(run);
        }
    }

    /// The last piece: what follows the last separator, without the end of its last line.
    pub(super) fn finish(mut self) -> Option<Piece> {
        self.take()
    }

    fn at_separator(&mut self, out: &mut Vec<Piece>) {
        let is_end = self.separator != Some(Separator::Paragraphs) || self.at_line_end;
        if is_end {
            out.extend(self.take());
        } else {
            // An empty line ahead of the first line starts nothing.
            self.at_line_end = self.len() > 0;
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if std::mem::take(&mut self.at_line_end) {
            self.keep(b"\n");
        }
        self.keep(bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.excess == 0 && self.piece.len() + bytes.len() <= self.bytes_max {
            self.piece.extend_from_slice(bytes);
        } else {
            self.excess += bytes.len();
        }
    }

    fn len(&self) -> usize {
        self.piece.len() + self.excess
    }

    fn take(&mut self) -> Option<Piece> {
        self.at_line_end = false;
        let length = self.len();
        let piece = std::mem::take(&mut self.piece);
        match std::mem::take(&mut self.excess) {
            _ if length == 0 => None,
            0 => Some(Piece::Whole(Bytes::from(piece))),
            _ => Some(Piece::TooLarge(length)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Option<Separator>; 4] =
        [None, Some(Separator::Lines), Some(Separator::Paragraphs), Some(Separator::Nul)];

    fn split(separator: Option<Separator>, chunks: &[&[u8]]) -> Vec<Piece> {
        let mut splitter = Splitter::new(separator, 1 << 20);
        let mut pieces = Vec::new();
        chunks.iter().for_each(|chunk| splitter.push(chunk, &mut pieces));
        pieces.extend(splitter.finish());
        pieces
    }

    fn whole(pieces: &[&str]) -> Vec<Piece> {
        pieces.iter().map(|piece| Piece::Whole(Bytes::copy_from_slice(piece.as_bytes()))).collect()
    }

    #[test]
    fn pieces_exclude_separators_and_empty_ones_are_dropped() {
        let cases: [(Option<Separator>, &str, &[&str]); 11] = [
            (None, "a\n\nb\n", &["a\n\nb\n"]),
            (None, "", &[]),
            (Some(Separator::Lines), "a\n\nb\n", &["a", "b"]),
            (Some(Separator::Lines), "a\r\nb", &["a\r", "b"]),
            (Some(Separator::Nul), "a\n\0\0b\0", &["a\n", "b"]),
            (Some(Separator::Paragraphs), "a\nb\n\nc\n\n", &["a\nb", "c"]),
            (Some(Separator::Paragraphs), "a\n\n\n\n\nb", &["a", "b"]),
            (Some(Separator::Paragraphs), "\n\na\n", &["a"]),
            (Some(Separator::Paragraphs), "a\n \nb\n\n", &["a\n \nb"]),
            (Some(Separator::Paragraphs), "a", &["a"]),
            (Some(Separator::Paragraphs), "\n\n\n", &[]),
        ];
        for (separator, text, expected) in cases {
            assert_eq!(split(separator, &[text.as_bytes()]), whole(expected), "{text:?}");
        }
    }

    #[test]
    fn a_piece_that_is_too_large_is_counted_and_not_kept() {
        let mut splitter = Splitter::new(Some(Separator::Lines), 3);
        let mut pieces = Vec::new();
        for _ in 0..1000 {
            splitter.push(b"xx", &mut pieces);
            assert!(splitter.piece.capacity() < 64);
        }
        splitter.push(b"\nabc\nd", &mut pieces);
        assert_eq!(pieces[0], Piece::TooLarge(2000));
        assert_eq!(pieces[1..], whole(&["abc"]));
        assert_eq!(splitter.finish(), whole(&["d"]).pop());
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(text in "[ab\\n\\x00]{0,60}", cuts in prop::collection::vec(0..60_usize, 0..6)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut from = 0;
            let mut chunks = Vec::new();
            for cut in cuts.into_iter().chain([bytes.len()]) {
                chunks.push(&bytes[from..cut]);
                from = cut;
            }
            for separator in ALL {
                prop_assert_eq!(split(separator, &chunks), split(separator, &[bytes]));
            }
        }

        #[test]
        fn what_is_joined_splits_into_the_same(
            pieces in prop::collection::vec("[ab](\\n?[ab]){0,5}", 0..8), index in 1..4_usize
        ) {
            let Some(separator) = ALL[index] else { return Ok(()) };
            let pieces: Vec<_> = pieces
                .into_iter()
                .map(|piece| match separator {
                    Separator::Lines => piece.replace('\n', ""),
                    _ => piece,
                })
                .collect();
            let mut joined = Vec::new();
            for piece in &pieces {
                joined.extend_from_slice(piece.as_bytes());
                joined.extend_from_slice(separator.bytes());
            }
            let expected: Vec<_> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(split(Some(separator), &[&joined]), whole(&expected));
        }
    }
}
