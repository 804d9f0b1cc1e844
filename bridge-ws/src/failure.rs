//! Why something that a peer asked for did not happen: one form for all transports.

use sampan_protocol::control::reason_text;
use sampan_protocol::{Code, Error};
use schemars::JsonSchema;
use serde::Serialize;

/// A refusal: whose fault it is and whether to try again follow from the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    /// When the same may be tried again, milliseconds; 0 if that is not known.
    pub(crate) retry_after_ms: u32,
    /// One sentence for a person.
    pub(crate) reason: String,
}

/// A failure as JSON.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Failure")]
pub(crate) struct Told<'a> {
    /// Number of the code; its hundred tells the reaction.
    pub(crate) code: u16,
    /// Name of the code.
    pub(crate) name: &'a str,
    /// One sentence for a person.
    pub(crate) reason: &'a str,
    /// Whether the same may succeed later.
    pub(crate) retryable: bool,
    /// When it may be tried again, milliseconds, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_ms: Option<u32>,
}

impl Failure {
    /// A failure with this reason, cut to the protocol's limit.
    pub(crate) fn new(code: Code, reason: &str) -> Self {
        Failure { code, retry_after_ms: 0, reason: reason_text(reason) }
    }

    /// A failure that the code's own sentence explains.
    pub(crate) fn of(code: Code) -> Self {
        Failure::new(code, code.text())
    }

    pub(crate) fn told(&self) -> Told<'_> {
        Told {
            code: self.code.0,
            name: self.code.name(),
            reason: &self.reason,
            retryable: self.code.is_retryable(),
            retry_after_ms: Some(self.retry_after_ms).filter(|ms| *ms > 0),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::new(error.code(), &error.to_string())
    }
}
