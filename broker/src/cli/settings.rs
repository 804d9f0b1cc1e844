//! `sampan config`: prints the settings in force.

use std::io::Write;
use std::path::PathBuf;

use super::exit::Failure;
use super::output::Output;
use crate::config::{self, Config, Flags, Sources};

/// Print the settings in force as TOML, each with its meaning and default
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Settings file
    #[arg(long, env = "SAMPAN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let config = Config::load(&Sources::of_process(args.config.clone(), Flags::default()))?;
    let mut output = Output::new()?;
    output.write_all(config::effective(&config).as_bytes())?;
    Ok(output.flush()?)
}
