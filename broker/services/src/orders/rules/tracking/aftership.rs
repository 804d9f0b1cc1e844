//! AfterShip: Tracking API 2025-07.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Meaning::{self, Is, Nothing};
use super::Service;
use super::parcel::{Parcel, Point, list};
use crate::moment::Moment;
use crate::orders::model::Status;
use crate::signature::Secret;

/// See the module.
pub(super) struct AfterShip;

const CODES: &[(&str, Meaning)] = &[
    ("Pending", Nothing),
    ("InfoReceived", Is(Status::Packed)),
    ("InTransit", Is(Status::InTransit)),
    ("OutForDelivery", Is(Status::OutForDelivery)),
    ("AttemptFail", Is(Status::DeliveryAttempted)),
    ("AvailableForPickup", Is(Status::AvailableForPickup)),
    ("Delivered", Is(Status::Delivered)),
    ("Exception", Is(Status::Exception)),
    // The carrier was silent for 30 days.
    ("Expired", Is(Status::Exception)),
];

impl Service for AfterShip {
    fn url(&self) -> &'static str {
        "https://api.aftership.com/tracking/2025-07"
    }

    fn login(&self, key: &str) -> (&'static str, String) {
        ("as-api-key", key.to_owned())
    }

    fn question(&self, carrier: &str, number: &str) -> String {
        format!("/trackings?tracking_numbers={number}&slug={carrier}")
    }

    fn registration(&self, carrier: &str, number: &str) -> (&'static str, Value) {
        ("/trackings", json!({ "tracking_number": number, "slug": carrier }))
    }

    fn codes(&self) -> &'static [(&'static str, Meaning)] {
        CODES
    }

    fn read(&self, told: Value) -> Result<Vec<Parcel>, String> {
        list::<Tracking>(told, &["/data/trackings", "/data", "/msg"])
    }

    fn signature_header(&self) -> &'static str {
        "aftership-hmac-sha256"
    }

    /// Base64 of the body's signature.
    fn is_signed(&self, secret: &str, header: &str, body: &[u8], _: Moment) -> bool {
        let signature = STANDARD.decode(header.trim());
        signature.is_ok_and(|signature| Secret::new(secret.as_bytes()).is_signed(body, &signature))
    }
}

#[derive(Deserialize)]
struct Tracking {
    slug: String,
    tracking_number: String,
    #[serde(default)]
    expected_delivery: Option<String>,
    #[serde(default)]
    checkpoints: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    tag: String,
    #[serde(default)]
    checkpoint_time: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    location: Option<String>,
    #[serde(default)]
    coordinate: Option<Coordinate>,
}

#[derive(Deserialize)]
struct Coordinate {
    latitude: f64,
    longitude: f64,
}

impl From<Tracking> for Parcel {
    fn from(it: Tracking) -> Self {
        let point = |point: Step| Point {
            code: point.tag,
            time: point.checkpoint_time,
            message: point.message,
            place: vec![point.location],
            coordinates: point.coordinate.map(|it| (it.latitude, it.longitude)),
        };
        let points = it.checkpoints.into_iter().map(point).collect();
        Parcel { carrier: it.slug, number: it.tracking_number, eta: it.expected_delivery, points }
    }
}
