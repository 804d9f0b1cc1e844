//! Text messages: how many parts one has, and who wants none.

use crate::refusal::Refusal;

/// Characters of the alphabet of GSM 03.38 that take one place.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡\
                     ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Those that take two.
const EXTENDED: &str = "^{}\\[~]|€\u{c}";
/// What ends all text messages, as the whole of an answer.
const STOP: &[&str] = &["stop", "stopall", "unsubscribe", "cancel", "end", "quit", "หยุด", "ยกเลิก"];

/// How a text is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Messages that it takes.
    pub count: usize,
    /// Whether it needs UCS-2, as Thai does.
    pub is_unicode: bool,
}

/// How a text is sent: 160 places, or 153 a part, in the alphabet of GSM; 70 or 67 in UCS-2.
#[must_use]
pub fn parts(text: &str) -> Parts {
    let places = |c: char| match (BASIC.contains(c), EXTENDED.contains(c)) {
        (true, _) => Some(1),
        (_, true) => Some(2),
        _ => None,
    };
    let basic: Option<Vec<usize>> = text.chars().map(places).collect();
    let is_unicode = basic.is_none();
    let widths = basic.unwrap_or_else(|| text.chars().map(char::len_utf16).collect());
    let (whole, part) = if is_unicode { (70, 67) } else { (160, 153) };
    let count = if widths.iter().sum::<usize>() <= whole { 1 } else { count(&widths, part) };
    Parts { count, is_unicode }
}

/// Parts of so many places, none of which cuts a character.
fn count(widths: &[usize], part: usize) -> usize {
    let (mut count, mut used) = (1, 0);
    for width in widths {
        if used + width > part {
            (count, used) = (count + 1, 0);
        }
        used += width;
    }
    count
}

/// The number, if it is one of E.164: a plus and 7 to 15 digits, the first not 0.
///
/// # Errors
/// A refusal of `phone`.
pub fn number(text: &str) -> Result<&str, Refusal> {
    let digits = text.strip_prefix('+').unwrap_or("");
    let is_number = (7..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { Ok(text) } else { Err(Refusal::field("phone", "a number such as +66812345678")) }
}

/// Whether an answer ends all text messages to its sender.
#[must_use]
pub fn is_stop(answer: &str) -> bool {
    STOP.contains(&answer.trim().trim_end_matches(['.', '!']).to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thai_has_seventy_places_and_sixty_seven_a_part() {
        let thai = |n| parts(&"ก".repeat(n));
        assert_eq!(thai(70), Parts { count: 1, is_unicode: true });
        assert_eq!([71, 134, 135].map(|n| thai(n).count), [2, 2, 3]);
    }

    #[test]
    fn latin_has_a_hundred_and_sixty_and_some_characters_take_two() {
        let latin = |n| parts(&"a".repeat(n)).count;
        assert_eq!([0, 160, 161, 306, 307].map(latin), [1, 1, 2, 2, 3]);
        assert_eq!(parts(&"€".repeat(80)), Parts { count: 1, is_unicode: false });
        assert_eq!(parts(&"€".repeat(81)).count, 2);
    }

    #[test]
    fn no_part_ends_within_a_character() {
        assert_eq!(parts(&"😀".repeat(35)).count, 1);
        assert_eq!(parts(&"😀".repeat(66)).count, 2);
        assert_eq!(parts(&"😀".repeat(67)).count, 3);
    }

    #[test]
    fn only_numbers_of_the_standard_are_numbers() {
        assert!(number("+66812345678").is_ok());
        for bad in ["0812345678", "+0812345678", "+66 81", "+6681234567890123", "+66812a4567", ""] {
            assert!(number(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_stop_is_a_stop_in_two_languages_and_only_as_a_whole() {
        assert!(is_stop(" Stop. ") && is_stop("หยุด"));
        assert!(!is_stop("please do not stop") && !is_stop(""));
    }
}
