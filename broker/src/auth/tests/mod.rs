//! Tokens, keys and issuers that the tests share.

mod https;
mod jwks;
mod matrix;
mod revocation;
mod secret;
mod settings;

use std::sync::{Arc, LazyLock};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaPublicKeyComponents,
};
use aws_lc_rs::{hmac, rand::SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Config, MAX_TOKEN_LIFETIME, Revocations, Secret, Verifier};

/// Wall time of the tests: a whole second.
pub(super) const NOW_S: u64 = 1_800_000_000;
pub(super) const NOW: u64 = NOW_S * 1000;

pub(super) const SECRET: &str = "a shared secret of thirty-two bytes or more";

/// Private keys, made once per test process.
pub(super) enum Signer {
    Hmac(Vec<u8>),
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

pub(super) static HMAC: LazyLock<Signer> = LazyLock::new(|| Signer::Hmac(SECRET.into()));
pub(super) static RSA: LazyLock<Signer> =
    LazyLock::new(|| Signer::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()));
pub(super) static EC: LazyLock<Signer> = LazyLock::new(new_ec);
pub(super) static ED: LazyLock<Signer> =
    LazyLock::new(|| Signer::Ed(Ed25519KeyPair::generate().unwrap()));

pub(super) fn new_ec() -> Signer {
    Signer::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
}

impl Signer {
    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Hmac(_) => "HS256",
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
            Self::Ed(_) => "EdDSA",
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Hmac(key) => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
            }
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            Self::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// The token of these very header and payload texts.
    pub(super) fn token_of(&self, header: &str, payload: &str) -> String {
        let message =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    /// A token with these claims and an ordinary header.
    pub(super) fn token(&self, kid: Option<&str>, claims: &Value) -> String {
        let mut header = json!({ "alg": self.algorithm(), "typ": "JWT" });
        if let Some(kid) = kid {
            header["kid"] = kid.into();
        }
        self.token_of(&header.to_string(), &claims.to_string())
    }

    /// The public key as DER SubjectPublicKeyInfo.
    pub(super) fn public_der(&self) -> Vec<u8> {
        match self {
            Self::Hmac(_) => panic!("a shared secret has no public key"),
            Self::Rsa(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Self::Ec(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
        }
    }

    pub(super) fn public_pem(&self) -> String {
        let text = STANDARD.encode(self.public_der());
        format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
    }

    /// The public key as a published key.
    pub(super) fn jwk(&self, kid: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Hmac(key) => json!({ "kid": kid, "kty": "oct", "k": text(key), "alg": "HS256" }),
            Self::Rsa(pair) => {
                let public: RsaPublicKeyComponents<Vec<u8>> = pair.public_key().into();
                json!({ "kid": kid, "kty": "RSA", "n": text(&public.n), "e": text(&public.e),
                        "alg": "RS256", "use": "sig" })
            }
            Self::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kid": kid, "kty": "EC", "crv": "P-256", "x": text(x), "y": text(y),
                        "alg": "ES256", "key_ops": ["verify"], "ext": true })
            }
            Self::Ed(pair) => json!({ "kid": kid, "kty": "OKP", "crv": "Ed25519",
                                      "x": text(pair.public_key().as_ref()) }),
        }
    }
}

/// The claims of a good token, an hour long.
pub(super) fn claims() -> Value {
    json!({ "sub": "u1", "role": "customer", "iat": NOW_S, "exp": NOW_S + 3600, "jti": "t1" })
}

/// The claims of a good token with some replaced or added; null removes.
pub(super) fn claims_with(changes: Value) -> Value {
    let mut claims = claims();
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    claims
}

/// A directory with a verifier on it.
pub(super) struct Fixture {
    pub(super) directory: TempDir,
    pub(super) verifier: Arc<Verifier>,
}

impl Fixture {
    /// A verifier with the shared secret.
    pub(super) fn with_secret(config: &Config) -> Self {
        Self::new(tempfile::tempdir().unwrap(), config, Some(Secret::from_text(SECRET).unwrap()))
    }

    pub(super) fn new(directory: TempDir, config: &Config, secret: Option<Secret>) -> Self {
        let revocations = open_revocations(&directory);
        let verifier = Arc::new(Verifier::new(config, secret, revocations).unwrap());
        Self { directory, verifier }
    }
}

pub(super) fn open_revocations(directory: &TempDir) -> Arc<Revocations> {
    let path = directory.path().join("revocations");
    Arc::new(Revocations::open(path, MAX_TOKEN_LIFETIME, NOW).unwrap())
}
