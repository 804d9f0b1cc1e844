//! Bodies to frames and back.

use bytes::Bytes;

use crate::error::Error;
use crate::frame::{Frame, Header, Kind};

/// A control body: the kind it belongs to, the caps on its fields, and its bytes.
///
/// Implemented by the bodies of this module only.
pub trait Body: Sized {
    /// The frame kind that carries this body.
    const KIND: Kind;

    /// Checks ranges and list lengths; called on every body that is encoded or decoded.
    ///
    /// # Errors
    /// The first field outside its range.
    fn check(&self) -> Result<(), Error>;

    /// The archive of this body; `None` if it cannot be laid out.
    #[doc(hidden)]
    fn archive(&self) -> Option<Vec<u8>>;

    /// The body in an archive, which may lie at any address; `None` if it is not valid.
    #[doc(hidden)]
    fn from_archive(bytes: &[u8]) -> Option<Self>;
}

/// Encodes `body` as a whole frame with `number` in its header.
///
/// # Errors
/// The check of the body, or `TooLarge`.
pub fn encode<B: Body>(body: &B, number: u64) -> Result<Bytes, Error> {
    encode_with(Header::new(B::KIND).number(number), body)
}

/// Encodes `body` as a whole frame under `header`, whose kind must be the body's.
///
/// # Errors
/// As for [`encode`], and `Body` if the header is of another kind.
pub fn encode_with<B: Body>(header: Header, body: &B) -> Result<Bytes, Error> {
    let wrong = Error::Body { kind: B::KIND };
    if header.kind != B::KIND {
        return Err(wrong);
    }
    body.check()?;
    let archive = body.archive().ok_or(wrong)?;
    let max = header.kind.body_bytes_max(0);
    if archive.len() > max {
        return Err(Error::TooLarge { field: "body", max, had: archive.len() as u64 });
    }
    header.to_frame(&[], &archive)
}

/// Decodes the control body of `frame`.
///
/// # Errors
/// `Body` if the frame is of another kind or its body no canonical archive; else the body's check.
pub fn decode<B: Body>(frame: &Frame) -> Result<B, Error> {
    let wrong = || Error::Body { kind: B::KIND };
    if frame.header.kind != B::KIND {
        return Err(wrong());
    }
    let bytes = frame.body_bytes();
    let body = B::from_archive(bytes).ok_or_else(wrong)?;
    body.check()?;
    if body.archive().is_none_or(|archive| archive != bytes) {
        return Err(wrong());
    }
    Ok(body)
}
