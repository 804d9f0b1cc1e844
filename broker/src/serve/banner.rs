//! What `sampan serve` prints once it serves: a line for scripts, and commands to paste.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use crate::config::{Config, File, LogFormat};

/// Addresses that the broker is bound to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) quic: SocketAddr,
    pub(super) http: SocketAddr,
}

/// Tells on standard error that the broker serves.
///
/// The first line is `listening quic=ADDR http=ADDR`; scripts rely on it. The rest is for people,
/// and left out where the log is for machines.
pub(super) fn print(config: &Config, bound: Bound) {
    let Bound { quic, http } = bound;
    let mut lines = format!("listening quic={quic} http={http}\n");
    if config.log.format == LogFormat::Text {
        lines.push_str(&text(config, bound));
    }
    // A script may have closed standard error behind it; the broker serves all the same.
    let _ = io::stderr().write_all(lines.as_bytes());
}

fn text(config: &Config, Bound { quic, http }: Bound) -> String {
    let data = &config.data_dir;
    let own = match (config.certificate.is_some(), config.has_own_keys()) {
        (true, true) => "",
        (true, false) => " (development secret)",
        (false, true) => " (development certificate)",
        (false, false) => " (development certificate and secret)",
    };
    let defaults = File::default();
    let mut flags = String::new();
    // Writing to a string does not fail.
    if quic != defaults.listen.quic {
        let _ = write!(flags, " --url quic://{quic}");
    }
    let data_flag = match data == &defaults.data.dir {
        true => String::new(),
        false => format!(" --data {}", quoted(data)),
    };
    flags.push_str(&data_flag);
    format!(
        "\n\
         broker   quic://{quic}\n\
         health   http://{http}/readyz  http://{http}/metrics\n\
         data     {}{own}\n\
         \n\
         try      sampan sub 'demo.>'{flags}\n\
         \x20        sampan pub demo.hello 'Hello, market'{flags}\n\
         \x20        sampan status{flags}\n\
         \x20        sampan token --user alice --role customer{data_flag}\n\
         \n",
        data.display(),
    )
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, Sources};

    #[test]
    fn commands_name_what_differs_from_the_defaults() {
        let load = |flags| Config::load(&Sources { flags, ..Sources::default() }).expect("valid");
        let plain = load(Flags::default());
        let bound = Bound { quic: plain.quic, http: plain.http };
        assert!(text(&plain, bound).contains("sampan status\n"));

        let moved = load(Flags { data: Some("it's here".into()), ..Flags::default() });
        let quic = SocketAddr::from(([127, 0, 0, 1], 4001));
        let text = text(&moved, Bound { quic, ..bound });
        let status = r"sampan status --url quic://127.0.0.1:4001 --data 'it'\''s here'";
        assert!(text.contains(status), "{text}");
        assert!(text.contains(r"--role customer --data 'it'\''s here'"), "{text}");
    }
}
