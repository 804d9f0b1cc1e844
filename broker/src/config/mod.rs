//! Settings: one TOML file, variables on top of it, flags on top of those, one checked [`Config`].
//!
//! [`File`] is the form that is written down; its doc comments are what `sampan config` prints.
//! [`Config`] needs no further checks, except those that need the disk or the network.

mod auth_section;
mod check;
mod classes;
mod docs;
mod error;
mod file;
mod groups;
mod print;
mod roles;
mod services;
mod sources;
#[cfg(test)]
mod tests;

pub use check::{CertificateFiles, Config, Drain, Log};
pub use error::Error;
pub use file::{
    ClassRule, Data, DrainTimes, File, Group, Journal, Limits, Listen, LogFormat, LogSettings,
    Rates, Revocation, RoleGrants, Roles, Shards, Tls,
};
pub use print::{effective, sample};
pub use services::Services;
pub use sources::{Environment, Flags, Sources};
