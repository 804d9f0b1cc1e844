//! What holds for every source file: lists first, then the rules that read them.

use crate::tree::{Source, closing, words};

/// Crates that take time, seeds and bytes as arguments, and all that they may depend on.
const PURE: &[(&str, &[&str])] = &[
    ("protocol/", &["bytes", "rkyv"]),
    ("broker/core/", &["bytes", "sampan-protocol", "slab"]),
    (
        "broker/quic/",
        &["aws-lc-rs", "bytes", "quinn-proto", "rustls", "sampan-core", "sampan-protocol"],
    ),
];

/// Folders of other crates that are held to the same.
const PURE_FOLDERS: &[&str] = &[
    "broker/services/src/chat/model/",
    "broker/services/src/chat/rules/",
    "broker/services/src/inventory/rules/",
    "broker/services/src/notifications/rules/",
    "broker/services/src/orders/rules/",
];

/// What pure code would reach the world through: runtimes, sockets, disks, threads, clocks, chance.
const WORLD: &str =
    "tokio async_std smol mio rayon crossbeam parking_lot sled dashmap rustix libc nix
    socket2 UdpSocket TcpStream TcpListener UnixStream UnixDatagram ToSocketAddrs
    std::fs std::env std::process std::io::stdin std::io::stdout std::io::stderr println! eprintln!
    std::thread thread::spawn thread::sleep thread_local! Mutex RwLock Condvar mpsc
    Instant::now SystemTime::now .elapsed()
    RandomState DefaultHasher rand thread_rng getrandom fastrand OsRng SystemRandom
    HashMap::new HashSet::new HashMap::with_capacity HashSet::with_capacity";

/// One dependency, one door: the files that may name it, or the folder. Each must do so.
const DOORS: &[(&str, &[&str])] = &[
    ("form_urlencoded", &["broker/services/src/notifications/send/"]),
    ("axum", &["bridge-ws/src/web/", "broker/services/src/http/", "broker/src/http/"]),
    ("clap", &["broker/src/cli/"]),
    ("crc32c", &["broker/journal/src/checksum.rs"]),
    ("dashmap", &["broker/src/shard/directory.rs"]),
    ("flate2", &["bridge-ws/src/inflate.rs"]),
    ("h2", &["broker/services/src/notifications/send/apns.rs"]),
    ("hdrhistogram", &["benches/src/report.rs", "benches/src/tally.rs"]),
    ("humantime", &["broker/src/cli/"]),
    ("http_body_util", &["broker/services/src/notifications/send/apns.rs"]),
    ("hyper", &["broker/services/src/notifications/send/apns.rs", "broker/src/http/listener.rs"]),
    (
        "hyper_util",
        &["broker/services/src/notifications/send/apns.rs", "broker/src/http/listener.rs"],
    ),
    ("infer", &["broker/services/src/chat/rules/sniff.rs"]),
    (
        "jiff",
        &[
            "broker/services/src/chat/rules/hours.rs",
            "broker/services/src/moment.rs",
            "broker/services/src/notifications/rules/quiet.rs",
        ],
    ),
    ("jsonwebtoken", &["broker/src/auth/keys.rs", "broker/src/auth/mint.rs"]),
    ("lettre", &["broker/services/src/notifications/send/smtp.rs"]),
    ("libc", &["broker/src/udp/"]),
    ("minijinja", &["broker/services/src/notifications/rules/template.rs"]),
    ("mongodb", &["broker/services/src/store/mongo/"]),
    ("prometheus_client", &["broker/src/http/metrics.rs"]),
    ("quinn", &["sdk/rust/src/endpoint.rs", "sdk/rust/src/quic.rs", "sdk/rust/src/transport.rs"]),
    ("quinn_proto", &["broker/quic/src/"]),
    ("rcgen", &["broker/src/data_dir/certificate.rs"]),
    ("rkyv", &["protocol/src/control/"]),
    ("rtrb", &["broker/src/shard/mesh.rs"]),
    (
        "rustix",
        &[
            "broker/journal/src/storage/disk.rs",
            "broker/src/data_dir/file_system.rs",
            "broker/src/udp/",
            "benches/src/broker.rs",
            "benches/src/usage.rs",
        ],
    ),
    ("rustls_native_certs", &["sdk/rust/src/endpoint.rs"]),
    ("sled", &["broker/journal/src/checkpoint/index.rs"]),
    ("socket2", &["sdk/rust/src/endpoint.rs"]),
    ("socketioxide_core", &["bridge-ws/src/socketio/packet.rs"]),
    ("socketioxide_parser_common", &["bridge-ws/src/socketio/packet.rs"]),
    ("sqlx", &["broker/services/src/store/sql/"]),
    ("toml", &["broker/src/config/", "broker/services/src/notifications/shipped/mod.rs"]),
    ("tungstenite", &["bridge-ws/src/web/socket.rs"]),
    (
        "unicode_normalization",
        &[
            "broker/services/src/chat/rules/text.rs",
            "broker/services/src/orders/rules/tracking/easypost.rs",
        ],
    ),
    ("ureq", &["broker/services/src/outbound.rs", "broker/src/auth/jwks/fetch.rs"]),
    ("uuid", &["broker/services/src/id.rs"]),
];

