//! The commands and the way into each.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use super::exit::Failure;
use super::{
    bench, dlq, export, groups, journal, presence, publish, request, revoke, serve, services,
    settings, subscribe, system, token,
};

/// Sampan: a QUIC message broker for commerce
#[derive(Debug, Parser)]
#[command(name = "sampan", version, propagate_version = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 the system failed, 2 usage, 3 token, 4 not allowed, 5 refused or
damaged, 6 unreachable or timed out.";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Token(token::Args),
    Pub(publish::Args),
    Sub(subscribe::Args),
    Request(request::Args),
    Export(export::Args),
    Presence(presence::Args),
    Topics(system::TopicsArgs),
    Status(system::StatusArgs),
    Groups(groups::Args),
    Dlq(dlq::Args),
    Revoke(revoke::Args),
    Journal(journal::Args),
    Config(settings::Args),
    Bench(bench::Args),
    Services(services::Args),
}

/// Runs the command of this process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Config(args) => settings::run(&args),
        Command::Journal(args) => journal::run(&args),
        Command::Pub(args) => client(publish::run(args)),
        Command::Sub(args) => client(subscribe::run(args)),
        Command::Request(args) => client(request::run(args)),
        Command::Export(args) => client(export::run(args)),
        Command::Presence(args) => client(presence::run(args)),
        Command::Topics(args) => client(system::topics(args)),
        Command::Status(args) => client(system::status(args)),
        Command::Groups(args) => client(groups::run(args)),
        Command::Dlq(args) => client(dlq::run(args)),
        Command::Revoke(args) => client(revoke::run(args)),
        Command::Bench(args) => client(bench::run(args)),
        Command::Services(args) => client(services::run(args)),
    }
}

/// Runs a client command. The session lives on a thread of its own, so that it stays alive while
/// standard output is blocked.
fn client(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime: Runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let done = runtime.block_on(work);
    // A read of standard input may be under way, and would hold the runtime's end.
    runtime.shutdown_background();
    done
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parses(line: &str) -> bool {
        Cli::try_parse_from(line.split(' ')).is_ok()
    }

    #[test]
    fn the_command_line_is_as_the_contract_words_it() {
        Cli::command().debug_assert();
        for line in [
            "sampan serve",
            "sampan serve --config f --data d --quic 127.0.0.1:0 --http 127.0.0.1:0",
            "sampan token --user u --role customer",
            "sampan token --user u --role service --ttl 15m --data d",
            "sampan pub t",
            "sampan pub t payload --event e --ack synced --key k --json",
            "sampan pub t - --split paragraphs",
            "sampan pub t -1",
            "sampan sub t.> --last 5 --count 1 --raw --join nul",
            "sampan sub t --since 5m --json",
            "sampan sub t --from 1:2 --raw --join paragraphs",
            "sampan sub t.* --group g",
            "sampan sub t --group g --ack auto --batch 10 --key-order --count 5 --json",
            "sampan sub t --group g --ack manual --last 5",
            "sampan sub t --group g --ack never --since 5m --raw",
            "sampan request t {}",
            "sampan export t --since 24h --until 1h",
            "sampan presence t --json",
            "sampan topics --url quic://h:1 --token t --data d",
            "sampan status --json",
            "sampan groups",
            "sampan groups g --json",
            "sampan groups seek g t 17",
            "sampan groups seek g t 2026-01-31T12:00:00Z",
            "sampan groups delete g",
            "sampan dlq list g --json",
            "sampan dlq peek g",
            "sampan dlq peek g 1 2 --json",
            "sampan dlq retry g 1 2 --to t",
            "sampan dlq retry g --all",
            "sampan dlq discard g 7",
            "sampan revoke --jti j",
            "sampan revoke --user u",
            "sampan revoke --issued-before now",
            "sampan journal inspect --data d --json",
            "sampan journal verify",
            "sampan journal repair --config f",
            "sampan config --config f",
            "sampan services",
            "sampan services --connect quic://h:1 --token t --config f --data d --http [::1]:0",
            "sampan bench connections --connections 10000 --rooms 100 --rate 1 --seconds 60",
            "sampan bench fanout --url quic://h:1 --token t --data d --burst --json",
            "sampan bench throughput --size 128",
            "sampan bench latency --rate 0.5",
            "sampan bench requests",
            "sampan bench groups --workers 4 --window 100 --size 128 --seconds 5 --json",
            "sampan bench durable --publishers 8 --window 64 --size 128 --seconds 1 --ack logged",
            "sampan bench resume --connections 1000 --rooms 10 --missed 50 --size 64",
        ] {
            assert!(parses(line), "{line}");
        }
        for line in [
            "sampan",
            "sampan token --user u",
            "sampan token --user u --role king",
            "sampan token --user u --role agent --ttl soon",
            "sampan pub",
            "sampan pub t - --split words",
            "sampan pub t p --ack replicated",
            "sampan sub t --last 1 --since 5m",
            "sampan sub t --from 12",
            "sampan sub t --raw --json",
            "sampan sub t --join nul",
            "sampan sub t --count 0",
            "sampan sub t --ack manual",
            "sampan sub t --key-order",
            "sampan sub t --batch 5",
            "sampan sub t --group g --batch 0",
            "sampan sub t --group g --ack sometimes",
            "sampan groups seek g t",
            "sampan groups seek g t soon",
            "sampan dlq",
            "sampan dlq retry g",
            "sampan dlq retry g 1 --all",
            "sampan dlq discard g",
            "sampan dlq peek g x",
            "sampan request t",
            "sampan revoke",
            "sampan revoke --jti j --user u",
            "sampan revoke --issued-before yesterday",
            "sampan journal",
            "sampan journal delete",
            "sampan bench",
            "sampan bench everything",
            "sampan bench durable --ack replicated",
            "sampan bench latency --rate fast",
        ] {
            assert!(!parses(line), "{line}");
        }
    }
}
