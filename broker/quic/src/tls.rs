//! The broker's TLS: 1.3 only, ALPN `sampan/1`, tickets that survive a restart, no early data.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;

use crate::clock::WallClock;
use crate::handshake::Handshakes;
use crate::secret::Secret;
use crate::ticket::Tickets;

/// What the broker proves itself with, in DER.
pub struct Certificate {
    /// The broker's own certificate first, then those that lead to a root.
    pub chain: Vec<Vec<u8>>,
    /// The private key of the first: PKCS#8, SEC1 or PKCS#1.
    pub key: Vec<u8>,
}

/// The TLS side of all shards: shared by them, and replaced as a whole when the certificate is.
#[derive(Clone)]
pub struct Tls {
    pub(crate) server: Arc<Handshakes>,
    pub(crate) clock: Arc<WallClock>,
    pub(crate) secret: Secret,
    tickets: Arc<Tickets>,
}

/// The certificate cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The key is in none of the known formats.
    Key(&'static str),
    /// The chain is empty, or certificate and key do not belong together.
    Certificate(rustls::Error),
    /// The cryptographic library lacks what QUIC needs.
    Unsupported,
}

impl Tls {
    /// TLS with this certificate.
    ///
    /// `seed` must be fresh for every process with the same `secret`: it keeps the session tickets
    /// of different processes from sharing a key. `clock` is the time that tickets are judged by.
    ///
    /// # Errors
    /// If the certificate cannot be used.
    pub fn new(
        certificate: Certificate,
        secret: &Secret,
        seed: &[u8; 32],
        clock: Arc<WallClock>,
    ) -> Result<Self, Error> {
        let tickets = Arc::new(Tickets::new(secret, seed).ok_or(Error::Unsupported)?);
        let server = server(certificate, &clock, &tickets)?;
        Ok(Tls { server, clock, secret: secret.clone(), tickets })
    }

    /// The same with another certificate; tickets of the old one stay good.
    ///
    /// # Errors
    /// If the certificate cannot be used.
    pub fn with_certificate(&self, certificate: Certificate) -> Result<Self, Error> {
        let server = server(certificate, &self.clock, &self.tickets)?;
        Ok(Tls { server, ..self.clone() })
    }
}

fn server(
    certificate: Certificate,
    clock: &Arc<WallClock>,
    tickets: &Arc<Tickets>,
) -> Result<Arc<Handshakes>, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(certificate.key).map_err(Error::Key)?;
    let chain = certificate.chain.into_iter().map(CertificateDer::from).collect();
    let mut config = rustls::ServerConfig::builder_with_details(provider, Arc::clone(clock) as _)
        .with_protocol_versions(&[&TLS13])
        .map_err(|_| Error::Unsupported)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(Error::Certificate)?;
    config.alpn_protocols = vec![sampan_protocol::ALPN.to_vec()];
    config.max_early_data_size = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Arc::clone(tickets) as _;
    // One is what a client uses on its next connection, which brings the next one.
    config.send_tls13_tickets = 1;
    Handshakes::new(config).map(Arc::new).ok_or(Error::Unsupported)
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("chain", &self.chain.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Key(why) => write!(f, "the private key cannot be read: {why}"),
            Error::Certificate(why) => write!(f, "the certificate cannot be used: {why}"),
            Error::Unsupported => f.write_str("the TLS library lacks a cipher that QUIC needs"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Certificate(why) => Some(why),
            Error::Key(_) | Error::Unsupported => None,
        }
    }
}
