//! Topic names, patterns and the one function that turns an id into a token.
//!
//! The grammar is `spec/topics.md`. A parsed [`Topic`] or [`Pattern`] cannot be invalid.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::limits::{TOPIC_BYTES_MAX, TOPIC_TOKENS_MAX};

/// Why a text is no topic or pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// No bytes at all.
    Empty,
    /// More than 255 bytes.
    TooLong,
    /// More than 16 tokens.
    TooManyTokens,
    /// Two dots in a row, or a dot at either end.
    EmptyToken,
    /// A byte outside the grammar at this index.
    BadByte(usize),
    /// `*` or `>` in a topic name, or not alone in its token, or `>` not last.
    Wildcard,
    /// A `%` that is not followed by two upper-case hexadecimal digits of a byte that needs them.
    BadEscape,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Empty => f.write_str("the name is empty"),
            Error::TooLong => write!(f, "the name is longer than {TOPIC_BYTES_MAX} bytes"),
            Error::TooManyTokens => write!(f, "the name has more than {TOPIC_TOKENS_MAX} tokens"),
            Error::EmptyToken => f.write_str("the name has an empty token"),
            Error::BadByte(at) => write!(f, "byte {at} is not allowed; encode ids with `token`"),
            Error::Wildcard => f.write_str("a wildcard stands where it may not"),
            Error::BadEscape => f.write_str("`%` takes two upper-case digits of an unplain byte"),
        }
    }
}

impl std::error::Error for Error {}

/// A valid topic name: 1 to 16 dotted tokens, at most 255 bytes, no wildcard.
///
/// Cloning shares the text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(Arc<str>);

/// A valid pattern: a topic name in which `*` stands for one token and a last `>` for the rest.
///
/// Every topic name is also a pattern that matches only itself. Cloning shares the text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern(Arc<str>);

impl Topic {
    /// Parses a topic name.
    ///
    /// # Errors
    /// Tells the first rule of the grammar that the text breaks.
    pub fn parse(name: &str) -> Result<Self, Error> {
        check(name, false)?;
        Ok(Topic(Arc::from(name)))
    }

    /// The name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name's tokens, first to last.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// Tells the first rule of the grammar that the text breaks.
    pub fn parse(pattern: &str) -> Result<Self, Error> {
        check(pattern, true)?;
        Ok(Pattern(Arc::from(pattern)))
    }

    /// The pattern's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pattern's tokens, first to last.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }

    /// The pattern as a topic, if it has no wildcard.
    #[must_use]
    pub fn as_topic(&self) -> Option<Topic> {
        let wild = self.tokens().any(|token| matches!(token, "*" | ">"));
        (!wild).then(|| Topic(self.0.clone()))
    }

    /// Whether `topic` is matched.
    #[must_use]
    pub fn matches(&self, topic: &Topic) -> bool {
        covers(&self.0, &topic.0)
    }

    /// Whether every topic that `other` matches is matched by this pattern too.
    ///
    /// A grant must cover the whole pattern that a client asks for.
    #[must_use]
    pub fn covers(&self, other: &Pattern) -> bool {
        covers(&self.0, &other.0)
    }
}

/// Token-wise cover. `>` stands for one or more tokens, so `a.>` does not cover `a`.
fn covers(wide: &str, narrow: &str) -> bool {
    let mut narrow = narrow.split('.');
    for token in wide.split('.') {
        match (token, narrow.next()) {
            (">", Some(_)) => return true,
            (_, None | Some(">")) => return false,
            ("*", Some(_)) => {}
            (token, Some(other)) if token != other => return false,
            _ => {}
        }
    }
    narrow.next().is_none()
}

/// Bytes that stand for themselves in a token.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'~' | b':' | b'@' | b'+')
}

fn check(name: &str, wildcards: bool) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::Empty);
    }
    if name.len() > TOPIC_BYTES_MAX {
        return Err(Error::TooLong);
    }
    let count = name.bytes().filter(|b| *b == b'.').count() + 1;
    if count > TOPIC_TOKENS_MAX {
        return Err(Error::TooManyTokens);
    }
    let mut at = 0;
    for (index, token) in name.split('.').enumerate() {
        check_token(token, at, wildcards, index + 1 == count)?;
        at += token.len() + 1;
    }
    Ok(())
}

fn check_token(token: &str, at: usize, wildcards: bool, last: bool) -> Result<(), Error> {
    match token {
        "" => return Err(Error::EmptyToken),
        "*" if wildcards => return Ok(()),
        ">" if wildcards && last => return Ok(()),
        _ => {}
    }
    let bytes = token.as_bytes();
    let mut i = 0;
    while let Some(&byte) = bytes.get(i) {
        match byte {
            b'*' | b'>' => return Err(Error::Wildcard),
            b'%' => {
                escaped(&bytes[i + 1..]).ok_or(Error::BadEscape)?;
                i += 2;
            }
            _ if is_plain(byte) => {}
            _ => return Err(Error::BadByte(at + i)),
        }
        i += 1;
    }
    Ok(())
}

