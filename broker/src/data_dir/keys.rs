//! Keys that clients of an earlier run of the broker still rely on.

use std::path::Path;

use aws_lc_rs::rand;

use super::error::Error;
use super::private;

/// The broker's own symmetric keys. Kept, so that after a restart stateless resets are understood,
/// address tokens are taken and TLS sessions resume. Never printed.
#[derive(Clone)]
pub struct Keys {
    /// For stateless resets.
    pub reset: [u8; 64],
    /// For retry and address-validation tokens.
    pub token: [u8; 64],
    /// For TLS session tickets.
    pub ticket: [u8; 64],
}

/// Identifies the file and its layout.
const MAGIC: &[u8; 16] = b"sampan-keys-0001";
const BYTES: usize = 16 + 3 * 64;

impl Keys {
    pub(super) fn load_or_create(path: &Path) -> Result<Self, Error> {
        if let Some(bytes) = private::read(path)? {
            return Keys::parse(&bytes).ok_or_else(|| Error::Keys(path.to_owned()));
        }
        let mut bytes = [0; BYTES];
        bytes[..16].copy_from_slice(MAGIC);
        rand::fill(&mut bytes[16..]).map_err(|_| Error::Crypto)?;
        private::create(path, private::SECRET, &bytes)?;
        Keys::parse(&bytes).ok_or(Error::Crypto)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
        let keys = bytes.strip_prefix(MAGIC)?;
        let key = |at: usize| keys.get(at * 64..(at + 1) * 64)?.try_into().ok();
        Some(Keys { reset: key(0)?, token: key(1)?, ticket: key(2)? })
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}
