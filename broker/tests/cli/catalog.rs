//! A catalog over the wire by the real commands: what each reader writes is, byte by byte, what went
//! in, whatever becomes of its way to the broker.
//!
//! `make real` sends the package records of a whole distribution, named by `REAL_INPUT`, to fifty
//! readers. Without it a catalog made up from a seed goes to a few.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256, digest};
use sampan_tests::chance::Chance;

use crate::detour::{Detour, Turn};
use crate::harness::Broker;

const SEED: u64 = 63_000;

/// How long a whole distribution may take on a small machine, cuts included.
const PATIENCE: Duration = Duration::from_secs(900);

#[test]
fn a_catalog_arrives_byte_by_byte() {
    for told in copies(|_, _| Vec::new()) {
        assert_eq!(told, ["ready"]);
    }
}

#[test]
fn a_catalog_arrives_while_every_reader_moves_three_times() {
    let moves = |chance: &mut Chance, bytes: u64| {
        (0..3).map(|part| (part * bytes / 3 + chance.below(bytes / 3), Turn::Move)).collect()
    };
    for told in copies(moves) {
        assert_eq!(told, ["ready"], "moved, and never reconnected");
    }
}

#[test]
fn a_catalog_arrives_although_every_reader_is_cut_off() {
    let cut =
        |chance: &mut Chance, bytes: u64| vec![(bytes / 4 + chance.below(bytes / 2), Turn::Cut)];
    for told in copies(cut) {
        let again = told.iter().filter(|line| line.ends_with("connected again")).count();
        assert_eq!(again, 1, "{told:#?}");
    }
}

/// Publishes the catalog to readers whose ways take the turns that `turns` draws for so many bytes.
/// What each reader has told on standard error.
fn copies(turns: impl Fn(&mut Chance, u64) -> Vec<(u64, Turn)>) -> Vec<Vec<String>> {
    let (source, readers) = match std::env::var_os("REAL_INPUT") {
        Some(path) => (std::fs::read(path).expect("REAL_INPUT is a file"), 50),
        None => (made_up(), 6),
    };
    let text = String::from_utf8_lossy(&source);
    let count = text.split("\n\n").filter(|piece| !piece.trim().is_empty()).count();
    let broker = Broker::start();
    let readers: Vec<Reader> = (0..readers)
        .map(|number| {
            let turns = turns(&mut Chance::of(SEED, "turns", number), source.len() as u64);
            Reader::start(&broker, turns, count)
        })
        .collect();
    for reader in &readers {
        reader.ready.recv_timeout(PATIENCE).expect("subscribed");
    }
    let begun = Instant::now();
    let done = broker.run_with(&source, &["pub", "catalog.debian", "-", "--split", "paragraphs"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains(&format!("{count} messages")), "{done:?}");
    let expected = digest(&SHA256, &source);
    let told = readers.into_iter().map(|reader| {
        let turns = reader.turns;
        let (told, taken, written) = reader.ended(begun + PATIENCE);
        assert_eq!(written, expected.as_ref(), "{told:#?}");
        assert_eq!(taken, turns, "the catalog went another way");
        told
    });
    let told: Vec<_> = told.collect();
    let (readers, bytes) = (told.len(), source.len());
    eprintln!("{count} messages, {bytes} bytes, to {readers} readers in {:?}", begun.elapsed());
    told
}

/// `sampan sub` on a way of its own; what it writes is hashed and forgotten.
struct Reader {
    child: Child,
    turns: usize,
    ready: Receiver<()>,
    told: JoinHandle<(Vec<String>, usize)>,
    written: JoinHandle<Vec<u8>>,
}

impl Reader {
    fn start(broker: &Broker, turns: Vec<(u64, Turn)>, count: usize) -> Self {
        let (turns, way) = (turns.len(), Detour::to(broker.quic, turns));
        let url = format!("quic://{}", way.address);
        let args = ["sub", "catalog.debian", "--raw", "--join", "paragraphs", "--url", &url];
        let mut command = broker.command(&args);
        command.args(["--count", &count.to_string()]);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut stdout = child.stdout.take().expect("piped");
        let written = std::thread::spawn(move || {
            let (mut sum, mut buffer) = (Context::new(&SHA256), vec![0; 64 * 1024]);
            loop {
                match stdout.read(&mut buffer).expect("read") {
                    0 => return sum.finish().as_ref().to_vec(),
                    bytes => sum.update(&buffer[..bytes]),
                }
            }
        });
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (tell, ready) = channel();
        let told = std::thread::spawn(move || {
            let note = |line: &String| match line.as_str() {
                "ready" => _ = tell.send(()),
                // It has given its connection up.
                line if line.contains("trying again") => way.mend(),
                _ => {}
            };
            let told = stderr.lines().map_while(Result::ok).inspect(note).collect();
            (told, way.turns())
        });
        Reader { child, turns, ready, told, written }
    }

    /// What it has told, the turns that its way has taken, and the digest of what it has written.
    fn ended(mut self, until: Instant) -> (Vec<String>, usize, Vec<u8>) {
        loop {
            if let Some(status) = self.child.try_wait().expect("waited") {
                let (told, taken) = self.told.join().expect("told");
                assert!(status.success(), "{told:#?}");
                return (told, taken, self.written.join().expect("read"));
            }
            if Instant::now() > until {
                self.child.kill().expect("killed");
                panic!("a reader does not end: {:#?}", self.told.join());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Records as a package catalog has them: some fields, then a description of any length.
fn made_up() -> Vec<u8> {
    let (mut chance, mut text) = (Chance::of(SEED, "catalog", 0), String::new());
    for number in 0..2_000 {
        let (version, size) = (chance.below(100), chance.below(1 << 30));
        // Writing to a string does not fail.
        let _ = write!(text, "Package: p{number}\nVersion: {version}\nSize: {size}\nDescription:");
        for _ in 0..chance.below(40) {
            let _ = write!(text, "\n caf\u{e9} {:0width$x}", chance.bits(), width = 60);
        }
        text.push_str("\n\n");
    }
    text.into_bytes()
}
