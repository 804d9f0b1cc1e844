//! The command line: one binary, a broker and its tools.
//!
//! Names, flags, output and exit codes are a contract that scripts rely on. Results go to standard
//! output, everything else to standard error.

mod bench;
mod command;
mod connection;
mod consume;
mod dlq;
mod exit;
mod export;
mod groups;
mod journal;
mod json;
mod outcomes;
mod output;
mod pieces;
mod presence;
mod publish;
mod request;
mod revoke;
mod serve;
mod services;
mod settings;
mod signals;
mod stdin;
mod subscribe;
mod system;
mod text;
mod token;

pub use command::main;
