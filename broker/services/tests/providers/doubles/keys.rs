//! Keys of a test, and the checking of what they have signed.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa};
use serde_json::Value;

/// A private key in PEM, and its public half.
pub(crate) struct Pair {
    pub(crate) pem: String,
    pub(crate) public: Vec<u8>,
}

impl Pair {
    pub(crate) fn elliptic() -> Self {
        let chance = SystemRandom::new();
        let der =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &chance).expect("a key");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref())
            .expect("a key");
        Pair { pem: pem(der.as_ref()), public: key.public_key().as_ref().to_vec() }
    }

    pub(crate) fn rsa() -> Self {
        let key = rsa::KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&key).expect("DER");
        Pair { pem: pem(der.as_ref()), public: key.public_key().as_ref().to_vec() }
    }
}

/// A certificate of `localhost`, its key, and the certificate of who vouches for it; all in PEM.
pub(crate) struct Vouched {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) root: String,
}

impl Vouched {
    pub(crate) fn localhost() -> Self {
        let mut root = CertificateParams::new(Vec::new()).expect("valid");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // A name of its own, or OpenSSL takes what it signs for signed by itself.
        root.distinguished_name.push(DnType::CommonName, "Who vouches here");
        let own = rcgen::KeyPair::generate().expect("a key");
        let root = CertifiedIssuer::self_signed(root, own).expect("made");
        let key = rcgen::KeyPair::generate().expect("a key");
        let own = CertificateParams::new(vec!["localhost".to_owned()]).expect("valid");
        let own = own.signed_by(&key, &root).expect("signed");
        Vouched { certificate: own.pem(), key: key.serialize_pem(), root: root.pem() }
    }
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

/// Header and claims of a token that this key has signed; `None` if it has not.
pub(crate) fn es256(token: &str, public: &[u8]) -> Option<(Value, Value)> {
    verified(token, &ECDSA_P256_SHA256_FIXED, public)
}

pub(crate) fn rs256(token: &str, public: &[u8]) -> Option<(Value, Value)> {
    verified(token, &RSA_PKCS1_2048_8192_SHA256, public)
}

fn verified(
    token: &str,
    algorithm: &'static dyn VerificationAlgorithm,
    public: &[u8],
) -> Option<(Value, Value)> {
    let (text, signature) = token.rsplit_once('.')?;
    UnparsedPublicKey::new(algorithm, public).verify(text.as_bytes(), &bytes(signature)?).ok()?;
    let (header, claims) = text.split_once('.')?;
    let json = |part| serde_json::from_slice(&bytes(part)?).ok();
    Some((json(header)?, json(claims)?))
}

pub(crate) fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
