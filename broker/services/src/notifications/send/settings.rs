//! Who sends: the settings of providers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::super::peers::Senders;
use super::Sender;
use super::apns::Apns;
use super::fcm::Fcm;
use super::smtp::Smtp;
use super::twilio::Twilio;
use super::webpush::{Services, WebPush};
use crate::store::Database;

/// A provider. The first of a sort is asked first, the others where it is in trouble.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "provider", rename_all = "lowercase", deny_unknown_fields)]
pub enum Settings {
    /// Firebase Cloud Messaging.
    Fcm {
        /// File with the service account, as Google's console gives it.
        account_file: PathBuf,
        /// Where it is, if not where Google's is.
        #[serde(default)]
        url: Option<String>,
        /// Attempts in a minute of each process, at most; any number if it is left out.
        #[serde(default)]
        per_minute: Option<u32>,
    },
    /// Apple Push Notification service.
    Apns {
        /// File with the key, `.p8`.
        key_file: PathBuf,
        /// Its id.
        key_id: String,
        /// The team's.
        team_id: String,
        /// Where it is, if not where Apple's is.
        #[serde(default)]
        url: Option<String>,
        /// File with the certificates that are trusted in place of the usual ones.
        #[serde(default)]
        ca_file: Option<PathBuf>,
        /// Attempts in a minute of each process, at most; any number if it is left out.
        #[serde(default)]
        per_minute: Option<u32>,
    },
    /// The push services of browsers.
    WebPush {
        /// Whom they may write to: `mailto:...` or `https://...`.
        subject: String,
        /// Push services beside those of the usual browsers, such as `push.example`.
        #[serde(default)]
        push_services: Vec<String>,
        /// Whether any at all are asked, also of the shop's own network and without TLS.
        #[serde(default)]
        private_addresses: bool,
        /// Attempts in a minute of each process, at most; any number if it is left out.
        #[serde(default)]
        per_minute: Option<u32>,
    },
    /// A mail server.
    Smtp {
        /// `smtps://USER:PASSWORD@HOST`, or `smtp://...?tls=required`.
        url: String,
        /// The sender, such as `Shop <shop@example.com>`.
        from: String,
        /// Where those who want no more offers say so: `https://...` or `mailto:...`.
        #[serde(default)]
        unsubscribe: Option<String>,
        /// File with the certificates that are trusted besides the usual ones.
        #[serde(default)]
        ca_file: Option<PathBuf>,
        /// Attempts in a minute of each process, at most; any number if it is left out.
        #[serde(default)]
        per_minute: Option<u32>,
    },
    /// A gateway of text messages, Twilio's kind.
    Sms {
        /// The account.
        account: String,
        /// Its key.
        key: String,
        /// The number that it is from, or the id of a service, `MG...`.
        from: String,
        /// Where it is, if not where Twilio's is.
        #[serde(default)]
        url: Option<String>,
        /// Where it says what has become of a message: `/v1/webhooks/twilio` as it reaches it.
        #[serde(default)]
        callback_url: Option<String>,
        /// Attempts in a minute of each process, at most; any number if it is left out.
        #[serde(default)]
        per_minute: Option<u32>,
    },
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Settings::Fcm { .. } => "Fcm(..)",
            Settings::Apns { .. } => "Apns(..)",
            Settings::WebPush { .. } => "WebPush(..)",
            Settings::Smtp { .. } => "Smtp(..)",
            Settings::Sms { .. } => "Sms(..)",
        })
    }
}

/// Those who send by these settings.
///
/// # Errors
/// What is wrong with one.
pub fn senders(all: &[Settings], database: &Database) -> Result<Senders, String> {
    let services = all.iter().find_map(Settings::services).unwrap_or_default();
    all.iter().try_fold(Senders::reaching(services), |senders, one| {
        Ok(senders.paced(one.open(database)?, one.per_minute()?))
    })
}

impl Settings {
    /// The push services that are asked, of a sender to browsers.
    fn services(&self) -> Option<Services> {
        match self {
            Settings::WebPush { push_services, private_addresses, .. } => {
                Some(Services::new(push_services, *private_addresses))
            }
            _ => None,
        }
    }

    /// Attempts that a process makes in a minute at most.
    fn per_minute(&self) -> Result<Option<u32>, String> {
        let (Settings::Fcm { per_minute, .. }
        | Settings::Apns { per_minute, .. }
        | Settings::WebPush { per_minute, .. }
        | Settings::Smtp { per_minute, .. }
        | Settings::Sms { per_minute, .. }) = self;
        match per_minute {
            Some(0) => Err("per_minute: at least 1".to_owned()),
            per_minute => Ok(*per_minute),
        }
    }

    /// Who sends by these.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn open(&self, database: &Database) -> Result<Arc<dyn Sender>, String> {
        let or =
            |url: &Option<String>, usual: &str| url.clone().unwrap_or_else(|| usual.to_owned());
        Ok(match self {
            Settings::Fcm { account_file, url, .. } => {
                let url = or(url, "https://fcm.googleapis.com");
                Arc::new(Fcm::new(&text(account_file)?, &url)?)
            }
            Settings::Apns { key_file, key_id, team_id, url, ca_file, .. } => {
                let url = or(url, "https://api.push.apple.com");
                let certificate = ca_file.as_deref().map(text).transpose()?;
                let certificate = certificate.as_ref().map(String::as_bytes);
                Arc::new(Apns::new(&url, &text(key_file)?, [key_id, team_id], certificate)?)
            }
            Settings::WebPush { subject, .. } => {
                if !["mailto:", "https://"].iter().any(|scheme| subject.starts_with(scheme)) {
                    return Err("subject: mailto:... or https://...".to_owned());
                }
                let services = self.services().unwrap_or_default();
                Arc::new(WebPush::new(database, subject, services))
            }
            Settings::Smtp { url, from, unsubscribe, ca_file, .. } => {
                let certificate = ca_file.as_deref().map(text).transpose()?;
                let certificate = certificate.as_ref().map(String::as_bytes);
                Arc::new(Smtp::new(url, from, unsubscribe.clone(), certificate)?)
            }
            Settings::Sms { account, key, from, url, callback_url, .. } => {
                let url = or(url, "https://api.twilio.com");
                Arc::new(Twilio::new(&url, account, key, from)?.told_at(callback_url.clone()))
            }
        })
    }
}

fn text(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
