//! The secret that clients of an earlier run of the broker still rely on: with it, stateless resets
//! are understood, address tokens are taken and TLS sessions resume after a restart.

use std::path::Path;

use aws_lc_rs::rand;
use sampan_quic::SECRET_BYTES;

use super::error::Error;
use crate::durable;

pub(super) fn load_or_create(path: &Path) -> Result<[u8; SECRET_BYTES], Error> {
    let io = |error| Error::Io(path.to_owned(), error);
    if let Some(bytes) = durable::read(path).map_err(io)? {
        return bytes.try_into().map_err(|_| Error::Transport(path.to_owned()));
    }
    let mut bytes = [0; SECRET_BYTES];
    rand::fill(&mut bytes).map_err(|_| Error::Crypto)?;
    durable::replace(path, durable::PRIVATE, &bytes).map_err(io)?;
    Ok(bytes)
}
