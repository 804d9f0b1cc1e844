//! What a process has used, as the kernel counts it.

use std::time::Duration;

/// CPU time and resident memory of one process at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// User and system time of all threads since the start.
    pub(crate) cpu: Duration,
    /// Resident bytes.
    pub(crate) resident_bytes: u64,
}

impl Usage {
    /// The usage of process `id`; `None` once it is gone.
    pub(crate) fn of(id: u32) -> Option<Self> {
        let cpu = cpu(&read(id, "stat")?)?;
        // The roll-up is exact; the status line lags by some pages per thread.
        let resident = read(id, "smaps_rollup").and_then(|text| kib(&text, "Rss:"));
        let resident = resident.or_else(|| kib(&read(id, "status")?, "VmRSS:"))?;
        Some(Usage { cpu, resident_bytes: resident * 1024 })
    }

    /// The CPU time alone, which is cheap to ask for.
    pub(crate) fn cpu_of(id: u32) -> Option<Duration> {
        cpu(&read(id, "stat")?)
    }

    /// The most memory that process `id` has had resident at a time, KiB.
    pub(crate) fn peak_kib_of(id: u32) -> Option<u64> {
        kib(&read(id, "status")?, "VmHWM:")
    }
}

/// The generator's own CPU time.
pub(crate) fn own_cpu() -> Duration {
    Usage::cpu_of(std::process::id()).unwrap_or_default()
}

fn read(id: u32, what: &str) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{id}/{what}")).ok()
}

/// Fields 14 and 15 of the line, in clock ticks. The name before them may hold anything, so the
/// count starts after its closing parenthesis.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11).map(str::parse::<u64>);
    let ticks = fields.next()?.ok()? + fields.next()?.ok()?;
    let per_second = rustix::param::clock_ticks_per_second();
    Some(Duration::from_nanos(ticks * 1_000_000_000 / per_second))
}

fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches("kB").trim_end().parse().ok()
}

/// Lets the process open as many files as the system allows it to.
pub(crate) fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where that is refused, a bind reports it if it matters.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_parentheses_do_not_shift_the_fields() {
        let line = "7 (a) b (c) S 1 1 1 0 -1 4194304 10 0 0 0 250 150 0 0 20 0 3 0 99 0 0\n";
        let ticks = 400 * 1_000_000_000 / rustix::param::clock_ticks_per_second();
        assert_eq!(cpu(line), Some(Duration::from_nanos(ticks)));
    }

    #[test]
    fn this_process_uses_memory() {
        let usage = Usage::of(std::process::id()).expect("it runs");
        assert!(usage.resident_bytes > 100 * 1024, "{usage:?}");
        let peak = Usage::peak_kib_of(std::process::id()).expect("it runs");
        assert!(peak > 100, "{peak}");
    }
}
