//! Senders against doubles of the providers: real sockets, and TLS where the provider has it. Each
//! double checks signatures and ciphertext, and fails in the ways that the provider documents.
//!
//! Nothing here has reached a provider: what passes was accepted by the double on this machine.

mod apns;
mod doubles;
mod fcm;
mod mail_server;
mod sms;
mod smtp;
mod webpush;

use std::sync::Arc;
use std::time::Duration;

use doubles::{Asked, Double};
use sampan_services::Moment;
use sampan_services::notifications::model::{Kind, Priority};
use sampan_services::notifications::send::{Content, Endpoint, Outgoing, Sender, Settings};
use sampan_services::store::{Address, Database, migrate};
use serde_json::json;
use tempfile::TempDir;

impl Double {
    fn last(&self) -> Asked {
        self.asked().pop().expect("a question")
    }
}

/// A database for a test.
struct Place {
    database: Database,
    folder: TempDir,
}

impl Place {
    async fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let address = Address::sqlite(&folder.path().join("services.db"));
        let database = Database::open(&address).expect("a valid address");
        migrate(&database, sampan_services::SCHEMAS).await.expect("migrated");
        Place { database, folder }
    }

    fn open(&self, settings: &Settings) -> Arc<dyn Sender> {
        settings.open(&self.database).expect("valid")
    }

    /// A file with this text.
    fn file(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }
}

const NOW: Moment = Moment::from_ms(1_795_400_909_000);

fn outgoing(endpoint: Endpoint) -> Outgoing {
    Outgoing {
        delivery_id: "0199c3a2-7d51-7000-8000-0123456789ab".to_owned(),
        endpoint,
        content: Content {
            kind: Kind::OrderStatusUpdate,
            title: "คำสั่งซื้อ o1".to_owned(),
            body: "คำสั่งซื้อ o1: จัดส่งแล้ว 🛶".to_owned(),
            action_url: Some("https://shop.example/o1".to_owned()),
            icon_url: None,
            sound: Some("ping".to_owned()),
            badge: Some(3),
            data: json!({ "order_id": "o1" }),
            locale: "th".to_owned(),
        },
        priority: Priority::High,
        expires_at: NOW.after(Duration::from_secs(600)),
        collapse: Some("0123456789abcdef0123456789abcdef".to_owned()),
    }
}
