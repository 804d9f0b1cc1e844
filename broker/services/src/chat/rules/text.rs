//! Text as it is stored: one form for what looks the same, and nothing that only machines see.

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::refusal::Refusal;

/// Characters of a message.
pub const CHARS_MAX: usize = 10_000;
/// Bytes of a text before it is looked at: what it may have at most, and room for what is stripped.
const BYTES_MAX: usize = CHARS_MAX * 4 * 4;

/// The text in composed form with line ends as `\n` and no control characters but `\n` and tabs;
/// `None` if nothing is left to read.
///
/// # Errors
/// A refusal of `content.text` if it has more than 10,000 characters.
pub fn clean(text: &str) -> Result<Option<String>, Refusal> {
    const TOO_LONG: Refusal = Refusal::field("content.text", "at most 10,000 characters");
    if text.len() > BYTES_MAX {
        return Err(TOO_LONG);
    }
    let lines = text.replace("\r\n", "\n");
    let seen: String =
        lines.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect();
    let composed = if is_nfc(&seen) { seen } else { seen.nfc().collect() };
    if composed.chars().count() > CHARS_MAX {
        return Err(TOO_LONG);
    }
    Ok(composed.chars().any(is_seen).then_some(composed))
}

/// Whether a character shows something: no white space and none of the marks without width.
fn is_seen(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_characters_go_and_lines_and_tabs_stay() {
        let cleaned = clean("a\0b\u{1b}[31m\r\nc\td\u{85}\u{7f}").unwrap();
        assert_eq!(cleaned.as_deref(), Some("ab[31m\nc\td"));
    }

    #[test]
    fn what_looks_the_same_is_stored_the_same() {
        assert_eq!(clean("cafe\u{301}").unwrap(), clean("caf\u{e9}").unwrap());
        let thai = "น้ำท่วม 👩‍👩‍👧‍👦";
        assert_eq!(clean(thai).unwrap().as_deref(), Some(thai));
    }

    #[test]
    fn a_text_that_shows_nothing_is_none() {
        for empty in ["", " \t\n", "\0\0", "\u{200b}\u{feff}"] {
            assert_eq!(clean(empty).unwrap(), None, "{empty:?}");
        }
    }

    #[test]
    fn ten_thousand_characters_pass_and_one_more_does_not() {
        assert!(clean(&"ก".repeat(CHARS_MAX)).is_ok());
        assert!(clean(&"a".repeat(CHARS_MAX + 1)).is_err());
        assert!(clean(&"a".repeat(1 << 20)).is_err());
    }

    proptest! {
        #[test]
        fn a_clean_text_is_clean_already(text in any::<String>()) {
            if let Some(once) = clean(&text)? {
                prop_assert_eq!(clean(&once)?, Some(once));
            }
        }
    }
}
