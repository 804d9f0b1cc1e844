//! A token's claims, read strictly: right type and range, or refused. Nothing is compared here.

use serde_json::{Map, Value};

use super::identity::is_id;
use super::refused::Refused;

/// A token's payload, known to be a JSON object without duplicate members.
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    pub(super) fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// A time claim in Unix seconds; `None` when absent.
    ///
    /// Only a JSON integer from 0 to 2^53 is a time: what a lenient reader makes of `"1e9"` or
    /// -1 differs between libraries, and a check that does not run is how such tokens live on.
    pub(super) fn time(&self, name: &str) -> Result<Option<u64>, Refused> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(seconds) if seconds <= TIME_S_MAX => Ok(Some(seconds)),
                _ => Err(Refused::Claims),
            },
        }
    }

    /// An id claim (`sub`, `jti`); `None` when absent.
    pub(super) fn id(&self, name: &str) -> Result<Option<String>, Refused> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(id)) if is_id(id) => Ok(Some(id.clone())),
            Some(_) => Err(Refused::Claims),
        }
    }

    /// Whether the claim `iss` is `issuer`.
    pub(super) fn is_from(&self, issuer: &str) -> bool {
        self.0.get("iss").and_then(Value::as_str) == Some(issuer)
    }

    /// Whether `aud`, a string or a list of strings, names one of `audience`.
    pub(super) fn is_for(&self, audience: &[String]) -> bool {
        let accepted =
            |value: &Value| value.as_str().is_some_and(|s| audience.iter().any(|a| a == s));
        match self.0.get("aud") {
            Some(Value::Array(list)) => {
                list.iter().all(Value::is_string) && list.iter().any(accepted)
            }
            Some(value) => accepted(value),
            None => false,
        }
    }

    /// The value at a claim path; null counts as absent.
    ///
    /// The path is tried as one claim name first, since namespaced claims are URLs with dots.
    pub(super) fn at(&self, path: &str) -> Option<&Value> {
        let value = match self.0.get(path) {
            Some(value) => Some(value),
            None => {
                let mut names = path.split('.');
                let first = names.next().and_then(|name| self.0.get(name));
                names.fold(first, |value, name| value?.get(name))
            }
        };
        value.filter(|value| !value.is_null())
    }
}

/// Largest time accepted, in seconds: JSON numbers above 2^53 are not exact everywhere.
const TIME_S_MAX: u64 = 1 << 53;