/// Published crates, and the dependencies that their public signatures may show.
const PUBLISHED: &[&str] = &["protocol/", "sdk/rust/"];
const SHOWN: &[&str] = &["bytes", "futures-core", "serde", "protocol"];

/// Module names that say nothing.
const EMPTY_NAMES: &str = "common util utils helper helpers types misc manager prelude";

/// Never in code that ships.
const UNFINISHED: &str = "dbg! todo! unimplemented! .unwrap()";

/// Never in any file: reminders, tests that do not run, paths of one machine, hosts of registries.
const NOWHERE: &str =
    "TODO FIXME XXX HACK #[ignore #[should_panic /root/ /home/ /work/ /Users/ /tmp/
    registry.npmjs.org index.crates.io static.crates.io pypi.org pythonhosted.org deb.debian.org
    proxy.golang.org repo.maven";

fn below<'a>(sources: &'a [Source], folder: &'a str) -> impl Iterator<Item = &'a Source> {
    sources.iter().filter(move |source| source.path.starts_with(folder))
}

/// The names under `[dependencies]` of a folder's manifest.
fn dependencies<'a>(sources: &'a [Source], folder: &str) -> Vec<&'a str> {
    let path = format!("{folder}Cargo.toml");
    let text = sources.iter().find(|source| source.path == path).map_or("", |source| &source.text);
    let section = text.split("[dependencies]\n").nth(1).unwrap_or("").split("\n[").next();
    let names = section.unwrap_or("").lines().filter(|line| line.contains('='));
    names.filter_map(|line| line.split(['.', ' ', '=']).next()).collect()
}

pub(crate) fn pure_crates_name_no_world(sources: &[Source]) -> Vec<String> {
    let mut out = Vec::new();
    for (folder, allowed) in PURE {
        let manifest = format!("{folder}Cargo.toml");
        let foreign = dependencies(sources, folder).into_iter().filter(|d| !allowed.contains(d));
        out.extend(foreign.map(|name| format!("{manifest}: {name} is not pure")));
        out.extend(below(sources, &format!("{folder}src/")).flat_map(worldly));
    }
    out.extend(PURE_FOLDERS.iter().flat_map(|folder| below(sources, folder)).flat_map(worldly));
    out
}

/// Where a source names the world.
fn worldly(source: &Source) -> Vec<String> {
    let named = WORLD.split_whitespace().flat_map(|word| words(&source.code, word));
    let named = named.map(|at| source.finding(at, "pure code names the world"));
    let random = [("HashMap<", 2), ("HashSet<", 1)].into_iter().flat_map(|(map, commas)| {
        let maps = words(&source.code, map);
        let random = maps.filter(move |at| separators(&source.code[at + map.len()..]) < commas);
        random.map(|at| source.finding(at, "a map with a random hasher"))
    });
    named.chain(random).collect()
}

/// Commas of the list of generic arguments whose inside starts `code`.
fn separators(code: &str) -> usize {
    let (mut depth, mut commas, mut before) = (1, 0, ' ');
    for c in code.chars() {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' if before == '-' => {}
            '>' | ')' | ']' => depth -= 1,
            ',' if depth == 1 => commas += 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        before = c;
    }
    commas
}

pub(crate) fn dependencies_are_named_at_their_doors(sources: &[Source]) -> Vec<String> {
    let mut out = Vec::new();
    for (dependency, doors) in DOORS {
        let path = format!("{dependency}::");
        let mut used = vec![false; doors.len()];
        for source in sources {
            for at in words(&source.code, &path) {
                match doors.iter().position(|door| source.path.starts_with(door)) {
                    Some(door) => used[door] = true,
                    None => out.push(source.finding(at, &format!("no door of {dependency}"))),
                }
            }
        }
        let unused = doors.iter().zip(used).filter(|(_, used)| !used);
        out.extend(
            unused.map(|(door, _)| format!("{door}: a door that {dependency} does not use")),
        );
    }
    out
}

