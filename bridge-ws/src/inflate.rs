//! Payloads that their publisher has compressed, for readers that cannot inflate them.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use sampan_protocol::limits::PAYLOAD_BYTES_MAX;
use sampan_protocol::{Code, Error};

use crate::failure::Failure;

/// The content encoding that the bridge inflates.
const GZIP: &str = "gzip";

/// A payload as its reader gets it.
#[derive(Debug)]
pub(crate) struct Inflated<'a> {
    /// The content encoding that it still has.
    pub(crate) encoding: Option<&'a str>,
    pub(crate) bytes: Cow<'a, [u8]>,
}

/// The payload without gzip. Another encoding stays.
///
/// # Errors
/// When it is no gzip, or has more bytes than any payload may have.
pub(crate) fn inflate<'a>(
    encoding: Option<&'a str>,
    bytes: &'a [u8],
) -> Result<Inflated<'a>, Failure> {
    if !encoding.is_some_and(|encoding| encoding.eq_ignore_ascii_case(GZIP)) {
        return Ok(Inflated { encoding, bytes: Cow::Borrowed(bytes) });
    }
    let mut out = Vec::new();
    let more = PAYLOAD_BYTES_MAX as u64 + 1;
    let read = MultiGzDecoder::new(bytes).take(more).read_to_end(&mut out);
    read.map_err(|_| Failure::new(Code::BAD_FIELD, "the payload is not the gzip that it says"))?;
    if out.len() > PAYLOAD_BYTES_MAX {
        let field = "payload, inflated,";
        return Err(Error::TooLarge { field, max: PAYLOAD_BYTES_MAX, had: more }.into());
    }
    Ok(Inflated { encoding: None, bytes: Cow::Owned(out) })
}

#[cfg(test)]
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::read::GzEncoder::new(bytes, flate2::Compression::default());
    let mut out = Vec::new();
    encoder.read_to_end(&mut out).expect("bytes");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_inflated_and_nothing_else_is_touched() {
        let packed = gzip(b"hello");
        let inflated = inflate(Some("GZIP"), &packed).expect("gzip");
        assert_eq!((inflated.encoding, &*inflated.bytes), (None, &b"hello"[..]));
        for encoding in [None, Some("br")] {
            let same = inflate(encoding, &packed).expect("untouched");
            assert_eq!((same.encoding, &*same.bytes), (encoding, &packed[..]));
        }
    }

    #[test]
    fn what_is_no_gzip_or_grows_too_large_is_an_error() {
        let code = |bytes: &[u8]| inflate(Some("gzip"), bytes).map(|_| ()).map_err(|f| f.code);
        assert_eq!(code(b"hello"), Err(Code::BAD_FIELD));
        let packed = gzip(&[7; 100]);
        assert_eq!(code(&packed[..packed.len() - 9]), Err(Code::BAD_FIELD), "cut off");
        assert_eq!(code(&gzip(&vec![0; PAYLOAD_BYTES_MAX])), Ok(()));
        assert_eq!(code(&gzip(&vec![0; PAYLOAD_BYTES_MAX + 1])), Err(Code::TOO_LARGE));
        let bomb = gzip(&vec![0; 64 * PAYLOAD_BYTES_MAX]).repeat(4);
        assert!(bomb.len() < PAYLOAD_BYTES_MAX && code(&bomb) == Err(Code::TOO_LARGE));
    }
}
