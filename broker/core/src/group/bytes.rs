//! The form of a group's stored values: numbers and texts back to back. Drawn in `spec/groups.md`.

use bytes::{BufMut, Bytes, BytesMut};

/// Appends numbers and texts.
#[derive(Debug, Default)]
pub(super) struct Writer(BytesMut);

impl Writer {
    /// A number: seven bits per byte, lowest first, the high bit on all but the last.
    pub(super) fn number(&mut self, mut number: u64) {
        while number > 0x7f {
            self.0.put_u8(0x80 | u8::try_from(number & 0x7f).unwrap_or(0));
            number >>= 7;
        }
        self.0.put_u8(u8::try_from(number).unwrap_or(0));
    }

    /// Bytes behind their length.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.put_slice(bytes);
    }

    pub(super) fn finish(self) -> Bytes {
        self.0.freeze()
    }
}

/// Takes them off again; `None` where the bytes end or are not of the form.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if bits.leading_zeros() < shift {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A number that fits the type.
    pub(super) fn small<T: TryFrom<u64>>(&mut self) -> Option<T> {
        T::try_from(self.number()?).ok()
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.small()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}
