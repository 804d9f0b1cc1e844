//! Our mails at a server of another maker: aiosmtpd, with STARTTLS and a name; Python's own `email` reads
//! what it was given.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use sampan_services::notifications::model::Kind;
use sampan_services::notifications::rules::provider::Class;
use sampan_services::notifications::send::{Content, Outgoing, Sender, Settings};
use serde_json::{Value, json};

use super::doubles::keys::Vouched;
use super::smtp::mailbox;
use super::{NOW, Place};

/// Its name and password, as a URL has them.
const SHOP: &str = "shop:p%C3%A4%3Ass%2Fw%40rd";
/// Names the folder of its modules, in place of the one that `make setup` has made.
const MODULES: &str = "SAMPAN_AIOSMTPD";

/// A running server, ended when it is dropped.
struct Server {
    child: Child,
    orders: ChildStdin,
    told: BufReader<ChildStdout>,
    port: u16,
    root: PathBuf,
}

impl Server {
    fn start(place: &Place) -> Self {
        let vouched = Vouched::localhost();
        let [certificate, key, root] = [
            ("mail.pem", &vouched.certificate),
            ("mail.key", &vouched.key),
            ("root.pem", &vouched.root),
        ]
        .map(|(name, text)| place.file(name, text));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/providers/mail_server.py");
        let mut child = Command::new("python3")
            .args([&script, &certificate, &key])
            .env("PYTHONPATH", modules())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python");
        let orders = child.stdin.take().expect("piped");
        let told = BufReader::new(child.stdout.take().expect("piped"));
        let mut server = Server { child, orders, told, port: 0, root };
        server.port = server.line().parse().expect("a port");
        server
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.told.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    fn obeys(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("it listens");
        assert_eq!(self.line(), "ok");
    }

    /// The mail that it has taken.
    fn mail(&mut self) -> Value {
        serde_json::from_str(&self.line()).expect("a mail")
    }

    fn sender(&self, place: &Place, scheme: &str, login: &str, query: &str) -> Arc<dyn Sender> {
        place.open(&Settings::Smtp {
            url: format!("{scheme}://{login}localhost:{}{query}", self.port),
            from: "Läden <shop@shop.example>".to_owned(),
            unsubscribe: Some("https://shop.example/offers".to_owned()),
            ca_file: (!query.is_empty()).then(|| self.root.clone()),
            per_minute: None,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn modules() -> PathBuf {
    if let Some(place) = std::env::var_os(MODULES) {
        return place.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let folder = cache.or_else(home).expect("HOME is set").join("sampan/aiosmtpd-1.4.6");
    assert!(folder.exists(), "no {}: `make setup-mail` fetches it", folder.display());
    folder
}

async fn begun() -> (Place, Server, Arc<dyn Sender>) {
    let place = Place::new().await;
    let server = Server::start(&place);
    let sender = server.sender(&place, "smtp", &format!("{SHOP}@"), "?tls=required");
    (place, server, sender)
}

#[tokio::test]
async fn a_mail_comes_encrypted_from_who_has_said_its_name_and_reads_as_it_was_written() {
    let (_place, mut server, sender) = begun().await;
    let one = mailbox("cat@example.com");
    let body = "<p>.\n.. บรรทัด &lt;1&gt;</p>".to_owned() + &"ยาว ".repeat(500);
    let content = Content { kind: Kind::PromotionAlert, body, ..one.content.clone() };
    let one = Outgoing { content, ..one };
    let outcome = sender.send(&one, NOW).await;
    assert_eq!((outcome.class, outcome.status), (Class::Accepted, 250), "{outcome:?}");
    let mail = server.mail();
    assert_eq!((&mail["is_encrypted"], &mail["name"]), (&json!(true), &json!("shop")));
    assert_eq!(mail["envelope"], json!(["shop@shop.example", ["cat@example.com"]]));
    let id = format!("<{}@shop.example>", one.delivery_id);
    for (name, value) in [
        ("from", "Läden <shop@shop.example>"),
        ("to", "cat@example.com"),
        ("subject", &one.content.title),
        ("message-id", &id),
        ("list-unsubscribe", "<https://shop.example/offers>"),
    ] {
        assert_eq!(mail["headers"][name], value, "{name}");
    }
    let parts = mail["parts"].as_object().expect("parts");
    let unbroken = |kind: &str| parts[kind].as_str().expect("a text").replace("\r\n", "\n");
    assert_eq!(unbroken("text/html").trim_end(), one.content.body.trim_end());
    assert!(unbroken("text/plain").starts_with(".\n.. บรรทัด <1>\n"), "{parts:?}");
    assert_eq!((parts.len(), &mail["faults"]), (2, &json!([])));
}

#[tokio::test]
async fn who_is_greylisted_or_cut_off_comes_again_and_the_mail_is_taken_once() {
    let (_place, mut server, sender) = begun().await;
    let one = mailbox("cat@example.com");
    server.obeys("greylist");
    let outcome = sender.send(&one, NOW).await;
    assert_eq!(
        (outcome.class, outcome.status, outcome.code.as_str()),
        (Class::Retry, 451, "4.7.1")
    );
    assert_eq!(sender.send(&one, NOW).await.class, Class::Accepted);
    assert_eq!(server.mail()["headers"]["to"], "cat@example.com");
    server.obeys("cut");
    let outcome = sender.send(&mailbox("dog@example.com"), NOW).await;
    assert_eq!((outcome.class, outcome.status), (Class::Retry, 451), "{outcome:?}");
    server.obeys("cut");
    let outcome = sender.send(&mailbox("dog@example.com"), NOW).await;
    assert_eq!((outcome.class, outcome.status), (Class::Retry, 0), "{outcome:?}");
    assert_eq!(sender.send(&mailbox("dog@example.com"), NOW).await.class, Class::Accepted);
    assert_eq!(server.mail()["headers"]["to"], "dog@example.com", "and nothing in between");
}

#[tokio::test]
async fn what_a_server_holds_against_us_is_not_held_against_the_recipient() {
    let (place, mut server, sender) = begun().await;
    let one = mailbox("cat@example.com");
    server.obeys("fill");
    let outcome = sender.send(&one, NOW).await;
    assert_eq!((outcome.class, outcome.status), (Class::Ours, 552), "too large: {outcome:?}");
    for (login, query, status) in
        [("shop:wrong@", "?tls=required", 535), ("", "?tls=required", 530), ("", "", 530)]
    {
        let outcome = server.sender(&place, "smtp", login, query).send(&one, NOW).await;
        assert_eq!((outcome.class, outcome.status), (Class::Ours, status), "{login} {outcome:?}");
    }
    let stranger = Settings::Smtp {
        url: format!("smtp://{SHOP}@localhost:{}?tls=required", server.port),
        from: "Shop <shop@shop.example>".to_owned(),
        unsubscribe: None,
        ca_file: None,
        per_minute: None,
    };
    let outcome = place.open(&stranger).send(&one, NOW).await;
    assert_eq!((outcome.class, outcome.status), (Class::Retry, 0), "nobody vouches for it");
    assert_eq!(sender.send(&one, NOW).await.class, Class::Accepted);
    assert_eq!(server.mail()["name"], "shop", "the only one that was taken");
}
