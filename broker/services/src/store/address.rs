//! Where a database is.

use std::path::Path;

/// The address of a database. It may hold a password, and is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(..)")
    }
}

impl Address {
    /// An address as a variable or a file gives it; white space around it is dropped.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Address(text.trim().to_owned())
    }

    /// That of the SQLite database in a file, which is made if it is missing.
    #[must_use]
    pub fn sqlite(file: &Path) -> Self {
        let mut path = String::new();
        for byte in file.as_os_str().as_encoded_bytes() {
            match byte {
                b'/' | b'.' | b'-' | b'_' => path.push(char::from(*byte)),
                byte if byte.is_ascii_alphanumeric() => path.push(char::from(*byte)),
                byte => path.push_str(&format!("%{byte:02X}")),
            }
        }
        Address(format!("sqlite:{path}?mode=rwc"))
    }

    /// The address as it is.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}
