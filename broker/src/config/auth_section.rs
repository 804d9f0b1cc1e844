//! The `[auth]` section, written back as TOML. Its keys and checks are those of [`crate::auth::Config`].

use serde::{Serialize, Serializer};

use crate::auth::{Config, PublicKeyFile};

/// The section as it is written; its names are checked against those that are read by a test.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_file: Option<&'a std::path::Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_kid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_file: Option<&'a std::path::Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_url: Option<&'a str>,
    jwks_refresh_s: u64,
    algorithms: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    audience: &'a [String],
    leeway_s: u64,
    role_claims: &'a [String],
    keys: Vec<WrittenKey<'a>>,
}

#[derive(Serialize)]
struct WrittenKey<'a> {
    file: &'a std::path::Path,
    algorithm: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

/// Writes the section. It holds paths of secrets and never a secret.
pub(super) fn serialize<S: Serializer>(config: &Config, to: S) -> Result<S::Ok, S::Error> {
    // Taken apart by name, so that a key that is added to the section is missed by the compiler.
    let Config {
        secret_file,
        secret_kid,
        keys,
        jwks_file,
        jwks_url,
        jwks_refresh_s,
        algorithms,
        issuer,
        audience,
        leeway_s,
        role_claims,
    } = config;
    let written = Written {
        secret_file: secret_file.as_deref(),
        secret_kid: secret_kid.as_deref(),
        jwks_file: jwks_file.as_deref(),
        jwks_url: jwks_url.as_deref(),
        jwks_refresh_s: *jwks_refresh_s,
        algorithms: algorithms.iter().map(|algorithm| algorithm.as_str()).collect(),
        issuer: issuer.as_deref(),
        audience,
        leeway_s: *leeway_s,
        role_claims,
        keys: keys.iter().map(written_key).collect(),
    };
    written.serialize(to)
}

fn written_key(key: &PublicKeyFile) -> WrittenKey<'_> {
    let PublicKeyFile { file, algorithm, kid } = key;
    WrittenKey { file, algorithm: algorithm.as_str(), kid: kid.as_deref() }
}
