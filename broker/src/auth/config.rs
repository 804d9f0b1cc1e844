//! The `[auth]` section as it is written, and its one check.

use std::path::PathBuf;
use std::time::Duration;

use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;

use super::error::Error;
use super::jwks::{Endpoint, Sources};
use super::keys::{Algorithm, Key};
use super::rules::Rules;
use super::secret::{self, Secret};

/// Which tokens are accepted. Every key has a default; unknown ones are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// File with the shared secret of HS256 tokens: text of 32 bytes or more, taken as it is.
    ///
    /// The variable `JWT_SECRET` goes first. Other users of the machine must not be able to
    /// read the file. Default none.
    pub secret_file: Option<PathBuf>,
    /// The `kid` that HS256 tokens carry, if they do.
    ///
    /// A token that names any other key is refused. Supabase puts one into the tokens it signs
    /// with the project's JWT secret. Default none: tokens must not name a key.
    pub secret_kid: Option<String>,
    /// Public keys, each for one algorithm. Default none.
    pub keys: Vec<PublicKeyFile>,
    /// File with a JSON Web Key Set; read again within seconds of a change. Default none.
    pub jwks_file: Option<PathBuf>,
    /// Address of a JSON Web Key Set: https, or http on a loopback host. Default none.
    ///
    /// Keys that leave the set stop being accepted at the next successful fetch, so an issuer
    /// that rotates publishes both keys for as long as tokens of the old one live.
    pub jwks_url: Option<String>,
    /// Seconds between fetches of `jwks_url`, 10 to 86,400. Default 300.
    ///
    /// A token that names an unknown key brings the next fetch forward, at most every 10 s.
    pub jwks_refresh_s: u64,
    /// Algorithms that tokens may use. Default all four: HS256, RS256, ES256, EdDSA.
    ///
    /// A key is only ever used with its own, so this narrows what a published set may add.
    pub algorithms: Vec<Algorithm>,
    /// The `iss` claim that tokens must have. Default none: not looked at.
    pub issuer: Option<String>,
    /// Audiences; the `aud` claim must name one of them. Default none: not looked at.
    pub audience: Vec<String>,
    /// Seconds by which clocks may differ at `exp`, `nbf` and `iat`. Default and maximum 30.
    pub leeway_s: u64,
    /// Claim paths of the role; the first that a token has decides.
    ///
    /// A dot steps into an object. Default `user_role`, `app_metadata.role`, `type`, `role`.
    pub role_claims: Vec<String>,
}

/// A public key in a PEM file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicKeyFile {
    /// File that starts with `-----BEGIN PUBLIC KEY-----`.
    pub file: PathBuf,
    /// The one algorithm that the key is for: RS256, ES256 or EdDSA.
    pub algorithm: Algorithm,
    /// The `kid` by which tokens name the key. Default none: only tokens without `kid` use it.
    #[serde(default)]
    pub kid: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            secret_file: None,
            secret_kid: None,
            keys: Vec::new(),
            jwks_file: None,
            jwks_url: None,
            jwks_refresh_s: 300,
            algorithms: Algorithm::ALL.to_vec(),
            issuer: None,
            audience: Vec::new(),
            leeway_s: 30,
            role_claims: ["user_role", "app_metadata.role", "type", "role"]
                .map(str::to_owned)
                .to_vec(),
        }
    }
}

impl Config {
    /// Whether the section names any key, secret or key set.
    ///
    /// If not, and there is no `JWT_SECRET`, a broker for development makes its own secret.
    pub fn has_keys(&self) -> bool {
        self.secret_file.is_some()
            || !self.keys.is_empty()
            || self.jwks_file.is_some()
            || self.jwks_url.is_some()
    }

    pub(super) fn rules(&self) -> Result<Rules, Error> {
        if self.leeway_s > 30 {
            return Err(Error::Leeway);
        }
        if self.algorithms.is_empty() {
            return Err(Error::NoAlgorithms);
        }
        let kids = self.keys.iter().filter_map(|key| key.kid.as_ref()).chain(&self.secret_kid);
        let named = [
            ("issuer", self.issuer.iter().collect::<Vec<_>>()),
            ("audience", self.audience.iter().collect()),
            ("kid", kids.collect()),
            ("role_claims", self.role_claims.iter().collect()),
        ];
        if let Some((key, _)) = named.iter().find(|(_, values)| values.iter().any(|v| v.is_empty()))
        {
            return Err(Error::Empty(key));
        }
        if self.role_claims.is_empty() {
            return Err(Error::Empty("role_claims"));
        }
        if let Some(path) = self.role_claims.iter().find(|path| is_user_writable(path)) {
            return Err(Error::UserWritable(path.clone()));
        }
        Ok(Rules {
            algorithms: self.algorithms.clone(),
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            leeway_ms: self.leeway_s * 1000,
            role_claims: self.role_claims.clone(),
        })
    }

    /// The configured keys; reads their files.
    pub(super) fn fixed_keys(&self, jwt_secret: Option<Secret>) -> Result<Vec<Key>, Error> {
        let secret = match (jwt_secret, &self.secret_file) {
            (Some(secret), _) => Some(secret),
            (None, Some(path)) => {
                Some(secret::load(path).map_err(|error| Error::Secret(path.clone(), error))?)
            }
            (None, None) => None,
        };
        let secret = secret.map(|secret| Key::secret(self.secret_kid.clone(), &secret));
        let public = self.keys.iter().map(PublicKeyFile::read);
        let keys = secret.map(Ok).into_iter().chain(public).collect::<Result<Vec<_>, _>>()?;
        match keys.iter().find(|key| !self.algorithms.contains(&key.algorithm)) {
            Some(key) => Err(Error::NotAllowed(key.algorithm)),
            None => Ok(keys),
        }
    }

    pub(super) fn sources(&self) -> Result<Sources, Error> {
        if !(10..=86_400).contains(&self.jwks_refresh_s) {
            return Err(Error::Refresh);
        }
        let url = self.jwks_url.as_deref().map(Endpoint::parse).transpose().map_err(Error::Url)?;
        Ok(Sources {
            file: self.jwks_file.clone(),
            url,
            refresh: Duration::from_secs(self.jwks_refresh_s),
        })
    }
}

impl PublicKeyFile {
    fn read(&self) -> Result<Key, Error> {
        let pem =
            std::fs::read(&self.file).map_err(|error| Error::File(self.file.clone(), error))?;
        SubjectPublicKeyInfoDer::from_pem_slice(&pem)
            .ok()
            .and_then(|der| Key::public(self.kid.clone(), self.algorithm, der.as_ref()))
            .ok_or_else(|| Error::Key(self.file.clone(), self.algorithm))
    }
}

/// Supabase lets every user write `user_metadata`, so a role read from it is a role for the
/// asking.
fn is_user_writable(path: &str) -> bool {
    path.split('.').next() == Some("user_metadata")
}
