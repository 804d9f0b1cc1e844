//! The certificate that clients see: the operator's, or one made for development.

use std::path::Path;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sampan_quic::Certificate;

use super::error::Error;
use crate::durable;

/// Reads an operator's certificate and its key from PEM files.
///
/// # Errors
/// [`Error::Io`]; [`Error::Certificate`] if a file holds no certificate or no private key.
pub fn load(certificate: &Path, key: &Path) -> Result<Certificate, Error> {
    let bytes = |path: &Path| std::fs::read(path).map_err(io(path));
    parse((certificate, &bytes(certificate)?), (key, &bytes(key)?))
}

/// Reads the development certificate, or makes one: ECDSA on P-256, which every TLS stack takes,
/// for `localhost` and the loopback addresses.
pub(super) fn load_or_create(certificate: &Path, key: &Path) -> Result<Certificate, Error> {
    let read = |path: &Path| durable::read(path).map_err(io(path));
    if let (Some(chain), Some(secret)) = (read(certificate)?, read(key)?) {
        return parse((certificate, &chain), (key, &secret));
    }
    let (chain, secret) = generate().map_err(|_| Error::Crypto)?;
    // The key goes first: a certificate that clients trust and no one can use would be of no use.
    durable::replace(key, durable::PRIVATE, secret.as_bytes()).map_err(io(key))?;
    durable::replace(certificate, durable::PUBLIC, chain.as_bytes()).map_err(io(certificate))?;
    parse((certificate, chain.as_bytes()), (key, secret.as_bytes()))
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> Error {
    move |error| Error::Io(path.to_owned(), error)
}

fn parse(certificate: (&Path, &[u8]), key: (&Path, &[u8])) -> Result<Certificate, Error> {
    let wrong = |path: &Path, why| Error::Certificate(path.to_owned(), why);
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate.1)
        .map(|der| der.map(|der| der.to_vec()))
        .collect::<Result<_, _>>()
        .map_err(|_| wrong(certificate.0, "not a PEM file of certificates"))?;
    if chain.is_empty() {
        return Err(wrong(certificate.0, "holds no PEM certificate (BEGIN CERTIFICATE)"));
    }
    let key = PrivateKeyDer::from_pem_slice(key.1)
        .map_err(|_| wrong(key.0, "holds no PEM private key (BEGIN PRIVATE KEY)"))?;
    Ok(Certificate { chain, key: key.secret_der().to_vec() })
}

/// A self-signed certificate and its key, as PEM.
fn generate() -> Result<(String, String), rcgen::Error> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Sampan development");
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}
