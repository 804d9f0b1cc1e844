//! Crashes of the real thing: a process that is killed, a machine whose power is cut.
//!
//! This program is both sides. Without arguments it runs the proofs; with them it is what it starts
//! again as a child, or inside of a machine that it then cuts off: a witness that uses a log on a
//! real disk, or the clients of a broker, and says on standard output what it was told. What was
//! said is outside of the crash, and the checker holds what is found afterwards against it.
//!
//! `CRASH_FULL=1` runs more kills and more power cuts.

mod careless;
mod client;
mod kill;
mod power;
mod report;
mod witness;

use std::env;
use std::process::ExitCode;

/// A proof: its name, and what it finds.
type Proof = (&'static str, fn() -> Result<String, String>);

const PROOFS: [Proof; 3] = [
    ("a_process_that_is_killed_loses_nothing_that_was_logged", kill::run),
    ("a_power_cut_loses_nothing_that_was_synced", power::of_the_log),
    ("a_power_cut_of_a_broker_loses_nothing_that_was_synced", power::of_the_broker),
];

/// Whether all proofs are to be run in full.
pub(crate) fn full() -> bool {
    env::var_os("CRASH_FULL").is_some()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["write", directory, seed] => witness::write(directory, seed, false),
        ["write-careless", directory, seed] => witness::write(directory, seed, true),
        ["drain", directory, ..] => witness::drain(directory),
        ["use" | "use-careless", directory, seed] => client::use_it(directory, seed),
        ["consume", directory, seed] => client::consume_all(directory, seed),
        _ => return prove(&words),
    }
    ExitCode::SUCCESS
}

/// Runs the proofs whose names contain one of the words, or all; told as other tests tell it.
fn prove(words: &[&str]) -> ExitCode {
    let wanted: Vec<&str> = words.iter().copied().filter(|word| !word.starts_with('-')).collect();
    let named = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word));
    let proofs = PROOFS.iter().filter(|(name, _)| named(name));
    if words.contains(&"--list") {
        proofs.for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let (mut passed, mut failed) = (0, 0);
    for (name, proof) in proofs {
        match proof() {
            Ok(found) => {
                passed += 1;
                println!("test {name} ... ok: {found}");
            }
            Err(found) => {
                failed += 1;
                println!("test {name} ... FAILED: {found}");
            }
        }
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored");
    ExitCode::from(u8::from(failed > 0))
}
