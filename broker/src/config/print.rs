//! Settings as TOML, each with what it is for and its default.

use toml::{Table, Value};

use super::check::Config;
use super::docs::{self, Key};
use super::file::File;

/// The settings in force, ready to be used as a file. Holds paths of secrets and never a secret.
#[must_use]
pub fn effective(config: &Config) -> String {
    let mut printer = Printer { is_sample: false, ..Printer::default() };
    printer.keys(&docs::settings(), "", &table(&config.written), &table(&File::default()));
    printer.text
}

/// The sample file: every setting at its default, commented out.
#[must_use]
pub fn sample() -> String {
    let text = SAMPLE_HEAD.to_owned();
    let mut printer = Printer { text, is_sample: true, ..Printer::default() };
    let defaults = table(&File::default());
    printer.keys(&docs::settings(), "", &defaults, &defaults);
    printer.text
}

const SAMPLE_HEAD: &str = "\
# Settings of a Sampan broker, each with its default. Uncomment what you change, and start with
# `sampan serve --config FILE`. A variable SAMPAN_SECTION_KEY, such as SAMPAN_LISTEN_QUIC, goes
# ahead of the file; a flag goes ahead of both. Unknown keys are refused.

";

/// The settings as a table. Every value of [`File`] can be written as TOML; a test holds it.
fn table(file: &File) -> Table {
    Table::try_from(file).unwrap_or_default()
}

#[derive(Default)]
struct Printer {
    text: String,
    /// Whether values are commented out.
    is_sample: bool,
    /// Keys whose docs have been printed, so that sections of one form are described once.
    described: Vec<Vec<Key>>,
}

impl Printer {
    /// Plain keys first, since a section header would swallow them.
    fn keys(&mut self, keys: &[Key], path: &str, values: &Table, defaults: &Table) {
        let is_known = self.described.iter().any(|known| known == keys);
        for key in keys.iter().filter(|key| key.value == docs::Value::Plain) {
            if !is_known {
                self.blank();
                self.docs(&key.docs);
                self.default_of(key, defaults.get(key.name));
            }
            self.assign(key.name, values.get(key.name));
        }
        self.described.push(keys.to_vec());
        for key in keys {
            let path = format!("{path}{}", key.name);
            match &key.value {
                docs::Value::Plain => {}
                docs::Value::Section(inner) => {
                    self.blank();
                    self.docs(&key.docs);
                    self.section(inner, &path, inside(values, key), inside(defaults, key));
                }
                docs::Value::List(inner) => {
                    self.blank();
                    self.docs(&key.docs);
                    self.list(inner, &path, values.get(key.name).and_then(Value::as_array));
                }
            }
        }
    }

    fn section(
        &mut self,
        keys: &[Key],
        path: &str,
        values: Option<&Table>,
        defaults: Option<&Table>,
    ) {
        let nothing = Table::new();
        if keys.iter().any(|key| key.value == docs::Value::Plain) {
            self.line(values.is_none(), &format!("[{path}]"));
        }
        let (values, defaults) = (values.unwrap_or(&nothing), defaults.unwrap_or(&nothing));
        self.keys(keys, &format!("{path}."), values, defaults);
    }

    fn list(&mut self, keys: &[Key], path: &str, items: Option<&Vec<Value>>) {
        for key in keys {
            let mut docs = key.docs.iter();
            let first = docs.next().copied().unwrap_or_default();
            self.docs(&[&format!("{}: {first}", key.name)]);
            docs.for_each(|line| self.docs(&[&format!("  {line}")]));
        }
        let items: Vec<_> = items.into_iter().flatten().filter_map(Value::as_table).collect();
        if items.is_empty() {
            self.line(true, &format!("[[{path}]]"));
        }
        for item in items {
            self.line(self.is_sample, &format!("[[{path}]]"));
            for key in keys.iter().filter(|key| item.contains_key(key.name)) {
                self.assign(key.name, item.get(key.name));
            }
        }
    }

    fn docs(&mut self, docs: &[&str]) {
        for line in docs {
            self.text.push_str(format!("# {line}").trim_end());
            self.text.push('\n');
        }
    }

    /// The default, where the docs and the value beside it do not tell it already.
    fn default_of(&mut self, key: &Key, default: Option<&Value>) {
        match default {
            _ if key.docs.iter().any(|line| line.contains("Default")) => {}
            Some(value) if !self.is_sample => self.docs(&[&format!("Default {value}.")]),
            Some(_) => {}
            None => self.docs(&["Default none."]),
        }
    }

    fn assign(&mut self, name: &str, value: Option<&Value>) {
        match value {
            Some(value) => self.line(self.is_sample, &format!("{name} = {value}")),
            None => self.line(true, &format!("{name} =")),
        }
    }

    fn line(&mut self, is_comment: bool, line: &str) {
        if is_comment {
            self.text.push('#');
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// An empty line, except below a section's header and another empty line.
    fn blank(&mut self) {
        let last = self.text.trim_end_matches('\n').rsplit('\n').next().unwrap_or_default();
        let is_header = last.trim_start_matches('#').starts_with('[');
        if !self.text.is_empty() && !self.text.ends_with("\n\n") && !is_header {
            self.text.push('\n');
        }
    }
}

fn inside<'a>(table: &'a Table, key: &Key) -> Option<&'a Table> {
    table.get(key.name).and_then(Value::as_table)
}
