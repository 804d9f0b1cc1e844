//! Groups and dead letters.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::{Broker, Process, eventually};

/// Publishes lines to a topic.
fn publish(broker: &Broker, topic: &str, lines: &str) {
    let done = broker.run_with(lines.as_bytes(), &["pub", topic, "-", "--split", "lines"]);
    assert_eq!(done.code, 0, "{done:?}");
}

/// The group's line of `groups NAME --json`.
fn group(broker: &Broker, name: &str) -> Value {
    broker.run(&["groups", name, "--json"]).json().remove(0)
}

#[test]
fn a_group_prints_acks_and_ends_with_its_count() {
    let broker = Broker::start();
    publish(&broker, "order.1", "a\nb\nc\nd\n");
    let args = ["sub", "order.*", "--group", "g", "--count", "3", "--json"];
    let lines = broker.run(&args).json();
    let payloads: Vec<_> = lines.iter().map(|line| line["payload"].clone()).collect();
    assert_eq!(payloads, ["a", "b", "c"]);
    let keys: Vec<_> = lines[0].as_object().expect("an object").keys().cloned().collect();
    let mut expected = vec![
        "topic",
        "epoch",
        "offset",
        "event",
        "content_type",
        "payload",
        "time",
        "id",
        "attempt",
        "key",
    ];
    let mut keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    keys.sort_unstable();
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!((&lines[0]["attempt"], &lines[0]["key"]), (&json!(1), &Value::Null));
    let at = format!("order.1@{}:1", lines[0]["epoch"]);
    assert_eq!(lines[0]["id"], at);
    let status = group(&broker, "g");
    assert_eq!((&status["lag"], &status["members"]), (&json!(1), &json!(0)));
    assert_eq!(status["topics"][0]["done"], 3);
    let rest = broker.run(&["sub", "order.*", "--group", "g", "--batch", "5", "--count", "1"]);
    assert_eq!(rest.code, 0, "{rest:?}");
    assert!(rest.stdout.ends_with(" 1 - d\n") && rest.stderr.contains("ready"), "{rest:?}");
}

#[test]
fn a_killed_workers_messages_come_to_another_with_the_next_attempt() {
    let broker = Broker::start();
    publish(&broker, "order.1", "a\nb\n");
    let holder = broker.subscribe(&["order.*", "--group", "g", "--ack", "never"]);
    eventually("held", || group(&broker, "g")["in_flight"] == 2);
    holder.signal(rustix::process::Signal::KILL);
    let args = ["sub", "order.*", "--group", "g", "--count", "2", "--json"];
    let lines = broker.run(&args).json();
    let mut told: Vec<_> =
        lines.iter().map(|l| (l["payload"].to_string(), &l["attempt"])).collect();
    told.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(told, [("\"a\"".to_owned(), &json!(2)), ("\"b\"".to_owned(), &json!(2))]);
}

#[test]
fn standard_input_says_what_became_of_messages() {
    let broker = Broker::start();
    publish(&broker, "order.1", "a\nb\nc\nd\n");
    let mut command = broker.command(&["sub", "order.*", "--group", "g", "--ack", "manual"]);
    command.args(["--json", "--batch", "4"]).stdin(Stdio::piped());
    let mut process = Process::subscriber(command);
    let mut stdin = process.stdin();
    eventually("held", || group(&broker, "g")["in_flight"] == 4);
    let epoch = group(&broker, "g")["topics"][0]["epoch"].clone();
    let id = |offset: u64| format!("order.1@{epoch}:{offset}");
    writeln!(stdin, "ack {}\nreject {} no such thing", id(1), id(2)).expect("read");
    writeln!(stdin, "nak {} 10ms\nrelease {}\nwhat\nack nothing", id(3), id(4)).expect("read");
    process.stderr_line(|line| line.contains("no message \"nothing\""));
    eventually("comes again", || group(&broker, "g")["in_flight"] == 2);
    writeln!(stdin, "ack {}\nack {}", id(3), id(4)).expect("read");
    drop(stdin);
    let done = process.ended();
    let told: Vec<_> = done
        .json()
        .iter()
        .map(|line| (line["offset"].as_u64().unwrap_or(0), line["attempt"].as_u64().unwrap_or(0)))
        .collect();
    assert_eq!(told[..4], [(1, 1), (2, 1), (3, 1), (4, 1)]);
    assert!(told.contains(&(3, 2)) && told[4..].contains(&(4, 1)), "{told:?}");
    assert!(done.stderr.contains("not a line of the form"), "{}", done.stderr);
    let status = group(&broker, "g");
    assert_eq!((&status["lag"], &status["dead"]), (&json!(0), &json!(1)));
}

#[test]
fn a_worker_whose_broker_hangs_ends_once_and_says_that_its_acks_are_not_stored() {
    let broker = Broker::start();
    publish(&broker, "order.1", &"a\n".repeat(50));
    let mut command = broker.command(&["sub", "order.*", "--group", "g", "--ack", "manual"]);
    command.stdin(Stdio::piped());
    let mut process = Process::subscriber(command);
    let mut stdin = process.stdin();
    eventually("held", || group(&broker, "g")["in_flight"] == 50);
    let epoch = group(&broker, "g")["topics"][0]["epoch"].clone();
    broker.signal(rustix::process::Signal::STOP);
    for offset in 1..=50 {
        writeln!(stdin, "ack order.1@{epoch}:{offset}").expect("read");
    }
    drop(stdin);
    let done = process.ended();
    assert_eq!(done.code, 6, "{done:?}");
}

