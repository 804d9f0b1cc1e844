//! A token's header: which algorithm and which key it asks for. The answer is in `keyring`.

use serde_json::{Map, Value};

use super::keys::Algorithm;
use super::refused::Refused;

/// Members that carry a key, point to one, or change what the signature covers.
///
/// Honouring one lets a token choose the key it is checked with; ignoring `crit` is forbidden by
/// RFC 7515.
const FORBIDDEN: [&str; 5] = ["jwk", "jku", "x5u", "x5c", "crit"];

/// What a token's header asks for.
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
}

impl Header {
    /// Reads the decoded header.
    pub(super) fn parse(members: &Map<String, Value>) -> Result<Self, Refused> {
        if FORBIDDEN.iter().any(|name| members.contains_key(*name)) {
            return Err(Refused::Header);
        }
        check_type(members.get("typ"))?;
        let algorithm = match members.get("alg") {
            Some(Value::String(name)) => Algorithm::parse(name).ok_or(Refused::Algorithm)?,
            _ => return Err(Refused::Malformed),
        };
        let key_id = match members.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.clone()),
            Some(_) => return Err(Refused::Malformed),
        };
        Ok(Self { algorithm, key_id })
    }
}

/// Refuses a token that an issuer signs for another purpose, such as `logout+jwt`.
fn check_type(typ: Option<&Value>) -> Result<(), Refused> {
    let name = match typ {
        None => return Ok(()),
        Some(Value::String(name)) => name.to_ascii_lowercase(),
        Some(_) => return Err(Refused::Malformed),
    };
    match name.strip_prefix("application/").unwrap_or(&name) {
        "jwt" | "at+jwt" => Ok(()),
        _ => Err(Refused::Header),
    }
}
