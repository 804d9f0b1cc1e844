//! Shippo: Track object of its API.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Meaning::{self, Is, Nothing};
use super::Service;
use super::parcel::{Parcel, Place, Point, list};
use crate::moment::Moment;
use crate::orders::model::Status;
use crate::signature::{Secret, unhex};

/// How far the time in a signature may be from ours.
const TOLERANCE: Duration = Duration::from_secs(300);

/// See the module.
pub(super) struct Shippo;

const CODES: &[(&str, Meaning)] = &[
    ("UNKNOWN", Nothing),
    ("PRE_TRANSIT", Is(Status::Packed)),
    ("TRANSIT", Is(Status::InTransit)),
    ("DELIVERED", Is(Status::Delivered)),
    ("RETURNED", Is(Status::Returned)),
    ("FAILURE", Is(Status::Exception)),
];

impl Service for Shippo {
    fn url(&self) -> &'static str {
        "https://api.goshippo.com"
    }

    fn login(&self, key: &str) -> (&'static str, String) {
        ("authorization", format!("ShippoToken {key}"))
    }

    fn question(&self, carrier: &str, number: &str) -> String {
        format!("/tracks/{carrier}/{number}")
    }

    fn registration(&self, carrier: &str, number: &str) -> (&'static str, Value) {
        ("/tracks/", json!({ "carrier": carrier, "tracking_number": number }))
    }

    fn knows_strangers(&self) -> bool {
        true
    }

    fn codes(&self) -> &'static [(&'static str, Meaning)] {
        CODES
    }

    fn read(&self, told: Value) -> Result<Vec<Parcel>, String> {
        list::<Tracking>(told, &["/data", ""])
    }

    fn signature_header(&self) -> &'static str {
        "shippo-auth-signature"
    }

    /// `t=SECONDS,v1=HEX` of time, dot and body.
    fn is_signed(&self, secret: &str, header: &str, body: &[u8], now: Moment) -> bool {
        let part = |name: &str| {
            header.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let (Some(time), Some(signature)) = (part("t"), part("v1").and_then(unhex)) else {
            return false;
        };
        let Ok(seconds) = time.parse::<i64>() else { return false };
        let sent = Moment::from_ms(seconds.saturating_mul(1_000));
        let is_recent = now.since(sent) <= TOLERANCE && sent.since(now) <= TOLERANCE;
        let message = [time.as_bytes(), b".", body].concat();
        is_recent && Secret::new(secret.as_bytes()).is_signed(&message, &signature)
    }
}

#[derive(Deserialize)]
struct Tracking {
    carrier: String,
    tracking_number: String,
    #[serde(default)]
    eta: Option<String>,
    #[serde(default)]
    tracking_status: Option<Step>,
    #[serde(default)]
    tracking_history: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    status: String,
    #[serde(default)]
    status_date: Option<String>,
    #[serde(default)]
    status_details: Option<String>,
    #[serde(default)]
    location: Option<Place>,
}

impl From<Tracking> for Parcel {
    fn from(it: Tracking) -> Self {
        let point = |point: Step| Point {
            code: point.status,
            time: point.status_date,
            message: point.status_details,
            place: Place::parts(point.location),
            coordinates: None,
        };
        // The last stands in the history too, as the same.
        let points = it.tracking_history.into_iter().chain(it.tracking_status).map(point).collect();
        Parcel { carrier: it.carrier, number: it.tracking_number, eta: it.eta, points }
    }
}
