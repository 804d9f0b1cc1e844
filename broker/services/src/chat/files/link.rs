//! Signed links: whoever has one may do one thing with one file for a while.

use std::time::Duration;

use crate::moment::Moment;
use crate::refusal::Refusal;
use crate::signature::{Secret, hex, unhex};

/// How long an upload may be begun, and how long it may take then.
pub const UPLOAD_WITHIN: Duration = Duration::from_secs(15 * 60);
/// How long a file may be fetched.
pub const FETCH_WITHIN: Duration = Duration::from_secs(7 * 86_400);

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To bring the bytes.
    Upload,
    /// To fetch them.
    Fetch,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Purpose::Upload => "upload",
            Purpose::Fetch => "fetch",
        }
    }
}

/// The path of a file for a purpose, good until then.
pub(super) fn path(secret: &Secret, purpose: Purpose, id: &str, until: Moment) -> String {
    let until = until.as_ms();
    let signature = hex(&secret.sign(&signed(purpose, id, until)));
    format!("/v1/chat/files/{id}/{until}.{signature}")
}

/// Checks the last part of a path.
pub(super) fn check(
    secret: &Secret,
    purpose: Purpose,
    id: &str,
    token: &str,
    now: Moment,
) -> Result<(), Refusal> {
    const FORGED: Refusal = Refusal::NotAllowed("the link is not one of the shop's");
    let (until, signature) = token.split_once('.').ok_or(FORGED)?;
    let until = until.parse().map_err(|_| FORGED)?;
    let signature = unhex(signature).ok_or(FORGED)?;
    if !secret.is_signed(&signed(purpose, id, until), &signature) {
        return Err(FORGED);
    }
    if now.as_ms() >= until {
        return Err(Refusal::Closed("the link is too old"));
    }
    Ok(())
}

fn signed(purpose: Purpose, id: &str, until: i64) -> Vec<u8> {
    format!("file\n{}\n{until}\n{id}", purpose.name()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_good_for_its_file_its_purpose_and_its_time_only() {
        let (secret, now) = (Secret::new(b"shop"), Moment::from_ms(1_000));
        let until = now.after(UPLOAD_WITHIN);
        let path = path(&secret, Purpose::Upload, "f", until);
        let token = path.rsplit('/').next().expect("a token");
        let checked = |secret: &Secret, purpose, id: &str, token: &str, now| {
            check(secret, purpose, id, token, now)
        };
        assert_eq!(checked(&secret, Purpose::Upload, "f", token, now), Ok(()));
        let later = token.replacen('9', "8", 1);
        for (secret, purpose, id, token) in [
            (&secret, Purpose::Fetch, "f", token),
            (&secret, Purpose::Upload, "g", token),
            (&Secret::new(b"x"), Purpose::Upload, "f", token),
            (&secret, Purpose::Upload, "f", later.as_str()),
            (&secret, Purpose::Upload, "f", ""),
            (&secret, Purpose::Upload, "f", "9.zz"),
        ] {
            let said = checked(secret, purpose, id, token, now);
            assert!(matches!(said, Err(Refusal::NotAllowed(_))), "{id} {token}: {said:?}");
        }
        let late = checked(&secret, Purpose::Upload, "f", token, until);
        assert!(matches!(late, Err(Refusal::Closed(_))));
    }
}
