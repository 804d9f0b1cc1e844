//! The terms that a text is found by. Words where a script has spaces; where it has none, as Thai,
//! every character and every pair, so that any part of a text is found.
//!
//! A term is 12 letters whatever it stands for, so that every database takes it as one word of its
//! full text. Two words may share a term: what is found is compared with what was sought.

use std::collections::BTreeSet;

use crate::signature::digest;

/// Terms of one question.
pub const TERMS_MAX: usize = 32;
/// Characters of one question.
pub const CHARS_MAX: usize = 200;
/// The term of what customers may see too.
pub const OPEN: &str = "open";

/// A piece of a text.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    /// A word of a script with spaces.
    Word(String),
    /// A run of characters of one without.
    Run(Vec<char>),
}

/// What is sought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought {
    terms: Vec<String>,
    words: Vec<String>,
    runs: Vec<String>,
}

impl Sought {
    /// What a text seeks; `None` if there is nothing in it to be found, or too much.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        if text.chars().nth(CHARS_MAX).is_some() {
            return None;
        }
        let (mut terms, mut words, mut runs) = (BTreeSet::new(), Vec::new(), Vec::new());
        for piece in pieces(text) {
            match piece {
                Piece::Word(word) => {
                    terms.insert(term(&word));
                    words.push(word);
                }
                Piece::Run(run) => {
                    let size = run.len().min(2);
                    terms.extend(
                        run.windows(size).map(|part| term(&part.iter().collect::<String>())),
                    );
                    runs.push(run.iter().collect());
                }
            }
        }
        let is_some = (1..=TERMS_MAX).contains(&terms.len());
        is_some.then(|| Sought { terms: terms.into_iter().collect(), words, runs })
    }

    /// The terms, all of which a text has in which it is found.
    #[must_use]
    pub fn terms(&self) -> &[String] {
        &self.terms
    }

    /// Whether a text has it: each word, and each run of characters in one piece.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        let mut words = BTreeSet::new();
        let mut runs = Vec::new();
        for piece in pieces(text) {
            match piece {
                Piece::Word(word) => drop(words.insert(word)),
                Piece::Run(run) => runs.push(run.into_iter().collect::<String>()),
            }
        }
        self.words.iter().all(|word| words.contains(word))
            && self.runs.iter().all(|part| runs.iter().any(|run| run.contains(part)))
    }
}

/// The terms of a text, with a space between two; empty if there is nothing to be found.
#[must_use]
pub fn terms(text: &str) -> String {
    let mut terms = BTreeSet::new();
    for piece in pieces(text) {
        match piece {
            Piece::Word(word) => drop(terms.insert(term(&word))),
            Piece::Run(run) => {
                for size in [1, 2] {
                    let parts =
                        run.windows(size).map(|part| term(&part.iter().collect::<String>()));
                    terms.extend(parts);
                }
            }
        }
    }
    terms.into_iter().collect::<Vec<_>>().join(" ")
}

/// Twelve letters for a word.
fn term(word: &str) -> String {
    let letter = |half: u8| char::from(b'a' + half);
    let bytes = digest(word.as_bytes());
    bytes.iter().take(6).flat_map(|byte| [letter(byte >> 4), letter(byte & 15)]).collect()
}

/// The pieces of a text, in small letters.
fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        // A mark goes with the letter before it.
        let is_mark = matches!(c, '\u{300}'..='\u{36f}');
        match pieces.last_mut() {
            Some(Piece::Word(word)) if is_mark || is_spaced(c) => word.push(c),
            Some(Piece::Run(run)) if is_dense(c) => run.push(c),
            _ if is_spaced(c) => pieces.push(Piece::Word(c.to_string())),
            _ if is_dense(c) => pieces.push(Piece::Run(vec![c])),
            // A gap: what comes next is another piece.
            Some(Piece::Word(word)) if word.is_empty() => {}
            Some(Piece::Run(run)) if run.is_empty() => {}
            _ => pieces.push(Piece::Run(Vec::new())),
        }
    }
    pieces.retain(|piece| match piece {
        Piece::Word(word) => !word.is_empty(),
        Piece::Run(run) => !run.is_empty(),
    });
    pieces
}

/// Letters and digits of scripts with spaces between words.
fn is_spaced(c: char) -> bool {
    c.is_alphanumeric() && (u32::from(c) < 0xe00 || matches!(c, '\u{1e00}'..='\u{1fff}'))
}

/// Characters of all other scripts, and signs such as emoji.
fn is_dense(c: char) -> bool {
    u32::from(c) >= 0xe00
        && !is_spaced(c)
        && !c.is_whitespace()
        && !c.is_control()
        // Punctuation, joiners and the forms of signs.
        && !matches!(c, '\u{2000}'..='\u{206f}' | '\u{3000}'..='\u{303f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_found_in_any_case_and_order_and_parts_of_words_are_not() {
        let text = "Your order TH-1234 has NOT arrived, café!";
        for good in ["order", "arrived ORDER", "th 1234", "CAFÉ", "th-1234"] {
            assert!(Sought::new(good).unwrap().is_in(text), "{good}");
        }
        for bad in ["ord", "orders", "cafe", "order missing"] {
            assert!(!Sought::new(bad).unwrap().is_in(text), "{bad}");
        }
    }

    #[test]
    fn any_part_of_a_text_without_spaces_is_found_in_one_piece() {
        let text = "สินค้ายังไม่มาถึงเลยค่ะ order 12 🛶";
        for good in ["สินค้า", "ไม่มาถึง", "ก", "ถึงเลย สินค้า", "🛶", "มา order"]
        {
            let found = Sought::new(good).map(|sought| sought.is_in(text));
            assert_eq!(found, Some(good != "ก"), "{good}");
        }
        assert!(!Sought::new("ถึงมา").unwrap().is_in(text));
    }

    #[test]
    fn nothing_and_too_much_are_no_question() {
        for bad in ["", "  ...!", "\u{200b}", " ", &"a ".repeat(101)] {
            assert_eq!(Sought::new(bad), None, "{bad:?}");
        }
        let many: Vec<String> = (0..33).map(|n| format!("w{n}")).collect();
        assert_eq!(Sought::new(&many.join(" ")), None);
    }

    proptest! {
        #[test]
        fn whatever_is_in_a_text_has_its_terms_there(text in "[a-zก-๛ 🛶]{1,60}", from in 0_usize..60, size in 1_usize..20) {
            let part: String = text.chars().skip(from).take(size).collect();
            let all = terms(&text);
            let known: BTreeSet<&str> = all.split(' ').collect();
            if let Some(sought) = Sought::new(&part)
                && sought.is_in(&text)
            {
                for term in sought.terms() {
                    prop_assert!(known.contains(term.as_str()), "{part:?}");
                }
            }
        }
    }
}