/// The byte that the two digits after a `%` stand for. Plain bytes are never escaped, so that no
/// id has two tokens.
fn escaped(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    let byte = digit(*digits.first()?)? << 4 | digit(*digits.get(1)?)?;
    (!is_plain(byte)).then_some(byte)
}

/// Turns any id into one token, so that `>` or `python3.11` is a name and not a pattern.
///
/// Bytes outside `A-Z a-z 0-9 _ - ~ : @ +` become `%` and two upper-case hexadecimal digits; the
/// result of an empty id is `%`-free but invalid as a token, so callers reject empty ids. The
/// mapping is injective.
#[must_use]
pub fn token(id: &str) -> String {
    use fmt::Write as _;
    let mut out = String::with_capacity(id.len());
    for &byte in id.as_bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Turns a token back into the id it was made from; `None` if [`token`] makes no such token.
#[must_use]
pub fn token_to_id(token: &str) -> Option<String> {
    let mut out = Vec::with_capacity(token.len());
    let mut rest = token.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'%' => {
                out.push(escaped(rest)?);
                rest = &rest[2..];
            }
            _ if is_plain(byte) => out.push(byte),
            _ => return None,
        }
    }
    String::from_utf8(out).ok()
}

macro_rules! text {
    ($type:ident) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl std::str::FromStr for $type {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self, Error> {
                $type::parse(text)
            }
        }
    };
}
text!(Topic);
text!(Pattern);

impl From<&Topic> for Pattern {
    fn from(topic: &Topic) -> Self {
        Pattern(topic.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).expect(text)
    }

    #[test]
    fn grammar_accepts_and_refuses() {
        let long = "a".repeat(256);
        let many = vec!["a"; 17].join(".");
        let cases: &[(&str, Result<(), Error>)] = &[
            ("order.42", Ok(())),
            ("chat.conversation.a%2Eb", Ok(())),
            ("", Err(Error::Empty)),
            (&long, Err(Error::TooLong)),
            (&many, Err(Error::TooManyTokens)),
            ("a..b", Err(Error::EmptyToken)),
            (".a", Err(Error::EmptyToken)),
            ("a.", Err(Error::EmptyToken)),
            ("a.*", Err(Error::Wildcard)),
            ("a.>", Err(Error::Wildcard)),
            ("a.b\n", Err(Error::BadByte(3))),
            ("a b", Err(Error::BadByte(1))),
            ("a.%2e", Err(Error::BadEscape)),
            ("a.%", Err(Error::BadEscape)),
            ("a.%41", Err(Error::BadEscape)),
            ("ก", Err(Error::BadByte(0))),
        ];
        for (name, expected) in cases {
            assert_eq!(Topic::parse(name).map(|_| ()), *expected, "{name:?}");
        }
        for (text, expected) in [
            ("*", Ok(())),
            (">", Ok(())),
            ("a.*.b.>", Ok(())),
            ("a.>.b", Err(Error::Wildcard)),
            ("a*", Err(Error::Wildcard)),
        ] {
            assert_eq!(Pattern::parse(text).map(|_| ()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_grant_covers_only_what_lies_inside_it() {
        let cases = [
            ("a.*", "a.b", true),
            ("a.*", "a.b.c", false),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            ("a.>", "a.>", true),
            ("a.*", "a.>", false),
            ("a.>", "a.*", true),
            (">", "a.>", true),
            ("a.*.c", "a.*.c", true),
            ("a.*.c", "a.>", false),
            ("a.b", "a.*", false),
        ];
        for (wide, narrow, expected) in cases {
            assert_eq!(pattern(wide).covers(&pattern(narrow)), expected, "{wide} {narrow}");
        }
    }

    #[test]
    fn an_id_is_a_name_and_never_a_pattern() {
        for (id, expected) in [(">", "%3E"), ("*", "%2A"), ("python3.11", "python3%2E11")] {
            assert_eq!(token(id), expected);
            assert!(Topic::parse(&format!("order.{}", token(id))).is_ok());
        }
    }

    proptest! {
        #[test]
        fn token_round_trips(id in "\\PC{1,40}") {
            let encoded = token(&id);
            prop_assert_eq!(token_to_id(&encoded), Some(id));
            if encoded.len() <= TOPIC_BYTES_MAX {
                prop_assert!(Topic::parse(&encoded).is_ok());
            }
        }

        #[test]
        fn cover_agrees_with_matching(
            wide in "([ab*]\\.){0,3}[ab*>]", narrow in "([ab]\\.){0,3}[ab]"
        ) {
            let (wide, topic) = (pattern(&wide), Topic::parse(&narrow).expect("plain"));
            prop_assert_eq!(wide.matches(&topic), wide.covers(&Pattern::from(&topic)));
        }
    }
}
