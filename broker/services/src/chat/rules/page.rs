//! How much of a list one answer takes.

use serde::Serialize;

/// Bytes of a page, as JSON; the last row may go beyond. Far below what an answer may have, so that
/// no row of others makes a page that nobody can read.
pub const PAGE_BYTES: usize = 256 * 1024;

/// How many of these rows are a page; one always is.
pub fn fit<'a, T: Serialize + 'a>(rows: impl IntoIterator<Item = &'a T>) -> usize {
    let mut bytes = 0;
    let is_room = |row: &&T| {
        let was_room = bytes < PAGE_BYTES;
        bytes += serde_json::to_vec(row).map_or(0, |json| json.len());
        was_room
    };
    rows.into_iter().take_while(is_room).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_by_its_bytes_and_has_one_row_at_least() {
        let small = vec!["x".repeat(1_000); 1_000];
        assert_eq!(fit(&small), PAGE_BYTES.div_ceil(1_002));
        assert_eq!(fit(&small[..7]), 7);
        assert_eq!(fit(&[vec!["\0".repeat(PAGE_BYTES)], Vec::new()]), 1);
        assert_eq!(fit(&[] as &[String]), 0);
    }
}
