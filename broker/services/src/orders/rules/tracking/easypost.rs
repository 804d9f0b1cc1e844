//! EasyPost: API v2, Tracker object.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;

use super::Meaning::{self, Is, Nothing};
use super::Service;
use super::parcel::{Parcel, Place, Point, list};
use crate::moment::Moment;
use crate::orders::model::Status;
use crate::signature::{Secret, unhex};

/// See the module.
pub(super) struct EasyPost;

const CODES: &[(&str, Meaning)] = &[
    ("unknown", Nothing),
    ("pre_transit", Is(Status::Packed)),
    ("in_transit", Is(Status::InTransit)),
    ("out_for_delivery", Is(Status::OutForDelivery)),
    ("available_for_pickup", Is(Status::AvailableForPickup)),
    ("delivered", Is(Status::Delivered)),
    ("return_to_sender", Is(Status::Returning)),
    ("failure", Is(Status::Exception)),
    ("error", Is(Status::Exception)),
    ("cancelled", Is(Status::Cancelled)),
];

impl Service for EasyPost {
    fn url(&self) -> &'static str {
        "https://api.easypost.com/v2"
    }

    fn login(&self, key: &str) -> (&'static str, String) {
        ("authorization", format!("Basic {}", STANDARD.encode(format!("{key}:"))))
    }

    fn question(&self, carrier: &str, number: &str) -> String {
        format!("/trackers?tracking_code={number}&carrier={carrier}")
    }

    fn registration(&self, carrier: &str, number: &str) -> (&'static str, Value) {
        let tracker = json!({ "tracking_code": number, "carrier": carrier });
        ("/trackers", json!({ "tracker": tracker }))
    }

    fn codes(&self) -> &'static [(&'static str, Meaning)] {
        CODES
    }

    fn read(&self, told: Value) -> Result<Vec<Parcel>, String> {
        list::<Tracking>(told, &["/trackers", "/result", ""])
    }

    fn signature_header(&self) -> &'static str {
        "x-hmac-signature"
    }

    /// `hmac-sha256-hex=HEX` of the body, by the secret in its decomposed form.
    fn is_signed(&self, secret: &str, header: &str, body: &[u8], _: Moment) -> bool {
        let secret: String = secret.nfkd().collect();
        let signature = header.trim().strip_prefix("hmac-sha256-hex=").and_then(unhex);
        signature
            .is_some_and(|signature| Secret::new(secret.as_bytes()).is_signed(body, &signature))
    }
}

#[derive(Deserialize)]
struct Tracking {
    carrier: String,
    tracking_code: String,
    #[serde(default)]
    est_delivery_date: Option<String>,
    #[serde(default)]
    tracking_details: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    status: String,
    #[serde(default)]
    datetime: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    tracking_location: Option<Place>,
}

impl From<Tracking> for Parcel {
    fn from(it: Tracking) -> Self {
        let point = |point: Step| Point {
            code: point.status,
            time: point.datetime,
            message: point.message,
            place: Place::parts(point.tracking_location),
            coordinates: None,
        };
        let points = it.tracking_details.into_iter().map(point).collect();
        Parcel { carrier: it.carrier, number: it.tracking_code, eta: it.est_delivery_date, points }
    }
}
