//! Why authentication cannot start. Always the operator's to mend; retrying changes nothing.

use std::io;
use std::path::PathBuf;

use super::jwks::DocumentError;
use super::keys::Algorithm;
use super::secret;

/// Why a [`super::Verifier`] cannot be made from its configuration.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Neither a secret, nor a key, nor a published key set: no token could ever be accepted.
    NoKeys,
    /// `leeway_s` is over 30.
    Leeway,
    /// `jwks_refresh_s` is under 10 or over 86,400.
    Refresh,
    /// `algorithms` is empty.
    NoAlgorithms,
    /// `issuer`, an `audience`, a `kid` or a role claim is empty, or there is no role claim.
    Empty(&'static str),
    /// A role claim lies in what users may write themselves.
    UserWritable(String),
    /// A configured key is for an algorithm that `algorithms` leaves out.
    NotAllowed(Algorithm),
    /// The shared secret does not qualify.
    Secret(PathBuf, secret::Error),
    /// A file of keys cannot be read.
    File(PathBuf, io::Error),
    /// The file holds no PEM public key ("BEGIN PUBLIC KEY") that is sound for its algorithm.
    Key(PathBuf, Algorithm),
    /// The key set file is not a key set.
    KeySet(PathBuf, DocumentError),
    /// `jwks_url` is not one to trust keys from; says why.
    Url(&'static str),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoKeys => f.write_str(
                "no key to check tokens with: set JWT_SECRET, secret_file, keys, jwks_file or \
                 jwks_url",
            ),
            Self::Leeway => f.write_str("leeway_s is at most 30"),
            Self::Refresh => f.write_str("jwks_refresh_s is from 10 to 86400"),
            Self::NoAlgorithms => f.write_str("algorithms is empty: no token would be accepted"),
            Self::Empty(key) => write!(f, "{key} must not be empty"),
            Self::UserWritable(path) => {
                write!(f, "role claim {path:?}: users can write user_metadata themselves")
            }
            Self::NotAllowed(algorithm) => write!(
                f,
                "a key for {} is configured, but algorithms leaves it out",
                algorithm.as_str()
            ),
            Self::Secret(path, error) => write!(f, "secret {}: {error}", path.display()),
            Self::File(path, error) => write!(f, "key file {}: {error}", path.display()),
            Self::Key(path, algorithm) => write!(
                f,
                "key file {}: not a PEM public key for {}",
                path.display(),
                algorithm.as_str()
            ),
            Self::KeySet(path, error) => write!(f, "key set {}: {error}", path.display()),
            Self::Url(why) => write!(f, "jwks_url: {why}"),
        }
    }
}

impl std::error::Error for Error {}
