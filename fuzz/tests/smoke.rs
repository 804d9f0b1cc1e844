//! Every target over its corpus, over the vectors of `spec/`, and over mutations of both, without a
//! fuzzer: the same inputs on every run.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = root().join("corpus").join(target);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("entry").path())
        .collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("seed")).collect()
}

/// Marsaglia's xorshift: enough to choose where to damage a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end.max(1) as u64).expect("below end")
    }

    fn damage(&mut self, seed: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let at = self.below(seed.len());
            let byte = [0, 1, 8, 0x7f, 0x80, 0xff, self.below(256) as u8][self.below(7)];
            match self.below(4) {
                0 => seed.truncate(at),
                1 => seed.insert(at, byte),
                2 if at < seed.len() => drop(seed.remove(at)),
                _ if at < seed.len() => seed[at] = byte,
                _ => {}
            }
        }
    }
}

fn smoke(target: &str, runs: usize, run: fn(&[u8])) {
    let seeds = corpus(target);
    assert!(!seeds.is_empty(), "{target} has no corpus");
    seeds.iter().for_each(|seed| run(seed));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..runs {
        let mut seed = seeds[random.below(seeds.len())].clone();
        random.damage(&mut seed);
        run(&seed);
    }
}

macro_rules! targets {
    ($($runs:literal: $($target:ident)*;)*) => {
        $($(#[test]
        fn $target() {
            smoke(stringify!($target), $runs, sampan_fuzz::$target);
        })*)*
    };
}
targets! {
    100_000: frame_reader attributes control_bodies topics positions server_session client_session;
    20_000: journal_segment journal_index;
}