pub(crate) fn public_signatures_show_no_dependency(sources: &[Source]) -> Vec<String> {
    let mut out = Vec::new();
    for folder in PUBLISHED {
        let foreign: Vec<String> = dependencies(sources, folder)
            .into_iter()
            .filter(|name| !SHOWN.contains(name))
            .map(|name| name.replace('-', "_"))
            .collect();
        for source in below(sources, &format!("{folder}src/")) {
            let names = imports(&source.code, &foreign);
            for (at, signature) in signatures(&source.code) {
                let shown = names.iter().find(|name| words(signature, name).next().is_some());
                out.extend(shown.map(|name| source.finding(at, &format!("shows {name}"))));
            }
        }
    }
    out
}

/// The crates themselves, and what `code` imports from them by name.
fn imports(code: &str, crates: &[String]) -> Vec<String> {
    let mut out: Vec<String> = crates.iter().map(|name| format!("{name}::")).collect();
    for name in crates {
        for at in words(code, &format!("use {name}::")) {
            let statement = code[at..].split(';').next().unwrap_or("");
            let leaves = statement.split(|c: char| !c.is_alphanumeric() && c != '_');
            let types = leaves.filter(|leaf| leaf.starts_with(char::is_uppercase));
            out.extend(types.map(str::to_owned));
        }
    }
    out
}

/// Every public item as far as its callers see it: a whole enum or trait, a function up to its body,
/// a struct up to its fields, a field alone.
fn signatures(code: &str) -> impl Iterator<Item = (usize, &str)> {
    words(code, "pub ").map(|at| {
        let item = &code[at..];
        let until = |ends: &[&str]| ends.iter().filter_map(|end| item.find(end)).min();
        let head = &item[..until(&["(", "{", ":", "=", ";"]).unwrap_or(item.len())];
        let is = |kind| words(head, kind).next().is_some();
        let end = if is("enum") || is("trait") {
            until(&["{"]).map(|body| closing(item, body))
        } else if is("fn") {
            until(&["{", ";"])
        } else if is("struct") {
            until(&["{", "(", ";"])
        } else if is("use") {
            until(&[";"])
        } else {
            until(&["{", ";", ",\n"])
        };
        (at, &item[..end.unwrap_or(item.len())])
    })
}

pub(crate) fn every_file_says_what_it_owns(sources: &[Source]) -> Vec<String> {
    let rust = sources.iter().filter(|source| source.path.ends_with(".rs"));
    let silent = rust.filter(|source| {
        let first = source.text.lines().find(|line| !line.is_empty() && !line.starts_with("#!["));
        !first.is_some_and(|line| line.starts_with("//! "))
    });
    silent.map(|source| source.finding(0, "no module doc")).collect()
}

pub(crate) fn modules_have_names_that_say_something(sources: &[Source]) -> Vec<String> {
    let mut out = Vec::new();
    for source in sources.iter().filter(|source| source.path.ends_with(".rs")) {
        for name in EMPTY_NAMES.split_whitespace() {
            let mut folders = source.path.split(['/', '.']);
            out.extend(folders.find(|part| *part == name).map(|_| source.finding(0, name)));
            let inline = format!("mod {name}");
            out.extend(words(&source.code, &inline).map(|at| source.finding(at, name)));
        }
    }
    out
}

pub(crate) fn nothing_is_left_unfinished(sources: &[Source]) -> Vec<String> {
    let mut out = Vec::new();
    for source in sources.iter().filter(|source| !source.path.starts_with("tests/tidy/")) {
        for (text, list) in [(&source.code, UNFINISHED), (&source.text, NOWHERE)] {
            let found = list.split_whitespace().flat_map(|word| words(text, word));
            out.extend(found.map(|at| source.finding(at, "never here")));
        }
    }
    out
}

/// cargo-deny takes a version behind `@` as exact, whatever its operator, so such a floor bans nothing.
pub(crate) fn floors_of_dependencies_are_ranges(sources: &[Source]) -> Vec<String> {
    let mut out = Vec::new();
    for source in below(sources, "deny.toml") {
        let exact = source.text.match_indices("@<").map(|(at, _)| at);
        out.extend(exact.map(|at| source.finding(at, "no range behind @; write a colon")));
    }
    out
}
