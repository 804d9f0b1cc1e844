//! Where settings come from, and which goes first: flags, then variables, then the file.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::docs::{self, Key};
use super::error::Error;
use super::file::File;

/// The variables of the process, or those of a test.
pub type Environment = BTreeMap<String, String>;

/// Settings that have a flag of their own.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--quic`.
    pub quic: Option<SocketAddr>,
    /// `--http`.
    pub http: Option<SocketAddr>,
    /// `--data`.
    pub data: Option<PathBuf>,
}

/// Everything that settings come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// Variables; those of other programs are passed over.
    pub environment: Environment,
    /// Flags.
    pub flags: Flags,
}

impl Sources {
    /// The variables of this process with these flags and file.
    ///
    /// A variable that is not UTF-8 is not one of ours.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>, flags: Flags) -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Sources { file, environment: std::env::vars_os().filter_map(text).collect(), flags }
    }

    /// The settings as written, one source on top of the other; not yet checked.
    pub(super) fn merge(&self) -> Result<File, Error> {
        let known = docs::settings();
        let mut table = match &self.file {
            Some(path) => read(path, &known)?,
            None => Table::new(),
        };
        for (name, text) in &self.environment {
            if let Some((section, key)) = setting_of(name, &known)? {
                put_text(&mut table, (&section, &key), name, text)?;
            }
        }
        let mut file = table
            .try_into::<File>()
            .map_err(|error| Error::Value { key: "settings".into(), why: error.to_string() })?;
        if let Some(dir) = self.environment.get("SAMPAN_DATA") {
            file.data.dir = PathBuf::from(dir);
        }
        if let Some(origins) = self.environment.get("ALLOWED_ORIGINS") {
            let origins = origins.split(',').map(str::trim).filter(|origin| !origin.is_empty());
            file.bridge.allowed_origins = origins.map(str::to_owned).collect();
        }
        let Flags { quic, http, data } = self.flags.clone();
        file.listen.quic = quic.unwrap_or(file.listen.quic);
        file.listen.http = http.unwrap_or(file.listen.http);
        file.data.dir = data.unwrap_or(file.data.dir);
        Ok(file)
    }
}

fn read(path: &Path, known: &[Key]) -> Result<Table, Error> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::Read(path.to_owned(), e))?;
    let wrong = |error: toml::de::Error| Error::Parse(path.to_owned(), error.to_string());
    let table = text.parse::<Table>().map_err(wrong)?;
    refuse_unknown(&table, known, &path.display().to_string(), "")?;
    // Read as a whole here, so that a wrong value is shown with its line.
    toml::from_str::<File>(&text).map_err(wrong)?;
    Ok(table)
}

fn refuse_unknown(table: &Table, known: &[Key], place: &str, prefix: &str) -> Result<(), Error> {
    for (name, value) in table {
        let path = format!("{prefix}{name}");
        let Some(key) = known.iter().find(|key| key.name == name) else {
            let nearest = nearest(name, known.iter().map(|key| key.name));
            let nearest = nearest.map(|near| format!("{prefix}{near}"));
            return Err(Error::Unknown { place: place.to_owned(), key: path, nearest });
        };
        let prefix = format!("{path}.");
        match (&key.value, value) {
            (docs::Value::Section(keys), Value::Table(inner)) => {
                refuse_unknown(inner, keys, place, &prefix)?;
            }
            (docs::Value::List(keys), Value::Array(items)) => {
                for inner in items.iter().filter_map(Value::as_table) {
                    refuse_unknown(inner, keys, place, &prefix)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Variables that start like a setting and are none.
const PLAIN: [&str; 6] = [
    "SAMPAN_URL",
    "SAMPAN_TOKEN",
    "SAMPAN_DATA",
    "SAMPAN_CONFIG",
    "SAMPAN_DATABASE_URL",
    "SAMPAN_CHAT_DATABASE_URL",
];

/// The section and key that `SAMPAN_SECTION_KEY` names.
///
/// A variable of no section is passed over, and so are those that Kubernetes injects for a service
/// called `sampan` or `sampan-auth` (`SAMPAN_PORT_3001_UDP`, `SAMPAN_AUTH_SERVICE_HOST`).
fn setting_of(variable: &str, known: &[Key]) -> Result<Option<(String, String)>, Error> {
    let Some(rest) = variable.strip_prefix("SAMPAN_").filter(|_| !PLAIN.contains(&variable)) else {
        return Ok(None);
    };
    let rest = rest.to_ascii_lowercase();
    let section = known.iter().find_map(|key| match &key.value {
        docs::Value::Section(keys) => {
            let name = rest.strip_prefix(key.name)?.strip_prefix('_')?;
            Some((key.name, keys, name))
        }
        _ => None,
    });
    let Some((section, keys, name)) = section else { return Ok(None) };
    if keys.iter().any(|key| key.name == name && key.value == docs::Value::Plain) {
        return Ok(Some((section.to_owned(), name.to_owned())));
    }
    if name == "port" || name.starts_with("port_") || name.starts_with("service_") {
        return Ok(None);
    }
    let nearest = nearest(name, keys.iter().map(|key| key.name));
    let nearest = nearest.map(|near| format!("SAMPAN_{section}_{near}").to_ascii_uppercase());
    Err(Error::Unknown { place: "environment".to_owned(), key: variable.to_owned(), nearest })
}

/// Puts a variable's text in its place: as text where the key takes text, else as TOML.
fn put_text(
    table: &mut Table,
    (section, key): (&str, &str),
    variable: &str,
    text: &str,
) -> Result<(), Error> {
    let with = |value: Value| {
        let mut table = table.clone();
        let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
        if let Some(section) = section.as_table_mut() {
            section.insert(key.to_owned(), value);
        }
        table
    };
    let fits = |table: &Table| File::deserialize(table.clone()).map(|_| ());
    let plain = with(Value::String(text.to_owned()));
    let Err(error) = fits(&plain) else {
        *table = plain;
        return Ok(());
    };
    let parsed = format!("value = {text}").parse::<Table>().ok();
    let parsed = parsed.and_then(|mut parsed| parsed.remove("value")).map(with);
    match parsed.filter(|table| fits(table).is_ok()) {
        Some(parsed) => {
            *table = parsed;
            Ok(())
        }
        None => Err(Error::Variable {
            name: variable.to_owned(),
            why: error.message().lines().next().unwrap_or("not a valid value").to_owned(),
        }),
    }
}

/// The known name that differs least, if it is near enough to be meant.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}
