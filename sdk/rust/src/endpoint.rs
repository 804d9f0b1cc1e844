//! A UDP socket with its TLS state.

use std::net::SocketAddr;

use crate::{Error, Trust};

/// A UDP socket and TLS state (with its session tickets) that many clients may share.
///
/// Ten thousand clients on one endpoint cost one socket. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Endpoint(());

impl Endpoint {
    /// Binds a socket, with port 0 for any, whose clients accept the certificates of `trust`.
    /// Needs a tokio runtime.
    ///
    /// # Errors
    /// `Invalid` if the address cannot be bound or no certificate can be read.
    pub fn bind(local: SocketAddr, trust: &Trust) -> Result<Self, Error> {
        let _ = (local, trust);
        unreachable!()
    }

    /// The socket's address.
    ///
    /// # Errors
    /// `Invalid` if the system does not say.
    pub fn local_address(&self) -> Result<SocketAddr, Error> {
        unreachable!()
    }

    /// Moves to a fresh socket bound to `local`; all clients migrate.
    ///
    /// # Errors
    /// `Invalid` if the address cannot be bound.
    pub fn rebind(&self, local: SocketAddr) -> Result<(), Error> {
        let _ = local;
        unreachable!()
    }
}
