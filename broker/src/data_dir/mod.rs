//! The directory where a broker keeps what must outlive it: the journal, keys, the development
//! certificate and secret, revocations.
//!
//! One broker holds it at a time, by a [`Lock`]; the command line reads the secret and certificate
//! beside it. What is in the journal is the journal's business.

mod certificate;
mod error;
mod file_system;
mod lock;
#[cfg(test)]
mod tests;
mod transport;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use sampan_quic::{Certificate, SECRET_BYTES};

use crate::auth::{Secret, secret};

pub use certificate::load as load_certificate;
pub use error::Error;
pub use file_system::FileSystem;
pub use lock::Lock;

/// A data directory. Making one touches no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// The data directory at `path`, which need not exist.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        DataDir(path.into())
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the directory, for its owner only, unless it is there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(&self) -> Result<(), Error> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        made.map_err(|error| Error::Io(self.0.clone(), error))
    }

    /// Takes the directory for this process until the lock is dropped.
    ///
    /// # Errors
    /// [`Error::Locked`] while another broker has it; [`Error::Io`].
    pub fn lock(&self) -> Result<Lock, Error> {
        Lock::take(&self.0)
    }

    /// The secret of development tokens, made at the first call.
    ///
    /// # Errors
    /// [`Error::Secret`].
    pub fn secret_or_new(&self) -> Result<Secret, Error> {
        let path = self.secret_path();
        secret::load_or_create(&path).map_err(|error| Error::Secret(path, error))
    }

    /// The secret of development tokens, if there is one.
    ///
    /// # Errors
    /// [`Error::Secret`], also when there is no such file.
    pub fn secret(&self) -> Result<Secret, Error> {
        let path = self.secret_path();
        secret::load(&path).map_err(|error| Error::Secret(path, error))
    }

    /// The development certificate and its key, made at the first call. Needs the lock.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Certificate`].
    pub fn certificate_or_new(&self, _: &Lock) -> Result<Certificate, Error> {
        certificate::load_or_create(&self.certificate_path(), &self.0.join("dev-key.pem"))
    }

    /// Where the development certificate is, for clients that are to trust it.
    #[must_use]
    pub fn certificate_path(&self) -> PathBuf {
        self.0.join("dev-certificate.pem")
    }

    /// The secret of stateless resets, address tokens and session tickets, made at the first call.
    /// Needs the lock.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Transport`].
    pub fn transport_or_new(&self, _: &Lock) -> Result<[u8; SECRET_BYTES], Error> {
        transport::load_or_create(&self.0.join("transport-secret"))
    }

    /// The secret under which Socket.IO clients are recovered, made at the first call. Needs the
    /// lock.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Transport`].
    pub fn recovery_or_new(&self, _: &Lock) -> Result<[u8; SECRET_BYTES], Error> {
        transport::load_or_create(&self.0.join("recovery-secret"))
    }

    /// Where the journal's logs are kept.
    #[must_use]
    pub fn journal_path(&self) -> PathBuf {
        self.0.join("journal")
    }

    /// What the directory's files lie on.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn file_system(&self) -> Result<FileSystem, Error> {
        FileSystem::of(&self.0).map_err(|error| Error::Io(self.0.clone(), error))
    }

    /// Where revocations are kept.
    #[must_use]
    pub fn revocations_path(&self) -> PathBuf {
        self.0.join("revocations")
    }

    fn secret_path(&self) -> PathBuf {
        self.0.join("jwt-secret")
    }
}
