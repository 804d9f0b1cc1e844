//! The secret that clients of an earlier run of the broker still rely on: with it, stateless resets
//! are understood, address tokens are taken and TLS sessions resume after a restart.

use std::path::Path;

use aws_lc_rs::rand;
use sampan_quic::SECRET_BYTES;

use super::error::Error;
use super::private;

pub(super) fn load_or_create(path: &Path) -> Result<[u8; SECRET_BYTES], Error> {
    if let Some(bytes) = private::read(path)? {
        return bytes.try_into().map_err(|_| Error::Transport(path.to_owned()));
    }
    let mut bytes = [0; SECRET_BYTES];
    rand::fill(&mut bytes).map_err(|_| Error::Crypto)?;
    private::create(path, private::SECRET, &bytes)?;
    Ok(bytes)
}
