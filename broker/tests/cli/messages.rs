//! `pub` and `sub`.

use std::fmt::Write as _;
use std::io::Read;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Broker, Process};

#[test]
fn json_lines_have_the_fields_of_the_contract() {
    let broker = Broker::start();
    let reader = broker.subscribe(&["demo.*", "--json", "--count", "3"]);
    let acks =
        broker.run_with(b"one\n\ntwo\n", &["pub", "demo.a", "-", "--split", "lines", "--json"]);
    let acks = acks.json();
    assert_eq!(acks.len(), 2);
    for (index, ack) in acks.iter().enumerate() {
        let keys: Vec<_> = ack.as_object().expect("an object").keys().collect();
        assert_eq!(keys.len(), 6, "{keys:?}");
        assert_eq!((&ack["topic"], &ack["ack"]), (&"demo.a".into(), &"synced".into()));
        assert_eq!((&ack["n"], &ack["offset"]), (&(index + 1).into(), &(index + 1).into()));
        assert_eq!(ack["duplicate"], false);
    }
    let binary = broker.run_with(&[0xff, 0x00], &["pub", "demo.b", "-", "--event", "e"]);
    assert_eq!(binary.code, 0, "{binary:?}");

    let messages = reader.ended().json();
    let payloads: Vec<_> = messages.iter().map(|message| &message["payload"]).collect();
    assert_eq!(payloads, [&Value::from("one"), &"two".into(), &Value::Null]);
    assert_eq!(messages[2]["payload_base64"], "/wA=");
    assert_eq!(messages[2]["event"], "e");
    assert_eq!(messages[0]["epoch"], acks[0]["epoch"]);
    for message in &messages {
        assert!(message["time"].as_u64().is_some_and(|time| time > 1_700_000_000_000));
        assert_eq!(message["content_type"], Value::Null);
    }
}

#[test]
fn what_goes_in_comes_out_byte_by_byte() {
    let broker = Broker::start();
    let mut source = String::new();
    for n in 0..5000 {
        let body = "x".repeat(n % 700);
        write!(source, "Package: p{n}\nDescription: \u{e9}{body}\n .\n more\n\n").expect("text");
    }
    let count = "5000";
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let args = ["catalog.x", "--raw", "--join", "paragraphs", "--count", count];
            broker.subscribe(&args)
        })
        .collect();
    let published =
        broker.run_with(source.as_bytes(), &["pub", "catalog.x", "-", "--split", "paragraphs"]);
    assert_eq!(published.code, 0, "{published:?}");
    assert!(published.stdout.contains("5000 messages"), "{published:?}");
    for reader in readers {
        let done = reader.ended();
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stdout == source, "{} bytes of {}", done.stdout.len(), source.len());
    }
}

#[test]
fn a_message_of_the_largest_size_reaches_readers_of_every_class() {
    let broker = Broker::start();
    let largest = "x".repeat(1 << 20);
    for topic in ["order.1", "inventory.product.1", "bench.1"] {
        let reader = broker.subscribe(&[topic, "--raw", "--count", "1"]);
        let published = broker.run_with(largest.as_bytes(), &["pub", topic, "-"]);
        assert_eq!(published.code, 0, "{published:?}");
        let written = reader.ended().stdout;
        assert!(written.trim_end() == largest, "{topic}: {} bytes", written.len());
    }
}

#[test]
fn a_reader_begins_where_it_is_told_to() {
    let broker = Broker::start();
    let input = b"a\0b\0c\0d";
    let acks = broker.run_with(input, &["pub", "log.x", "-", "--split", "nul", "--json"]).json();
    let epoch = acks[0]["epoch"].as_u64().expect("a number");
    let read = |args: &[&str]| {
        let done = broker.run(&[&["sub", "log.x", "--raw"], args].concat());
        assert_eq!(done.code, 0, "{done:?}");
        assert!(done.stderr.contains("ready"), "{done:?}");
        done.stdout
    };
    assert_eq!(read(&["--last", "2", "--count", "2"]), "c\nd\n");
    assert_eq!(read(&["--since", "1h", "--count", "4", "--join", "nul"]), "a\0b\0c\0d\0");
    assert_eq!(read(&["--from", &format!("{epoch}:2"), "--count", "3"]), "b\nc\nd\n");
    let wild = broker.run(&["sub", "log.*", "--from", "1:1"]);
    assert_eq!(wild.code, 2, "{wild:?}");
}

