//! CRC32C with a seed for each place, so that bytes are only valid where they were written.

/// What the checksums of one segment of one store start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed(u32);

impl Seed {
    /// The seed of a segment, or of another file under a number of its own.
    pub(crate) fn new(store_id: u64, number: u64) -> Self {
        Seed(0).with(store_id).with(number)
    }

    /// This seed at a position, or told apart by another number.
    pub(crate) fn with(self, number: u64) -> Self {
        Seed(self.over(&number.to_le_bytes()))
    }

    /// The checksum of some bytes.
    pub(crate) fn over(self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.0, bytes)
    }

    /// The seed for what follows these bytes.
    pub(crate) fn after(self, bytes: &[u8]) -> Self {
        Seed(self.over(bytes))
    }

    /// The checksum of all that this seed has come over.
    pub(crate) fn sum(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_crc32c_in_pieces_as_in_one_and_differs_by_place() {
        assert_eq!(Seed(0).over(b"123456789"), 0xE306_9283);
        assert_eq!(Seed(0).after(b"1234").over(b"56789"), 0xE306_9283);
        let sums = [(1, 1), (1, 2), (2, 1)].map(|(store, segment)| {
            [0, 8].map(|at| Seed::new(store, segment).with(at).over(b"same"))
        });
        let mut sums: Vec<u32> = sums.into_iter().flatten().collect();
        sums.sort_unstable();
        sums.dedup();
        assert_eq!(sums.len(), 6);
    }
}
