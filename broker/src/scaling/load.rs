//! What this process uses, as Linux tells, and the looks at it.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use super::rule::{Load, Standing};

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(10);
/// Units of processor time in a second, as Linux gives it to programs.
const TICKS_PER_S: f64 = 100.0;

/// How this process stands. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<Mutex<Standing>>);

impl Watch {
    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks every 10 s, for ever; `connections` says how many there are.
    pub async fn run(self, connections: impl Fn() -> u64 + Send) {
        let begun = Instant::now();
        let mut before = (begun, processor_s().unwrap_or_default());
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first look comes at once, and has seen nothing yet.
        looks.tick().await;
        loop {
            looks.tick().await;
            let (now, used) = (Instant::now(), processor_s().unwrap_or_default());
            let load = Load {
                cpu_percent: percent(
                    used - before.1,
                    (now - before.0).as_secs_f64() * processors(),
                ),
                memory_percent: memory_percent().unwrap_or_default(),
                connections: connections(),
            };
            before = (now, used);
            let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *standing = standing.look(load, now - begun);
        }
    }
}

fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { (100.0 * part / whole).max(0.0) } else { 0.0 }
}

/// Processors that this process may use.
#[expect(clippy::cast_precision_loss, reason = "processors are few")]
fn processors() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64)
}

/// Seconds of processor time so far.
fn processor_s() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // What follows the name, which may hold anything, ends with the last parenthesis.
    let (_, rest) = text.rsplit_once(')')?;
    let ticks: Option<f64> = rest.split_whitespace().skip(11).take(2).map(number).sum();
    Some(ticks? / TICKS_PER_S)
}

/// Percent of the memory that this process may have: of its control group, or of the machine.
fn memory_percent() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let resident = field(&status, "VmRSS:")?;
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let machine = || field(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:");
    let bytes = group.and_then(|text| number(text.trim()));
    Some(percent(resident, bytes.map(|bytes| bytes / 1024.0).or_else(machine)?))
}

/// A field of these files, in KiB.
fn field(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    number(line.split_whitespace().next()?)
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_tells_what_this_process_uses() {
        let before = processor_s().expect("a time");
        let until = Instant::now() + Duration::from_millis(200);
        while Instant::now() < until {
            std::hint::black_box(0);
        }
        assert!(processor_s().expect("a time") > before);
        let memory = memory_percent().expect("a part");
        assert!(memory > 0.0 && memory < 100.0, "{memory}");
    }
}