#[test]
fn dead_letters_are_listed_shown_tried_again_and_discarded() {
    let broker = Broker::start();
    publish(&broker, "order.1", "a\nb\nc\n");
    let mut command = broker.command(&["sub", "order.*", "--group", "g", "--ack", "manual"]);
    command.stdin(Stdio::piped());
    let mut process = Process::subscriber(command);
    let mut stdin = process.stdin();
    eventually("held", || group(&broker, "g")["in_flight"] == 3);
    let epoch = group(&broker, "g")["topics"][0]["epoch"].clone();
    for offset in 1..=3 {
        writeln!(stdin, "reject order.1@{epoch}:{offset} bad {offset}").expect("read");
    }
    drop(stdin);
    assert_eq!(process.ended().code, 0);

    let letters = broker.run(&["dlq", "list", "g", "--json"]).json();
    let told: Vec<_> = letters.iter().map(|l| (l["offset"].clone(), l["reason"].clone())).collect();
    assert_eq!(told, [1, 2, 3].map(|n| (json!(n), json!(format!("bad {n}")))));
    let ids: Vec<String> = letters.iter().map(|letter| letter["id"].to_string()).collect();
    let text = broker.run(&["dlq", "list", "g"]);
    assert!(text.stdout.lines().count() == 3 && text.stdout.contains("bad 2"), "{text:?}");
    let shown = broker.run(&["dlq", "peek", "g", &ids[1], "--json"]).json();
    assert_eq!((&shown[0]["payload"], &shown[0]["attempts"]), (&json!("b"), &json!(1)));
    assert_eq!(shown[0]["failures"][0]["reason"], "bad 2");
    let oldest = broker.run(&["dlq", "peek", "g"]);
    assert!(oldest.stdout.contains("bad 1") && oldest.stdout.ends_with("  a\n"), "{oldest:?}");

    assert_eq!(broker.run(&["dlq", "retry", "g", &ids[1]]).stdout, "1 put back\n");
    let again = broker.run(&["sub", "order.*", "--group", "g", "--count", "1", "--json"]).json();
    assert_eq!((&again[0]["payload"], &again[0]["attempt"]), (&json!("b"), &json!(1)));
    let moved = broker.run(&["dlq", "retry", "g", &ids[0], "--to", "spare.1", "--json"]).json();
    assert_eq!(moved, [json!({"count": 1})]);
    let spare = broker.run(&["sub", "spare.1", "--last", "1", "--count", "1", "--raw"]);
    assert_eq!(spare.stdout, "a\n");
    assert_eq!(broker.run(&["dlq", "discard", "g", "--all"]).stdout, "1 discarded\n");
    assert_eq!(broker.run(&["dlq", "list", "g", "--json"]).json(), Vec::<Value>::new());
    let unknown = broker.run(&["dlq", "discard", "g", "7000"]);
    assert_eq!(unknown.code, 5, "{unknown:?}");
    assert!(unknown.stdout.starts_with("0 discarded\n7000 failed: "), "{unknown:?}");
    assert_eq!(broker.run(&["dlq", "list", "nobody"]).code, 5);
}

#[test]
fn a_group_is_told_where_to_begin_and_where_to_read_on() {
    let broker = Broker::start();
    publish(&broker, "order.1", "a\nb\nc\n");
    let late = ["sub", "order.1", "--group", "late", "--last", "1", "--count", "1", "--raw"];
    assert_eq!(broker.run(&late).stdout, "c\n");
    let other = broker.run(&["sub", "order.*", "--group", "late", "--count", "1"]);
    assert_eq!(other.code, 5, "{other:?}");
    assert!(other.stderr.contains("GROUP_DIFFERS"), "{other:?}");

    let seek = broker.run(&["groups", "seek", "late", "order.1", "2"]);
    assert_eq!(seek.code, 0, "{seek:?}");
    let read = ["sub", "order.1", "--group", "late", "--count", "2", "--raw"];
    assert_eq!(broker.run(&read).stdout, "b\nc\n");
    let seek = broker.run(&["groups", "seek", "late", "order.1", "2020-01-01T00:00:00Z"]);
    assert_eq!(seek.code, 0, "{seek:?}");
    eventually("moved", || group(&broker, "late")["lag"] == 3);
    let listed = broker.run(&["groups"]);
    assert!(listed.stdout.contains("late order.1 any members 0 lag 3"), "{listed:?}");
    assert_eq!(broker.run(&["groups", "delete", "late"]).code, 0);
    assert_eq!(broker.run(&["groups", "late"]).code, 5);
    let token = broker.token("u1", "customer");
    assert_eq!(broker.run_as(&token, &["sub", "order.1", "--group", "g"]).code, 4);
    assert_eq!(broker.run_as(&token, &["groups"]).code, 4);
}
