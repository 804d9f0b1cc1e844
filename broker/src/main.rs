//! The `sampan` binary; everything is in the library, so that tests and benches can use it.

use std::process::ExitCode;

fn main() -> ExitCode {
    sampan::cli::main()
}
