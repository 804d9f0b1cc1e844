//! SHA-256 and HMAC: what the shop signs for itself, and what others sign for it.

use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256, Key, sign, verify};

/// A secret that signs.
pub struct Secret(Key);

impl Secret {
    /// A secret of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Secret(Key::new(HMAC_SHA256, bytes))
    }

    /// A secret of these bytes that signs with SHA-1, for those who still do.
    #[must_use]
    pub fn with_sha1(bytes: &[u8]) -> Self {
        Secret(Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, bytes))
    }

    /// The bytes that sign a message, 32 or of SHA-1 20.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        sign(&self.0, message).as_ref().to_vec()
    }

    /// Whether the signature is the message's, in the same time for all of its size.
    #[must_use]
    pub fn is_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        verify(&self.0, message, signature).is_ok()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// The SHA-256 of bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&SHA256, bytes).as_ref().to_vec()
}

/// The SHA-256 of texts, each told apart from the next, in hexadecimal.
#[must_use]
pub fn digest_of(texts: &[&str]) -> String {
    let mut bytes = Vec::new();
    for text in texts {
        bytes.extend_from_slice(text.len().to_string().as_bytes());
        bytes.push(b':');
        bytes.extend_from_slice(text.as_bytes());
    }
    hex(&digest(&bytes))
}

/// The id of what has these names, 32 characters: the same for the same names.
#[must_use]
pub fn id_of(names: &[&str]) -> String {
    let mut id = digest_of(names);
    id.truncate(32);
    id
}

/// The SHA-256 of bytes that come piece by piece.
#[derive(Clone)]
pub struct Digest(digest::Context);

impl Default for Digest {
    fn default() -> Self {
        Digest(digest::Context::new(&SHA256))
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest")
    }
}

impl Digest {
    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The SHA-256 of all of them.
    #[must_use]
    pub fn end(self) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

/// Bytes in hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The bytes of a hexadecimal text, of either case.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    let pairs = digits.chunks_exact(2);
    pairs.map(|pair| u8::try_from(pair.first()? * 16 + pair.last()?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Case 2 of RFC 4231.
    #[test]
    fn a_signature_is_that_of_the_standard() {
        let secret = Secret::new(b"Jefe");
        let signature = secret.sign(b"what do ya want for nothing?");
        let known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(&signature), known);
        assert_eq!(unhex(&known.to_uppercase()), Some(signature.clone()));
        assert!(secret.is_signed(b"what do ya want for nothing?", &signature));
        assert!(!secret.is_signed(b"what do ya want for nothing!", &signature));
        assert!(!secret.is_signed(b"what do ya want for nothing?", &signature[..31]));
        assert!(!Secret::new(b"other").is_signed(b"what do ya want for nothing?", &signature));
    }

    #[test]
    fn pieces_have_the_digest_of_the_whole() {
        let mut pieces = Digest::default();
        for piece in [&b"a"[..], b"", b"bc"] {
            pieces.add(piece);
        }
        assert_eq!(pieces.end(), digest(b"abc"));
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(&digest(b"abc")), known);
    }

    #[test]
    fn what_is_no_hexadecimal_is_nothing() {
        for bad in ["0", "0g", "é0", "0x00"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }
}
