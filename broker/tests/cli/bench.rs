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

#[test]
fn subscribers_through_the_bridge_are_counted_like_any_others() {
    for transport in ["ws", "sse"] {
        let directory = TempDir::new().expect("a temporary directory");
        for (rate, received) in [("50", Some(350)), ("0", None)] {
            let line = format!(
                "bench fanout --transport {transport} --connections 7 --rate {rate} --seconds 1 --json"
            );
            let args: Vec<_> = line.split(' ').collect();
            let done = Process::spawn(sampan(directory.path(), &args)).ended();
            assert_eq!(done.code, 0, "{}", done.stderr);
            let report: Value = serde_json::from_str(&done.stdout).expect("one object");
            assert_eq!((&report["delivered_pct"], &report["lost"]), (&100.0.into(), &0.into()));
            assert_eq!(report["transport"], transport);
            let counted = report["received"].as_u64().expect("a count");
            assert!(counted >= 7 && received.is_none_or(|wanted| counted == wanted), "{report}");
        }
    }
}

#[test]
fn a_peer_that_is_asked_for_what_it_does_not_do_is_an_error_of_usage() {
    let directory = TempDir::new().expect("a temporary directory");
    for line in [
        "bench durable --peer true",
        "bench fanout --peer true",
        "bench requests --transport ws",
        "bench fanout --transport sse --size 16",
    ] {
        let args: Vec<_> = line.split(' ').collect();
        let done = Process::spawn(sampan(directory.path(), &args)).ended();
        assert_eq!(done.code, 2, "{line}: {}", done.stderr);
    }
}
