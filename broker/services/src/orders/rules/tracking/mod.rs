//! Tracking services: how each is asked about a parcel, what its words mean, and how it signs what it
//! tells by itself.

mod aftership;
mod easypost;
mod parcel;
mod shippo;

use serde::Deserialize;
use serde_json::Value;

use self::aftership::AfterShip;
use self::easypost::EasyPost;
pub(crate) use self::parcel::{Parcel, Told, read};
use self::shippo::Shippo;
use crate::moment::Moment;
use crate::orders::model::Status;
use crate::refusal::Refusal;

/// A service that knows where parcels of many carriers are, by its public documents.
pub(crate) trait Service: Sync {
    /// Where it is.
    fn url(&self) -> &'static str;

    /// The header by which it knows the shop.
    fn login(&self, key: &str) -> (&'static str, String);

    /// The path that asks about a number of a carrier; both are encoded.
    fn question(&self, carrier: &str, number: &str) -> String;

    /// The path and the JSON that tell it of a number: it answers as to a question, and tells by
    /// itself from then on.
    fn registration(&self, carrier: &str, number: &str) -> (&'static str, Value);

    /// Whether it answers questions about numbers that it was not told of.
    fn knows_strangers(&self) -> bool {
        false
    }

    /// What its codes mean.
    fn codes(&self) -> &'static [(&'static str, Meaning)];

    /// The parcels of an answer, or of what it tells by itself.
    ///
    /// # Errors
    /// Why it is neither.
    fn read(&self, told: Value) -> Result<Vec<Parcel>, String>;

    /// The header that carries its signature.
    fn signature_header(&self) -> &'static str;

    /// Whether it has signed a body.
    fn is_signed(&self, secret: &str, header: &str, body: &[u8], now: Moment) -> bool;
}

/// Which tracking service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// AfterShip.
    AfterShip,
    /// Shippo.
    Shippo,
    /// EasyPost.
    EasyPost,
}

/// What a code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The order stands there.
    Is(Status),
    /// The carrier knows nothing yet: the order stands where it stood.
    Nothing,
    /// A code that nobody has told of: the status is kept, the code is, and the shop is told.
    Unknown,
}

impl Provider {
    /// All of them, under the names that configuration and addresses have.
    pub const ALL: [(&'static str, Provider); 3] = [
        ("aftership", Provider::AfterShip),
        ("shippo", Provider::Shippo),
        ("easypost", Provider::EasyPost),
    ];

    /// The service of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Provider::ALL.iter().find(|(known, _)| *known == name).map(|(_, provider)| *provider)
    }

    pub(crate) fn service(self) -> &'static dyn Service {
        match self {
            Provider::AfterShip => &AfterShip,
            Provider::Shippo => &Shippo,
            Provider::EasyPost => &EasyPost,
        }
    }

    /// What one of its codes means.
    #[must_use]
    pub fn meaning(self, code: &str) -> Meaning {
        let found = self.service().codes().iter().find(|(name, _)| name.eq_ignore_ascii_case(code));
        found.map_or(Meaning::Unknown, |(_, meaning)| *meaning)
    }

    /// Checks the signature of a body that came with the header. A body that comes again is told
    /// apart by the fingerprints of its checkpoints, whichever service brings it.
    ///
    /// # Errors
    /// `NotAllowed` if the signature is not the service's, or too old where it has a time.
    pub fn check(
        self,
        secret: &str,
        header: &str,
        body: &[u8],
        now: Moment,
    ) -> Result<(), Refusal> {
        let is_signed = !secret.is_empty() && self.service().is_signed(secret, header, body, now);
        let forged = Refusal::NotAllowed("the webhook is not signed by its service");
        if is_signed { Ok(()) } else { Err(forged) }
    }
}

#[cfg(test)]
mod tests;
