//! The checks that control bodies share.

use crate::error::Error;
use crate::limits::NUMBER_MAX;

pub(super) fn text(field: &'static str, text: &str, max: usize) -> Result<(), Error> {
    if text.len() > max {
        return Err(Error::TooLarge { field, max, had: text.len() as u64 });
    }
    if text.chars().any(char::is_control) {
        return Err(Error::Invalid { field });
    }
    Ok(())
}

pub(super) fn list<T>(field: &'static str, items: &[T], max: usize) -> Result<(), Error> {
    if items.len() > max {
        return Err(Error::TooLarge { field, max, had: items.len() as u64 });
    }
    Ok(())
}

pub(super) fn numbers(field: &'static str, numbers: &[u64]) -> Result<(), Error> {
    if numbers.iter().any(|n| *n > NUMBER_MAX) {
        return Err(Error::Invalid { field });
    }
    Ok(())
}
