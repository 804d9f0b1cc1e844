//! The services' settings, and where their databases are.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sampan_services::Settings;
use sampan_services::chat;
use sampan_services::inventory::rules::allocation::Order;
use sampan_services::notifications::send;
use sampan_services::orders::carriers;
use sampan_services::store::Address;
use serde::Deserialize;

use super::error::Error;
use super::file;

/// Bytes of a file with an address.
const ADDRESS_BYTES_MAX: u64 = 4096;
/// Bytes of the file with the providers.
const PROVIDERS_BYTES_MAX: u64 = 64 * 1024;
/// Permissions that let others read or change a file.
const OTHERS: u32 = 0o027;
/// The SQLite database in the data directory.
const SQLITE: &str = "services.db";
/// The files of messages in the data directory.
const FILES: &str = "files";

/// The settings of the services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Services {
    /// Whether they run in the broker's process.
    pub enabled: bool,
    allocation: Order,
    chat: chat::service::Settings,
    files: PathBuf,
    database: Place,
    chat_database: Option<Place>,
    providers: Option<PathBuf>,
}

/// The file of those whom the services ask: each with its key.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Providers {
    #[serde(default)]
    tracker: Vec<carriers::Settings>,
    #[serde(default)]
    sender: Vec<send::Settings>,
}

/// Where the address of a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Here(Address),
    File(PathBuf),
}

impl Services {
    /// The settings of a file, and the addresses of the variables.
    pub(super) fn new(file: &file::File, variables: Variables) -> Self {
        let kept = |name: &str| absolute(&file.data.dir.join(name));
        let file::Services {
            enabled,
            allocation,
            database_file,
            chat_database_file,
            files_dir,
            providers_file,
            chat,
        } = &file.services;
        let database = Place::of(variables.database, database_file.as_deref());
        Services {
            enabled: *enabled,
            allocation: *allocation,
            chat: chat.settings(),
            files: files_dir.clone().unwrap_or_else(|| kept(FILES)),
            database: database.unwrap_or_else(|| Place::Here(Address::sqlite(&kept(SQLITE)))),
            chat_database: Place::of(variables.chat_database, chat_database_file.as_deref()),
            providers: providers_file.clone(),
        }
    }

    /// What they are set up with.
    ///
    /// # Errors
    /// If the file of an address or of the providers cannot be read, or can be by others.
    pub fn settings(&self) -> Result<Settings, Error> {
        let Providers { tracker, sender } =
            self.providers.as_deref().map_or(Ok(Providers::default()), providers)?;
        Ok(Settings {
            database: self.database.address()?,
            chat_database: self.chat_database.as_ref().map(Place::address).transpose()?,
            files: self.files.clone(),
            allocation: self.allocation,
            chat: self.chat.clone(),
            carriers: tracker,
            senders: sender,
        })
    }
}

/// The addresses that variables give.
#[derive(Debug, Default)]
pub(super) struct Variables {
    pub(super) database: Option<Address>,
    pub(super) chat_database: Option<Address>,
}

impl Place {
    /// The variable goes before the file.
    fn of(variable: Option<Address>, file: Option<&Path>) -> Option<Self> {
        variable.map(Place::Here).or_else(|| Some(Place::File(file?.to_owned())))
    }

    fn address(&self) -> Result<Address, Error> {
        match self {
            Place::Here(address) => Ok(address.clone()),
            Place::File(path) => {
                let text = read(path, ADDRESS_BYTES_MAX);
                text.map(|text| Address::new(&text))
                    .map_err(|error| Error::Read(path.clone(), error))
            }
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn providers(path: &Path) -> Result<Providers, Error> {
    let wrong = |error: io::Error| Error::Read(path.to_owned(), error);
    let text = read(path, PROVIDERS_BYTES_MAX).map_err(wrong)?;
    // What is wrong is told without the text, which holds keys.
    toml::from_str(&text).map_err(|error| {
        wrong(io::Error::new(io::ErrorKind::InvalidData, error.message().to_owned()))
    })
}

/// A file that others may not look at.
fn read(path: &Path, bytes_max: u64) -> io::Result<String> {
    let file = File::open(path)?;
    if file.metadata()?.permissions().mode() & OTHERS != 0 {
        return Err(io::Error::other("others can read or change it; `chmod 600` cures that"));
    }
    let mut text = String::new();
    file.take(bytes_max).read_to_string(&mut text)?;
    Ok(text)
}
