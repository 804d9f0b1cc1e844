//! `request`, `presence`, `topics`, `status`, `config`.

use sampan_client::{Client, Code, Options, Pattern, Token, Topic, Trust};

use crate::harness::{Broker, eventually, sampan};

/// A client of the SDK, for what no command does.
async fn client(broker: &Broker, token: String) -> Client {
    let data = sampan::data_dir::DataDir::new(broker.directory.path().join("sampan-data"));
    let trust = Trust::Pem(std::fs::read(data.certificate_path()).expect("a certificate"));
    let url = format!("quic://{}", broker.quic);
    let options = Options { trust, ..Options::new(url, Token::Static(token)) };
    Client::connect(options).await.expect("connected")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_prints_its_answer_or_ends_with_what_went_wrong() {
    let broker = Broker::start();
    let service = client(&broker, broker.token("shop", "service")).await;
    let pattern = Pattern::parse("shop.*").expect("valid");
    let mut calls = service.serve(pattern).await.expect("served");
    let answering = tokio::spawn(async move {
        let mut unanswered = Vec::new();
        while let Some(call) = calls.next().await {
            match call.topic().as_str() {
                "shop.echo" => {
                    let payload = call.payload();
                    call.reply(payload);
                }
                "shop.fail" => call.fail(Code(942), "out of stock"),
                _ => unanswered.push(call),
            }
        }
    });
    let echoed = broker.run(&["request", "shop.echo", "hello"]);
    assert_eq!((echoed.code, echoed.stdout.as_str()), (0, "hello\n"), "{echoed:?}");
    let json = broker.run(&["request", "shop.echo", "{\"a\":1}", "--json"]).json();
    assert_eq!(json[0]["payload"], "{\"a\":1}");
    let failed = broker.run(&["request", "shop.fail", "x"]);
    assert_eq!(failed.code, 5, "{failed:?}");
    assert!(failed.stderr.contains("942") && failed.stderr.contains("out of stock"), "{failed:?}");
    let late = broker.run(&["request", "shop.silent", "x", "--timeout", "500ms"]);
    assert_eq!(late.code, 6, "{late:?}");
    answering.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_names_who_is_there() {
    let broker = Broker::start();
    let nobody = broker.run(&["presence", "chat.conversation.7", "--json"]).json();
    assert_eq!(
        (&nobody[0]["count"], &nobody[0]["topic"]),
        (&0.into(), &"chat.conversation.7".into())
    );
    let agent = client(&broker, broker.token("ann", "agent")).await;
    let topic = Topic::parse("chat.conversation.7").expect("valid");
    agent.presence(topic).enter().await.expect("entered");
    let somebody = broker.run(&["presence", "chat.conversation.7", "--json"]).json();
    assert_eq!(somebody[0]["count"], 1);
    let member = &somebody[0]["members"][0];
    assert_eq!((&member["user"], &member["role"]), (&"ann".into(), &"agent".into()));
    let text = broker.run(&["presence", "chat.conversation.7"]);
    assert!(text.stdout.contains("ann agent 1"), "{text:?}");
    agent.close().await.expect("closed");
}

#[test]
fn topics_and_status_tell_what_the_broker_does() {
    let broker = Broker::start();
    for topic in ["order.2", "order.1", "inventory.product.9"] {
        assert_eq!(broker.run(&["pub", topic, "x"]).code, 0);
    }
    let topics = broker.run(&["topics", "--json"]).json();
    let named: Vec<_> = topics.iter().map(|t| (t["topic"].as_str(), t["class"].as_str())).collect();
    assert_eq!(
        named,
        [
            (Some("inventory.product.9"), Some("latest")),
            (Some("order.1"), Some("durable")),
            (Some("order.2"), Some("durable")),
        ]
    );
    assert_eq!(topics[1]["next"], 2);
    let status = broker.run(&["status", "--json"]).json();
    assert_eq!(status[0]["ready"], "ready");
    assert_eq!(status[0]["durable"], "disk");
    // Shards report once a second.
    eventually("counted", || {
        let status = broker.run(&["status", "--json"]).json();
        status[0]["sessions"].as_u64().is_some_and(|n| n >= 1)
    });
    let text = broker.run(&["status"]);
    assert!(text.stdout.contains("connections"), "{text:?}");
    let listed = broker.run(&["topics"]);
    assert_eq!(listed.stdout.lines().count(), 3, "{listed:?}");
}

#[test]
fn config_prints_what_can_be_read_again_and_refuses_what_it_does_not_know() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let run = |args: &[&str], secret: &str| {
        let mut command = sampan(directory.path(), args);
        let output = command.env("JWT_SECRET", secret).env("SAMPAN_LOG_LEVEL", "debug").output();
        let output = output.expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let secret = "a secret of more than thirty-two bytes";
    let (code, printed, _) = run(&["config"], secret);
    assert_eq!(code, Some(0));
    assert!(printed.contains("level = \"debug\"") && !printed.contains(secret));
    std::fs::write(directory.path().join("again.toml"), &printed).expect("written");
    let (_, again, _) = run(&["config", "--config", "again.toml"], secret);
    assert_eq!(again, printed);

    std::fs::write(directory.path().join("bad.toml"), "[listen]\nquick = 1\n").expect("written");
    let (code, _, told) = run(&["serve", "--config", "bad.toml"], secret);
    assert_eq!(code, Some(2));
    assert!(told.contains("did you mean `listen.quic`"), "{told}");
    let (code, _, told) = run(&["serve", "--quic", "0.0.0.0:0"], secret);
    assert_eq!(code, Some(2));
    assert!(told.contains("tls.certificate_file"), "{told}");
}
