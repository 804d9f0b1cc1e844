//! Who is connecting: token verification, keys and revocation.
//!
//! A token becomes an [`Identity`] here or is [`Refused`]. What an identity may do is decided
//! elsewhere, and so is when its connection ends.
//!
//! [`Verifier::verify`] is a function of the token, the keys, the revocations and the time it is
//! given: it does no I/O and takes no lock, so a shard thread may call it. Keys change behind it
//! ([`jwks::run`]), and so do revocations ([`Revocations::revoke`]).

mod claims;
mod config;
mod error;
mod header;
mod identity;
pub mod jwks;
mod keyring;
mod keys;
pub mod mint;
mod refused;
pub mod revocation;
mod rules;
pub mod secret;
#[cfg(test)]
mod tests;
mod unique;
mod verifier;

pub use config::{Config, PublicKeyFile};
pub use error::Error;
pub use identity::{Identity, Role, UnknownRole};
pub use keys::Algorithm;
pub use mint::{NewToken, mint};
pub use refused::Refused;
pub use revocation::{MAX_TOKEN_LIFETIME, Revocation, Revocations, Target};
pub use secret::Secret;
pub use verifier::Verifier;
