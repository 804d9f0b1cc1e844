//! Signed claims, RFC 7515 in its compact form.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;

/// A key that signs.
pub(super) enum Key {
    /// ES256.
    Elliptic(EcdsaKeyPair),
    /// RS256.
    Rsa(rsa::KeyPair),
}

impl Key {
    /// The key of a PEM text, PKCS #8.
    ///
    /// # Errors
    /// If it is none.
    pub(super) fn elliptic(pem: &str) -> Result<Self, &'static str> {
        let der = der(pem)?;
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der());
        key.map(Key::Elliptic).map_err(|_| "not a key of P-256")
    }

    /// As [`Key::elliptic`], of RSA.
    pub(super) fn rsa(pem: &str) -> Result<Self, &'static str> {
        let der = der(pem)?;
        rsa::KeyPair::from_pkcs8(der.secret_pkcs8_der()).map(Key::Rsa).map_err(|_| "not an RSA key")
    }

    /// The claims, signed.
    ///
    /// # Errors
    /// If there is no chance to draw from.
    pub(super) fn sign(&self, header: &Value, claims: &Value) -> Result<String, &'static str> {
        let [header, claims] = [header, claims].map(|part| coded(part.to_string().as_bytes()));
        let text = format!("{header}.{claims}");
        let failed = |_| "no chance to draw from";
        let signature = match self {
            Key::Elliptic(key) => {
                let signed = key.sign(&SystemRandom::new(), text.as_bytes()).map_err(failed)?;
                signed.as_ref().to_vec()
            }
            Key::Rsa(key) => {
                let mut signed = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signed)
                    .map_err(failed)?;
                signed
            }
        };
        Ok(format!("{text}.{}", coded(&signature)))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

fn der(pem: &str) -> Result<PrivatePkcs8KeyDer<'static>, &'static str> {
    PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| "not a key in PEM")
}

/// Bytes as base64url without padding.
pub(super) fn coded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of base64url, with padding or without.
pub(super) fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}
