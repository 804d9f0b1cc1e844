//! What people type and read: durations, moments, and payloads on a terminal.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use crate::serve::unix_ms;

/// Reads a duration such as `90s`, `15m`, `24h`, `7d` or `1h 30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write a number and a unit, such as 90s, 15m or 24h"))
}

/// Reads a moment as Unix milliseconds: `now`, Unix seconds, or RFC 3339 in UTC.
pub(super) fn moment(text: &str) -> Result<u64, String> {
    if text == "now" {
        return Ok(unix_ms());
    }
    let seconds = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>());
    if let Some(Ok(seconds)) = seconds {
        return seconds
            .checked_mul(1000)
            .filter(|ms| *ms < 1 << 53)
            .ok_or_else(|| "beyond the end of time".to_owned());
    }
    let since = humantime::parse_rfc3339_weak(text)
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .and_then(|since| u64::try_from(since.as_millis()).ok());
    since.ok_or_else(|| {
        "write `now`, Unix seconds, or a date and time in UTC such as 2026-01-31T12:00:00Z"
            .to_owned()
    })
}

/// A payload as one line of text, in which nothing can steer the terminal.
pub(super) fn printable(bytes: &[u8]) -> String {
    let mut line = String::with_capacity(bytes.len());
    for c in String::from_utf8_lossy(bytes).chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\t' => line.push_str("\\t"),
            c if c.is_control() => {
                // Writing to a string does not fail.
                let _ = write!(line, "\\u{{{:x}}}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_moments_as_people_write_them() {
        assert_eq!(duration("24h"), Ok(Duration::from_secs(86_400)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert!(duration("24").is_err() && duration("").is_err() && duration("-1s").is_err());
        assert_eq!(moment("1700000000"), Ok(1_700_000_000_000));
        assert_eq!(moment("2023-11-14T22:13:20Z"), Ok(1_700_000_000_000));
        assert!(moment("now").is_ok_and(|ms| ms > 1_700_000_000_000));
        for bad in ["", "yesterday", "99999999999999999", "2023-13-01T00:00:00Z"] {
            assert!(moment(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_payload_cannot_steer_the_terminal() {
        assert_eq!(printable(b"a\x1b[2J\nb\xff\x07"), "a\\u{1b}[2J\\nb\u{fffd}\\u{7}");
        assert_eq!(printable("c\u{e9}\u{9b}".as_bytes()), "c\u{e9}\\u{9b}");
    }
}
