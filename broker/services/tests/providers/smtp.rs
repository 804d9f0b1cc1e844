//! A mail server: RFC 5321 with the extended codes of RFC 3463.

use std::sync::{Arc, Mutex};

use sampan_services::notifications::model::Kind;
use sampan_services::notifications::rules::provider::Class;
use sampan_services::notifications::send::{Content, Endpoint, Outgoing, Sender, Settings};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::{NOW, Place, outgoing};

/// What is answered to a command, in place of what is usual; nothing ends the connection.
type Odd = Arc<Mutex<Option<(&'static str, &'static str)>>>;

struct Server {
    url: String,
    mails: Arc<Mutex<Vec<String>>>,
    odd: Odd,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let url = format!("smtp://{}", listener.local_addr().expect("bound"));
        let (mails, odd) = (Arc::<Mutex<Vec<String>>>::default(), Odd::default());
        let (its_mails, its_odd) = (mails.clone(), odd.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mails, odd) = (its_mails.clone(), its_odd.clone());
                tokio::spawn(async move { converse(stream, &mails, &odd).await });
            }
        });
        Server { url, mails, odd }
    }

    fn says(&self, command: &'static str, answer: &'static str) {
        *self.odd.lock().expect("no panic") = Some((command, answer));
    }

    fn last(&self) -> String {
        self.mails.lock().expect("no panic").last().cloned().expect("a mail")
    }
}

async fn converse(stream: TcpStream, mails: &Mutex<Vec<String>>, odd: &Odd) -> Option<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 mail.example ESMTP\r\n").await.ok()?;
    let (mut mail, mut is_data) = (String::new(), false);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if is_data && line != ".\r\n" {
            mail.push_str(line.strip_prefix('.').unwrap_or(&line));
            continue;
        }
        let command = if is_data { "." } else { line.split([' ', '\r']).next().expect("a word") };
        let usual = match command {
            "EHLO" => "250-mail.example\r\n250-8BITMIME\r\n250 SMTPUTF8",
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 2.0.0 ok",
        };
        let scripted = odd.lock().expect("no panic").take_if(|(of, _)| *of == command);
        let answer = scripted.map_or(usual, |(_, answer)| answer);
        if answer.is_empty() {
            return None;
        }
        if is_data && answer.starts_with('2') {
            mails.lock().expect("no panic").push(std::mem::take(&mut mail));
        }
        is_data = answer.starts_with("354");
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        if command == "QUIT" {
            return None;
        }
    }
}

async fn begun() -> (Place, Server, Arc<dyn Sender>) {
    let (place, server) = (Place::new().await, Server::start().await);
    let settings = Settings::Smtp {
        url: server.url.clone(),
        from: "Shop <shop@shop.example>".to_owned(),
        unsubscribe: Some("https://shop.example/offers".to_owned()),
        ca_file: None,
        per_minute: None,
    };
    let sender = place.open(&settings);
    (place, server, sender)
}

pub(crate) fn mailbox(address: &str) -> Outgoing {
    let one = outgoing(Endpoint::Email { address: address.to_owned() });
    let body = "<p>คำสั่งซื้อ <b>o1</b></p>".to_owned();
    Outgoing { content: Content { body, ..one.content.clone() }, ..one }
}

#[tokio::test]
async fn a_mail_has_the_id_of_its_delivery_in_every_attempt_and_offers_say_how_to_end_them() {
    let (_place, server, sender) = begun().await;
    let one = mailbox("cat@example.com");
    for _ in 0..2 {
        assert_eq!(sender.send(&one, NOW).await.class, Class::Accepted);
        let mail = server.last();
        assert!(
            mail.contains(&format!("Message-ID: <{}@shop.example>", one.delivery_id)),
            "{mail}"
        );
        assert!(!mail.contains("List-Unsubscribe"), "{mail}");
        for line in ["From: Shop <shop@shop.example>", "To: cat@example.com", "Subject: =?utf-8?b?"]
        {
            assert!(mail.contains(line), "{line} in {mail}");
        }
        assert!(mail.contains("text/plain") && mail.contains("text/html"), "{mail}");
    }
    let content = Content { kind: Kind::PromotionAlert, ..one.content.clone() };
    sender.send(&Outgoing { content, ..one }, NOW).await;
    assert!(server.last().contains("List-Unsubscribe: <https://shop.example/offers>"));
}

#[tokio::test]
async fn every_answer_of_a_server_has_its_meaning() {
    let (_place, server, sender) = begun().await;
    let one = mailbox("cat@example.com");
    for (command, answer, class, code) in [
        ("RCPT", "550 5.1.1 no such user", Class::Recipient, "5.1.1"),
        ("RCPT", "550 no such user", Class::Ours, "550"),
        ("RCPT", "551 not here", Class::Recipient, "551"),
        ("RCPT", "452 4.2.2 mailbox full", Class::Retry, "4.2.2"),
        ("RCPT", "450 4.7.1 greylisted", Class::Retry, "4.7.1"),
        ("MAIL", "530 5.7.0 authentication required", Class::Ours, "5.7.0"),
        (".", "554 5.7.1 refused as spam", Class::Ours, "5.7.1"),
        (".", "421 4.3.2 shutting down", Class::Retry, "4.3.2"),
    ] {
        server.says(command, answer);
        let outcome = sender.send(&one, NOW).await;
        assert_eq!((outcome.class, outcome.code.as_str()), (class, code), "{answer}");
    }
    server.says(".", "");
    let outcome = sender.send(&one, NOW).await;
    assert_eq!((outcome.class, outcome.status), (Class::Retry, 0), "it may have taken it");
    assert_eq!(sender.send(&one, NOW).await.class, Class::Accepted);
    let outcome = sender.send(&mailbox("nobody"), NOW).await;
    assert_eq!((outcome.class, outcome.code.as_str()), (Class::Recipient, "bad_address"));
}

#[tokio::test]
async fn a_title_adds_no_header_of_its_own() {
    let (_place, server, sender) = begun().await;
    let one = mailbox("cat@example.com");
    let title = "x\r\nBcc: dog@example.com".to_owned();
    let content = Content { title, ..one.content.clone() };
    sender.send(&Outgoing { content, ..one }, NOW).await;
    let mail = server.last();
    assert!(!mail.lines().any(|line| line.starts_with("Bcc")), "{mail}");
}
