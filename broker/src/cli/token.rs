//! `sampan token`: makes a token that the broker with this data directory or secret accepts.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::connection::signing_secret;
use super::exit::Failure;
use super::output::Output;
use super::text;
use crate::auth::{self, NewToken, Role};
use crate::config::{Config, Flags, Sources};
use crate::data_dir::DataDir;
use crate::serve::unix_ms;

/// Make an access token and print it
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// User id, the token's `sub`
    #[arg(long, value_name = "ID")]
    user: String,
    /// Role: customer, agent, admin or service
    #[arg(long, value_name = "ROLE", value_parser = ["customer", "agent", "admin", "service"])]
    role: String,
    /// How long the token is valid, such as 90s, 15m or 24h
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = text::duration)]
    ttl: Duration,
    /// Data directory of the broker, for its secret
    #[arg(long, env = "SAMPAN_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Settings of the broker, for its issuer, audience and secret
    #[arg(long, env = "SAMPAN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let flags = Flags { data: args.data.clone(), ..Flags::default() };
    let config = Config::load(&Sources::of_process(args.config.clone(), flags))?;
    let data = DataDir::new(&config.data_dir);
    let secret = signing_secret(&config, || match args.data {
        // A directory that was named is the right one, so a token may come before the broker.
        Some(_) => {
            data.create()?;
            Ok(data.secret_or_new()?)
        }
        None => Ok(data.secret()?),
    })?;
    let role = args.role.parse::<Role>().map_err(Failure::usage)?;
    let new = NewToken::new(&config.auth, &args.user, role, args.ttl);
    let token = auth::mint(&secret, &new, unix_ms()).map_err(Failure::usage)?;
    let mut output = Output::new()?;
    writeln!(output, "{token}")?;
    Ok(output.flush()?)
}
