//! The client's end of a session.
mod output;
pub use output::*;
/// Publish.
#[derive(Clone, Debug)]
pub struct Publish {
    /// t
    pub topic: crate::Topic,
    /// a
    pub attributes: bytes::Bytes,
    /// p
    pub payload: bytes::Bytes,
    /// l
    pub level: Option<crate::AckLevel>,
}
