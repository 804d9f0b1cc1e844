//! The broker's certificate: one Ed25519 key for every run, so that it and its signatures have the
//! same size each time.

use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use sampan_quic::Certificate;

/// The name that clients expect.
pub(crate) const NAME: &str = "broker.sim";
/// The key's own 32 bytes.
const KEY: [u8; 32] = [7; 32];
/// What stands ahead of them in PKCS#8 (RFC 8410).
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// The certificate, and its DER for those who trust it.
pub(crate) fn certificate() -> (Certificate, Vec<u8>) {
    let key = [&PKCS8[..], &KEY].concat();
    let pair = KeyPair::from_pkcs8_der_and_sign_algo(&key.clone().into(), &PKCS_ED25519);
    let params = CertificateParams::new(vec![NAME.to_owned()]).expect("a name");
    let signed = params.self_signed(&pair.expect("a key")).expect("signed");
    let der = signed.der().to_vec();
    (Certificate { chain: vec![der.clone()], key }, der)
}

#[test]
fn the_certificate_is_the_same_every_time() {
    assert_eq!(certificate().1, certificate().1);
}
