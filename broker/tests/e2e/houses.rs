//! Shops whose chats are kept in each of the databases.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use sampan_tests::{cpu, servers};
use tempfile::TempDir;

use crate::harness::Broker;

/// Where chats are kept.
enum Store {
    Sqlite,
    Postgres(servers::Postgres),
    Mongo(servers::Mongo),
}

/// A shop with a database of its own.
pub(crate) struct House {
    store: Store,
    /// The lines of `[services]` that name the database.
    services: String,
    _folder: TempDir,
}

impl House {
    /// Chats in the file of the services.
    pub(crate) fn on_sqlite() -> Self {
        House::of(Store::Sqlite, "", "")
    }

    /// Everything in PostgreSQL.
    pub(crate) fn on_postgresql() -> Self {
        let server = servers::Postgres::start();
        let address = server.database();
        House::of(Store::Postgres(server), "database_file", &address)
    }

    /// Chats in MongoDB, all else in the file of the services.
    pub(crate) fn on_mongodb() -> Self {
        let server = servers::Mongo::start();
        let address = server.database();
        House::of(Store::Mongo(server), "chat_database_file", &address)
    }

    fn of(store: Store, setting: &str, address: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let services = match setting {
            "" => String::new(),
            _ => {
                // Others may not read it.
                let file = folder.path().join("address");
                std::fs::write(&file, address).expect("written");
                std::fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("set");
                format!("{setting} = '{}'\n", file.display())
            }
        };
        House { store, services, _folder: folder }
    }

    /// Its broker, with these further settings.
    pub(crate) fn broker(&self, more: &str) -> Broker {
        Broker::configured(&format!("[services]\n{}{more}", self.services))
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &'static str {
        match self.store {
            Store::Sqlite => "SQLite",
            Store::Postgres(_) => "PostgreSQL",
            Store::Mongo(_) => "MongoDB",
        }
    }

    /// What its database's own processes have cost the processor.
    pub(crate) fn cpu(&self) -> Duration {
        match &self.store {
            Store::Sqlite => Duration::ZERO,
            Store::Postgres(server) => cpu::cost(server.id()),
            Store::Mongo(server) => cpu::cost(server.id()),
        }
    }

    /// Ends its database without a warning.
    pub(crate) fn kill(&mut self) {
        match &mut self.store {
            Store::Sqlite => panic!("it has no server"),
            Store::Postgres(server) => server.kill(),
            Store::Mongo(server) => server.kill(),
        }
    }

    /// Starts its database with what it had stored.
    pub(crate) fn start_again(&mut self) {
        match &mut self.store {
            Store::Sqlite => panic!("it has no server"),
            Store::Postgres(server) => server.start_again(),
            Store::Mongo(server) => server.start_again(),
        }
    }
}

/// Facts that hold on each store: a module of three tests for each.
macro_rules! on_each_store {
    ($($fact:ident: $test:ident;)*) => {$(
        mod $fact {
            use crate::houses::House;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                super::$test(House::on_sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgresql() {
                super::$test(House::on_postgresql()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_mongodb() {
                super::$test(House::on_mongodb()).await;
            }
        }
    )*};
}

pub(crate) use on_each_store;
