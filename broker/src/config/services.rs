//! The services' settings, and where their database is.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sampan_services::inventory::rules::allocation::Order;
use sampan_services::store::Address;

use super::error::Error;
use super::file;

/// Bytes of a file with an address.
const ADDRESS_BYTES_MAX: u64 = 4096;
/// Permissions that let others read or change a file.
const OTHERS: u32 = 0o027;
/// The SQLite database in the data directory.
const SQLITE: &str = "services.db";

/// The settings of the services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Services {
    /// Whether they run in the broker's process.
    pub enabled: bool,
    /// Which locations give stock first.
    pub allocation: Order,
    place: Place,
}

/// Where the address of their database is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Here(Address),
    File(PathBuf),
}

impl Services {
    /// The settings of a file, and the address of the variable.
    pub(super) fn new(file: &file::File, database: Option<Address>) -> Self {
        let own = || Address::sqlite(&absolute(&file.data.dir.join(SQLITE)));
        let place = match (database, &file.services.database_file) {
            (Some(address), _) => Place::Here(address),
            (None, Some(path)) => Place::File(path.clone()),
            (None, None) => Place::Here(own()),
        };
        let file::Services { enabled, allocation, .. } = file.services;
        Services { enabled, allocation, place }
    }

    /// The address of their database.
    ///
    /// # Errors
    /// If its file cannot be read, or can be by others.
    pub fn database(&self) -> Result<Address, Error> {
        match &self.place {
            Place::Here(address) => Ok(address.clone()),
            Place::File(path) => read(path).map_err(|error| Error::Read(path.clone(), error)),
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn read(path: &Path) -> io::Result<Address> {
    let file = File::open(path)?;
    if file.metadata()?.permissions().mode() & OTHERS != 0 {
        return Err(io::Error::other("others can read or change it; `chmod 600` cures that"));
    }
    let mut text = String::new();
    file.take(ADDRESS_BYTES_MAX).read_to_string(&mut text)?;
    Ok(Address::new(&text))
}
