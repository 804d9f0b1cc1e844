//! `bench` with a broker of its own.

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Process, sampan};

#[test]
fn readers_that_come_back_at_once_get_each_missed_message_once() {
    let directory = TempDir::new().expect("a temporary directory");
    let line = "bench resume --connections 9 --rooms 2 --missed 30 --size 64 --json";
    let args: Vec<_> = line.split(' ').collect();
    let done = Process::spawn(sampan(directory.path(), &args)).ended();
    assert_eq!(done.code, 0, "{}", done.stderr);
    let report: Value = serde_json::from_str(&done.stdout).expect("one object");
    for (key, count) in [("resumed", 9), ("received", 270), ("lost", 0), ("misplaced", 0)] {
        assert_eq!(report[key], count, "{key} of {report}");
    }
    assert_eq!(report["delivered_pct"], 100.0);
    assert!(report["resumed_s"].is_f64() && report["rss_peak_kib"].is_u64(), "{report}");
}
