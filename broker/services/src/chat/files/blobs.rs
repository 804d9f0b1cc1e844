//! Where the bytes of files are kept.

use std::future::Future;
use std::io;

use tokio::io::AsyncRead;

/// A store of bytes. Each key is written once, and only a key whose writing has ended is read.
pub trait Blobs: Clone + Send + Sync + 'static {
    /// Bytes on their way in.
    type Writing: Writing;
    /// Bytes on their way out.
    type Reading: AsyncRead + Send + Unpin + 'static;

    /// Begins to write a key. What is dropped before its end leaves nothing that is read.
    fn create(&self, key: &str) -> impl Future<Output = io::Result<Self::Writing>> + Send;

    /// Reads a key from its start.
    fn read(&self, key: &str) -> impl Future<Output = io::Result<Self::Reading>> + Send;

    /// Removes a key, whole or begun; also one that is not there.
    fn remove(&self, key: &str) -> impl Future<Output = io::Result<()>> + Send;
}

/// Bytes on their way in.
pub trait Writing: Send {
    /// Adds bytes.
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<()>> + Send;

    /// Makes all of it lasting under its key.
    fn end(self) -> impl Future<Output = io::Result<()>> + Send;
}
