//! How a command ends: exit codes, and errors that say what to do next.

use std::io;
use std::process::ExitCode;

use sampan_client::{Code, Error, Reaction};

use super::output::tell;
use crate::{config, data_dir};

/// The exit codes, which scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// The system failed: a file, a socket, memory.
    Failed = 1,
    /// The command line or the settings are wrong.
    Usage = 2,
    /// The token is missing, or was not accepted.
    Token = 3,
    /// The token does not allow it.
    NotAllowed = 4,
    /// The broker or a responder said no, or a journal is damaged.
    Refused = 5,
    /// No broker, no answer, or not in time.
    Unreachable = 6,
}

/// Why a command has not done its work.
#[derive(Debug)]
pub(super) enum Failure {
    /// Told on standard error, with this exit code.
    Told(Exit, String),
    /// Whoever read standard output has seen enough: a clean end.
    BrokenPipe,
}

impl Failure {
    pub(super) fn usage(why: impl std::fmt::Display) -> Self {
        Failure::Told(Exit::Usage, why.to_string())
    }

    pub(super) fn failed(why: impl std::fmt::Display) -> Self {
        Failure::Told(Exit::Failed, why.to_string())
    }

    /// Tells the user and answers the exit code.
    pub(super) fn tell(self) -> ExitCode {
        match self {
            Failure::BrokenPipe => ExitCode::SUCCESS,
            Failure::Told(exit, ref text) => {
                tell(format_args!("sampan: {text}"));
                ExitCode::from(exit as u8)
            }
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Failure::Told(_, text) => text,
            Failure::BrokenPipe => "standard output is closed",
        })
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
            _ => Failure::failed(error),
        }
    }
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        Failure::usage(error)
    }
}

impl From<data_dir::Error> for Failure {
    fn from(error: data_dir::Error) -> Self {
        match error {
            data_dir::Error::Secret(..) => Failure::Told(Exit::Token, error.to_string()),
            _ => Failure::failed(error),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = exit_of(&error);
        let next = match exit {
            Exit::Token => "; get a fresh token (`sampan token`), or pass --data DIR of the broker",
            Exit::NotAllowed => "; use a token whose role may do it",
            Exit::Unreachable if matches!(error, Error::Unreachable { .. }) => {
                "; is `sampan serve` running, and does --url name it?"
            }
            _ => "",
        };
        Failure::Told(exit, format!("{error}{next}"))
    }
}

/// The exit code that an error of the client calls for.
pub(super) fn exit_of(error: &Error) -> Exit {
    match error {
        Error::Invalid(_) => Exit::Usage,
        Error::Full | Error::TooMany | Error::TooLarge { .. } => Exit::Refused,
        Error::Lost { .. } | Error::Deadline { .. } | Error::Unreachable { .. } => {
            Exit::Unreachable
        }
        Error::Refused { code, .. } | Error::Closed { code, .. } => exit_of_code(*code),
        _ => Exit::Failed,
    }
}

fn exit_of_code(code: Code) -> Exit {
    match code {
        Code::TOKEN_EXPIRED | Code::BAD_TOKEN | Code::REVOKED => Exit::Token,
        Code::DEADLINE => Exit::Unreachable,
        _ => match code.reaction() {
            Reaction::NotAllowed => Exit::NotAllowed,
            Reaction::Reconnect | Reaction::ReconnectWithBackoff => Exit::Unreachable,
            _ => Exit::Refused,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_end_in_the_codes_of_the_contract() {
        let refused = |code| Error::Refused {
            code,
            retry_after: None,
            reason: String::new(),
            may_have_happened: false,
        };
        let closed = |code| Error::Closed { code, reason: String::new(), may_have_happened: false };
        let unreachable = Error::Unreachable { reason: "refused".to_owned() };
        let cases = [
            (Error::Invalid("bad url".to_owned()), 2),
            (closed(Code::BAD_TOKEN), 3),
            (closed(Code::REVOKED), 3),
            (closed(Code::TOKEN_EXPIRED), 3),
            (refused(Code::NOT_GRANTED), 4),
            (refused(Code::ADMIN_ONLY), 4),
            (refused(Code::RATE_LIMITED), 5),
            (refused(Code::NO_RESPONDER), 5),
            (refused(Code::LEVEL_UNAVAILABLE), 5),
            (refused(Code(942)), 5),
            (closed(Code::PROTOCOL), 5),
            (Error::TooLarge { field: "payload", max: 1, had: 2 }, 5),
            (refused(Code::DEADLINE), 6),
            (Error::Deadline { may_have_happened: true }, 6),
            (closed(Code::GOING_AWAY), 6),
            (unreachable, 6),
        ];
        for (error, expected) in cases {
            assert_eq!(exit_of(&error) as u8, expected, "{error:?}");
        }
    }

    #[test]
    fn a_broken_pipe_is_a_clean_end() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(matches!(failure, Failure::BrokenPipe));
    }
}
