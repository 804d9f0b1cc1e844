//! How deep JSON from a peer may nest.

/// Objects and lists inside each other.
const DEPTH_MAX: usize = 32;

/// Whether the text nests no deeper than is taken. Says nothing about its validity.
pub(crate) fn is_shallow(text: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_brackets_outside_of_texts_count() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(is_shallow(&nested(DEPTH_MAX)));
        assert!(!is_shallow(&nested(DEPTH_MAX + 1)));
        assert!(is_shallow(&format!("\"{}\"", nested(100))));
        assert!(is_shallow(&format!(r#"["\"{}"]"#, nested(100))));
        assert!(!is_shallow(&format!(r#"["\\",{}]"#, nested(100))));
        assert!(is_shallow(&"[]".repeat(1000)));
    }
}
