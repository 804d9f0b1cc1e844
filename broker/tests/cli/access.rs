//! Tokens, exit codes and revocation.

use crate::harness::{Broker, sampan};

#[test]
fn each_sort_of_failure_has_its_exit_code() {
    let broker = Broker::start();
    let customer = broker.token("u1", "customer");
    let usage = [
        &["pub"][..],
        &["frobnicate"],
        &["pub", "a..b", "x"],
        &["sub", "a.>.b"],
        &["sub", "a", "--raw", "--json"],
        &["token", "--user", "u", "--role", "king"],
        &["status", "--url", "http://127.0.0.1:1"],
    ];
    for args in usage {
        let done = broker.run(args);
        assert_eq!(done.code, 2, "{args:?}: {done:?}");
        assert!(done.stdout.is_empty() && !done.stderr.is_empty(), "{args:?}: {done:?}");
    }
    for token in ["nonsense", "a.b.c"] {
        assert_eq!(broker.run_as(token, &["status"]).code, 3);
    }
    for args in [&["status"][..], &["topics"], &["pub", "order.1", "x"], &["sub", "order.>"]] {
        let done = broker.run_as(&customer, args);
        assert_eq!(done.code, 4, "{args:?}: {done:?}");
    }
    assert_eq!(broker.run(&["request", "nobody.here", "x"]).code, 5);
    let nobody = broker.run(&["status", "--url", "quic://127.0.0.1:9"]);
    assert_eq!(nobody.code, 6, "{nobody:?}");
    assert!(nobody.stderr.contains("is `sampan serve` running"), "{nobody:?}");
}

#[test]
fn a_token_is_printed_alone_and_without_a_secret_the_next_step_is_told() {
    let broker = Broker::start();
    let done = broker.run(&["token", "--user", "u1", "--role", "admin", "--ttl", "15m"]);
    assert_eq!(done.code, 0, "{done:?}");
    let token = done.stdout.strip_suffix('\n').expect("one line");
    assert_eq!(token.split('.').count(), 3);
    assert!(done.stderr.is_empty());
    assert_eq!(broker.run_as(token, &["status"]).code, 0);

    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    for args in [&["token", "--user", "u", "--role", "agent"][..], &["status"]] {
        let output = sampan(elsewhere.path(), args).output().expect("it runs");
        assert_eq!(output.status.code(), Some(3), "{args:?}");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains("sampan serve") && told.contains("--data"), "{told}");
    }
    // A directory that is named may be used by a token before it is by a broker.
    let named = ["token", "--user", "u", "--role", "agent", "--data", "new"];
    let output = sampan(elsewhere.path(), &named).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_secret_of_the_environment_goes_first() {
    let broker = Broker::start();
    let foreign = broker
        .command(&["token", "--user", "u", "--role", "service"])
        .env("JWT_SECRET", "a secret that this broker does not know")
        .output()
        .expect("it runs");
    assert!(foreign.status.success());
    let foreign = String::from_utf8(foreign.stdout).expect("text");
    assert_eq!(broker.run_as(foreign.trim(), &["status"]).code, 3);
}

#[test]
fn a_revocation_reaches_live_connections_and_outlives_the_broker() {
    let broker = Broker::start();
    let token = broker.token("ag1", "agent");
    let other = broker.token("ag2", "agent");
    let listen = |token: &str| {
        let mut command = broker.command(&["sub", "chat.conversation.*"]);
        command.env("SAMPAN_TOKEN", token);
        crate::harness::Process::subscriber(command)
    };
    let (ended, stays) = (listen(&token), listen(&other));
    let begun = std::time::Instant::now();
    let done = broker.run(&["revoke", "--user", "ag1", "--json"]);
    assert!(done.json()[0]["until_ms"].as_u64().is_some_and(|until| until > 0));
    let ended = ended.ended();
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(begun.elapsed().as_secs() < 2, "{:?}", begun.elapsed());
    assert!(ended.stderr.contains("REVOKED"), "{ended:?}");

    let broker = broker.killed_and_restarted();
    let refused = broker.run_as(&token, &["sub", "chat.conversation.*"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert_eq!(broker.run_as(&other, &["revoke", "--user", "ag3"]).code, 4);
    stays.signal(rustix::process::Signal::TERM);
    assert_eq!(stays.ended().code, 0);

    let everyone = broker.run(&["revoke", "--issued-before", "now"]);
    assert_eq!(everyone.code, 0, "{everyone:?}");
    assert_eq!(broker.run_as(&other, &["sub", "chat.conversation.*"]).code, 3);
}
