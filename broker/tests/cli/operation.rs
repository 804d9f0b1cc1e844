//! `serve`: start, health, drain, reload.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sampan_client::{Client, Options, Token, Trust};
use tempfile::TempDir;

use crate::harness::{Broker, Process, eventually, sampan};

#[test]
fn it_starts_with_nothing_and_keeps_its_keys_to_itself() {
    let broker = Broker::start();
    let data = broker.directory.path().join("sampan-data");
    for name in ["jwt-secret", "dev-key.pem", "transport-secret"] {
        let mode = std::fs::metadata(data.join(name)).expect(name).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(broker.get("/healthz").0, 200);
    let (status, metrics) = broker.get("/metrics");
    assert_eq!(status, 200);
    for name in ["sampan_sessions ", "sampan_probe_ack_seconds_count ", "sampan_udp_sent_total "] {
        assert!(metrics.contains(&format!("\n{name}")), "{name} is not in\n{metrics}");
    }
    let second = sampan(broker.directory.path(), &["serve", "--quic", "127.0.0.1:0"]);
    let second = Process::spawn(second).ended();
    assert_eq!(second.code, 1, "{second:?}");
    assert!(second.stderr.contains("in use by another broker"), "{second:?}");
}

#[test]
fn a_drain_sends_clients_away_and_a_second_signal_ends_it() {
    let directory = TempDir::new().expect("a temporary directory");
    let slow = "[drain]\nspread_s = 60\nlinger_s = 60\n";
    std::fs::write(directory.path().join("slow.toml"), slow).expect("written");
    let broker = Broker::start_in(directory, &["--config", "slow.toml"], "127.0.0.1:0");
    let _readers: Vec<_> = (0..3).map(|_| broker.subscribe(&["order.>"])).collect();
    let begun = Instant::now();
    broker.signal(Signal::TERM);
    eventually("draining", || broker.get("/readyz").0 == 503);
    assert!(broker.get("/readyz").1.contains("draining"));
    assert_eq!(broker.get("/healthz").0, 200);
    broker.signal(Signal::TERM);
    let (done, directory) = broker.ended();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());

    let broker = Broker::start_in(directory, &[], "127.0.0.1:0");
    let begun = Instant::now();
    broker.signal(Signal::INT);
    let (done, _) = broker.ended();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(begun.elapsed() < Duration::from_secs(5), "nobody was there to be sent away");
}

#[test]
fn a_log_for_machines_is_json_line_by_line() {
    let directory = TempDir::new().expect("a temporary directory");
    std::fs::write(directory.path().join("c.toml"), "[log]\nformat = 'json'\n").expect("written");
    let broker = Broker::start_in(directory, &["--config", "c.toml"], "127.0.0.1:0");
    broker.signal(Signal::TERM);
    let (done, _) = broker.ended();
    let lines = done.stderr.lines().filter(|line| !line.starts_with("listening "));
    let mut count = 0;
    for line in lines {
        let value: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(value["level"].is_string() && value["message"].is_string(), "{line}");
        count += 1;
    }
    assert!(count >= 2, "{}", done.stderr);
}

/// Writes a certificate for localhost and its key; the certificate's PEM.
fn certificate(directory: &Path) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("made");
    let pem = made.cert.pem();
    std::fs::write(directory.join("cert.pem"), &pem).expect("written");
    std::fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).expect("written");
    pem.into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_certificate_is_shown_to_new_connections_and_the_others_stay() {
    let directory = TempDir::new().expect("a temporary directory");
    let first = certificate(directory.path());
    let tls = "[tls]\ncertificate_file = 'cert.pem'\nkey_file = 'key.pem'\n";
    std::fs::write(directory.path().join("tls.toml"), tls).expect("written");
    let broker = Broker::start_in(directory, &["--config", "tls.toml"], "127.0.0.1:0");
    let token = broker.token("s", "service");
    let url = format!("quic://{}", broker.quic);
    let connect = async |pem: &[u8]| {
        let options = Options {
            trust: Trust::Pem(pem.to_vec()),
            connect_timeout: Duration::from_secs(2),
            ..Options::new(&url, Token::Static(token.clone()))
        };
        Client::connect(options).await
    };
    let old = connect(&first).await.expect("the first certificate is shown");
    let second = certificate(broker.directory.path());
    broker.signal(Signal::HUP);
    let until = Instant::now() + crate::harness::PATIENCE;
    while connect(&second).await.is_err() {
        assert!(Instant::now() < until, "the second certificate is not shown");
    }
    assert!(connect(&first).await.is_err(), "the first certificate is still shown");
    assert_eq!(old.status().sessions, 1, "the old connection was dropped");
    let topic = sampan_client::Topic::parse("order.1").expect("valid");
    old.publish(sampan_client::Message::new(topic, "x")).await.expect("it still works");

    // A broken file changes nothing.
    std::fs::write(broker.directory.path().join("cert.pem"), "no certificate").expect("written");
    broker.signal(Signal::HUP);
    tokio::time::sleep(Duration::from_millis(300)).await;
    connect(&second).await.expect("the second certificate stays");
}

#[test]
fn a_new_secret_counts_for_new_connections() {
    use std::os::unix::fs::OpenOptionsExt;

    let directory = TempDir::new().expect("a temporary directory");
    let secret = directory.path().join("secret");
    let write = |path: &Path, text: &str| {
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
        std::io::Write::write_all(&mut file.expect("opened"), text.as_bytes()).expect("written");
    };
    write(&secret, "the first secret of more than thirty-two bytes");
    let auth = "[auth]\nsecret_file = 'secret'\n";
    std::fs::write(directory.path().join("auth.toml"), auth).expect("written");
    let broker = Broker::start_in(directory, &["--config", "auth.toml"], "127.0.0.1:0");
    let token = || {
        let args = ["token", "--user", "s", "--role", "service", "--config", "auth.toml"];
        broker.run(&args).stdout.trim().to_owned()
    };
    let first = token();
    assert_eq!(broker.run_as(&first, &["status"]).code, 0);
    write(&broker.directory.path().join("secret"), "another secret of more than thirty-two bytes");
    broker.signal(Signal::HUP);
    let second = token();
    eventually("in force", || broker.run_as(&second, &["status"]).code == 0);
    assert_eq!(broker.run_as(&first, &["status"]).code, 3);
}

#[test]
fn a_broker_whose_log_nobody_reads_serves_on() {
    use std::io::{BufRead, BufReader};

    let directory = TempDir::new().expect("a temporary directory");
    let args = ["serve", "--quic", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let mut command = sampan(directory.path(), &args);
    command.env("SAMPAN_LOG_LEVEL", "debug").stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let stderr = BufReader::new(child.stderr.take().expect("piped"));
    let mut lines = stderr.lines().map(|line| line.expect("text"));
    let listening = lines.find(|line| line.contains("quic=")).expect("it listens");
    // From here on nobody reads.
    drop(lines);
    let mut words = listening.split(' ');
    let quic = words.find_map(|word| word.strip_prefix("quic=")).expect("an address");
    for _ in 0..3 {
        let status = sampan(directory.path(), &["status", "--url", &format!("quic://{quic}")])
            .output()
            .expect("it runs");
        assert!(status.status.success(), "{status:?}");
    }
    assert!(child.try_wait().expect("waited").is_none(), "the broker has ended");
    child.kill().expect("killed");
    child.wait().expect("ended");
}