#[test]
fn a_signal_ends_a_reader_with_all_that_it_had() {
    let broker = Broker::start();
    let mut reader = Process::subscriber({
        let mut command = broker.command(&["sub", "quiet.x", "--raw"]);
        command.args(["--join", "lines"]);
        command
    });
    assert_eq!(broker.run(&["pub", "quiet.x", "kept"]).code, 0);
    assert_eq!(broker.run(&["pub", "quiet.x", "too"]).code, 0);
    // It prints what it has as soon as it has nothing else to do.
    std::thread::sleep(std::time::Duration::from_millis(500));
    reader.signal(Signal::TERM);
    let done = reader.ended();
    assert_eq!((done.code, done.stdout.as_str()), (0, "kept\ntoo\n"), "{}", done.stderr);

    reader = broker.subscribe(&["quiet.x"]);
    reader.signal(Signal::INT);
    assert_eq!(reader.ended().code, 0);
}

#[test]
fn a_closed_pipe_is_a_clean_end() {
    let broker = Broker::start();
    let mut command = broker.command(&["sub", "pipe.x", "--raw", "--last", "10"]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    assert_eq!(broker.run(&["pub", "pipe.x", "first"]).code, 0);
    let mut child = command.spawn().expect("it starts");
    let mut stdout = child.stdout.take().expect("piped");
    let mut first = [0; 6];
    stdout.read_exact(&mut first).expect("a line");
    assert_eq!(&first, b"first\n");
    drop(stdout);
    assert_eq!(broker.run(&["pub", "pipe.x", "nobody reads this"]).code, 0);
    let mut status = None;
    crate::harness::eventually("ended", || {
        status = child.try_wait().expect("waited");
        status.is_some()
    });
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
}

#[test]
fn what_cannot_be_published_is_told_and_the_rest_goes_on() {
    let broker = Broker::start();
    let mut input = b"small\n".to_vec();
    input.extend(vec![b'x'; (1 << 20) + 1]);
    input.extend(b"\nlast\n");
    let done = broker.run_with(&input, &["pub", "mixed.x", "-", "--split", "lines", "--json"]);
    assert_eq!(done.code, 5, "{}", done.stderr);
    let ordinals: Vec<_> = done
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["n"].clone())
        .collect();
    assert_eq!(ordinals, [1, 3]);
    assert!(done.stderr.contains("message 2"), "{}", done.stderr);

    let synced = broker.run(&["pub", "chat.typing.x", "y", "--ack", "synced"]);
    assert_eq!(synced.code, 5, "{synced:?}");
    assert!(synced.stderr.contains("LEVEL_UNAVAILABLE"), "{synced:?}");
}

#[test]
fn a_reader_outlives_its_broker() {
    let broker = Broker::start();
    let mut reader = broker.subscribe(&["order.x", "--raw", "--count", "2"]);
    assert_eq!(broker.run(&["pub", "order.x", "before"]).code, 0);
    let broker = broker.killed_and_restarted();
    reader.stderr_line(|line| line.contains("connected again"));
    assert_eq!(broker.run(&["pub", "order.x", "after"]).code, 0);
    let done = reader.ended();
    assert_eq!((done.code, done.stdout.as_str()), (0, "before\nafter\n"), "{}", done.stderr);
}

#[test]
fn what_a_topic_keeps_is_exported_up_to_now_and_no_further() {
    let broker = Broker::start();
    let lines: String = (0..2_500).map(|n| format!("{n}\n")).collect();
    let published =
        broker.run_with(lines.as_bytes(), &["pub", "analytics.x", "-", "--split", "lines"]);
    assert_eq!(published.code, 0, "{published:?}");
    let all = broker.run(&["export", "analytics.x"]).json();
    let payloads: Vec<_> = all.iter().filter_map(|line| line["payload"].as_str()).collect();
    let expected: Vec<_> = lines.lines().collect();
    assert_eq!(payloads, expected);
    let last = all.last().expect("one");
    assert_eq!((&last["topic"], &last["headers"]), (&"analytics.x".into(), &serde_json::json!({})));
    assert!(broker.run(&["export", "analytics.x", "--until", "1h"]).json().is_empty());
    assert_eq!(broker.run(&["export", "analytics.x", "--since", "1h"]).json().len(), 2_500);
    let customer = broker.token("ann", "customer");
    assert_eq!(broker.run_as(&customer, &["export", "analytics.x"]).code, 4);
}
