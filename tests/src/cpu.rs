//! What processes have cost the processor.

use std::fs;
use std::time::Duration;

/// In how many parts of a second Linux tells it (`USER_HZ`).
const PARTS: u32 = 100;

/// What a process, its threads and its children have cost until now; of children that have ended too.
/// Nothing for a process that is not there.
#[must_use]
pub fn cost(id: u32) -> Duration {
    let mine = |stat: &Stat| stat.id == id || stat.parent == id;
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let parts: u32 = all
        .filter_map(|entry| Stat::parse(&fs::read_to_string(entry.path().join("stat")).ok()?))
        .filter(mine)
        .map(|stat| stat.parts)
        .sum();
    Duration::from_secs(1) * parts / PARTS
}

/// A line of `/proc/*/stat`.
struct Stat {
    id: u32,
    parent: u32,
    parts: u32,
}

impl Stat {
    fn parse(line: &str) -> Option<Self> {
        // A name in brackets may hold anything.
        let (id, rest) = line.split_once(" (")?;
        let fields: Vec<&str> = rest.rsplit_once(") ")?.1.split(' ').collect();
        let field = |at: usize| fields.get(at)?.parse::<u32>().ok();
        let parts = field(11)? + field(12)? + field(13)? + field(14)?;
        Some(Stat { id: id.parse().ok()?, parent: field(1)?, parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_whatever_the_program_calls_itself() {
        let line = "7 (a) (b c) S 3 7 7 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 5 6 7";
        let stat = Stat::parse(line).expect("a line");
        assert_eq!((stat.id, stat.parent, stat.parts), (7, 3, 100));
    }

    #[test]
    fn this_process_has_cost_something_and_one_that_is_not_there_nothing() {
        let id = std::process::id();
        while cost(id).is_zero() {
            std::hint::black_box((0..100_000).sum::<u64>());
        }
        assert_eq!(cost(u32::MAX), Duration::ZERO);
    }
}
