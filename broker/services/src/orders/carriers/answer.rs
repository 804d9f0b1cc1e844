//! What the tracking services say, in their words, as checkpoints.
//!
//! The shapes are those of their public documents: AfterShip Tracking API 2025-07, EasyPost API v2
//! (Tracker object), Shippo API (Track object). A webhook holds what an answer holds.

use serde::Deserialize;
use serde_json::Value;

use crate::moment::Moment;
use crate::orders::model::{Checkpoint, Location, Source};
use crate::orders::rules::carrier::{Meaning, Provider};

/// Checkpoints of one parcel that are looked at, the newest.
const POINTS_MAX: usize = 500;
/// Characters of a text of theirs.
const TEXT_MAX: usize = 500;

/// What is told of one number.
#[derive(Debug, PartialEq)]
pub(crate) struct Told {
    /// The service's name of the carrier.
    pub(crate) carrier: String,
    /// The carrier's number.
    pub(crate) number: String,
    points: Vec<Checkpoint>,
}

impl Told {
    /// The checkpoints, under the shop's names of carrier and number.
    pub(crate) fn points_of(self, carrier: &str, number: &str) -> Vec<Checkpoint> {
        let (carrier, tracking_number) = (carrier.to_owned(), number.to_owned());
        let named = |point| Checkpoint {
            carrier: carrier.clone(),
            tracking_number: tracking_number.clone(),
            ..point
        };
        self.points.into_iter().map(named).collect()
    }
}

/// Reads an answer to a question, or the body of a webhook.
///
/// # Errors
/// Why it is neither.
pub(super) fn read(provider: Provider, source: Source, body: &[u8]) -> Result<Vec<Told>, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let parcels: Vec<Parcel> = match provider {
        Provider::AfterShip => list::<AfterShip>(value, &["/data/trackings", "/msg"])?,
        Provider::EasyPost => list::<EasyPost>(value, &["/trackers", "/result"])?,
        Provider::Shippo => list::<Shippo>(value, &["/data", ""])?,
    };
    Ok(parcels.into_iter().map(|parcel| parcel.told(provider, source)).collect())
}

/// What is at the first of these places that there is, alone or several.
fn list<T>(value: Value, places: &[&str]) -> Result<Vec<Parcel>, String>
where
    T: for<'de> Deserialize<'de> + Into<Parcel>,
{
    // An answer as a whole is one parcel or none.
    let is_fit = |place: &str, found: &Value| !place.is_empty() || found.is_object();
    let found = places
        .iter()
        .find_map(|place| value.pointer(place).filter(|found| is_fit(place, found)))
        .cloned();
    let all = match found {
        Some(Value::Array(all)) => all,
        Some(one) => vec![one],
        None => return Err("it tells of no parcel".to_owned()),
    };
    let read = |one| serde_json::from_value::<T>(one).map(Into::into);
    all.into_iter().map(read).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

/// A parcel, whoever tells of it.
struct Parcel {
    carrier: String,
    number: String,
    eta: Option<String>,
    points: Vec<Point>,
}

struct Point {
    code: String,
    time: Option<String>,
    message: Option<String>,
    place: Vec<Option<String>>,
    coordinates: Option<(f64, f64)>,
}

impl Parcel {
    fn told(self, provider: Provider, source: Source) -> Told {
        let Parcel { carrier, number, eta, mut points } = self;
        let estimated_delivery = eta.as_deref().and_then(moment);
        points.drain(..points.len().saturating_sub(POINTS_MAX));
        let checkpoint = |point: Point| {
            // Without a time it cannot be told from another.
            let event_time = moment(point.time.as_deref()?)?;
            let status = match provider.meaning(&point.code) {
                Meaning::Is(status) => Some(status),
                Meaning::Unknown => None,
                // That the carrier knows nothing yet is no checkpoint.
                Meaning::Nothing => return None,
            };
            let place = point.place.into_iter().flatten().filter(|part| !part.is_empty());
            let place = cut(&place.collect::<Vec<_>>().join(", "));
            let notes: Vec<String> = point
                .message
                .iter()
                .map(|message| cut(message))
                .chain(point.coordinates.is_none().then(|| place.clone()))
                .filter(|text| !text.is_empty())
                .collect();
            let location = point.coordinates.map(|(latitude, longitude)| Location {
                latitude,
                longitude,
                address: place.clone(),
            });
            Some(Checkpoint {
                source,
                carrier: carrier.clone(),
                tracking_number: number.clone(),
                raw_code: cut(&point.code),
                status,
                event_time,
                observed_at: Moment::default(),
                location,
                estimated_delivery,
                notes: (!notes.is_empty()).then(|| notes.join(" - ")),
            })
        };
        let points = points.into_iter().filter_map(checkpoint).collect();
        Told { carrier, number, points }
    }
}

/// The moment of a text; one that names no zone is of UTC.
fn moment(text: &str) -> Option<Moment> {
    Moment::parse(text).or_else(|| Moment::parse(&format!("{text}Z")))
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect()
}

#[derive(Deserialize)]
struct AfterShip {
    slug: String,
    tracking_number: String,
    #[serde(default)]
    expected_delivery: Option<String>,
    #[serde(default)]
    checkpoints: Vec<AfterShipPoint>,
}

#[derive(Deserialize)]
struct AfterShipPoint {
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

impl From<AfterShip> for Parcel {
    fn from(it: AfterShip) -> Self {
        let point = |point: AfterShipPoint| Point {
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

/// A place in the words of EasyPost and Shippo.
#[derive(Default, Deserialize)]
struct Place {
    #[serde(default)]
    city: Option<String>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    zip: Option<String>,
    #[serde(default)]
    country: Option<String>,
}

impl Place {
    fn parts(it: Option<Place>) -> Vec<Option<String>> {
        let Place { city, state, zip, country } = it.unwrap_or_default();
        vec![city, state, zip, country]
    }
}

#[derive(Deserialize)]
struct EasyPost {
    carrier: String,
    tracking_code: String,
    #[serde(default)]
    est_delivery_date: Option<String>,
    #[serde(default)]
    tracking_details: Vec<EasyPostPoint>,
}

#[derive(Deserialize)]
struct EasyPostPoint {
    status: String,
    #[serde(default)]
    datetime: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    tracking_location: Option<Place>,
}

impl From<EasyPost> for Parcel {
    fn from(it: EasyPost) -> Self {
        let point = |point: EasyPostPoint| Point {
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

#[derive(Deserialize)]
struct Shippo {
    carrier: String,
    tracking_number: String,
    #[serde(default)]
    eta: Option<String>,
    #[serde(default)]
    tracking_status: Option<ShippoPoint>,
    #[serde(default)]
    tracking_history: Vec<ShippoPoint>,
}

#[derive(Deserialize)]
struct ShippoPoint {
    status: String,
    #[serde(default)]
    status_date: Option<String>,
    #[serde(default)]
    status_details: Option<String>,
    #[serde(default)]
    location: Option<Place>,
}

impl From<Shippo> for Parcel {
    fn from(it: Shippo) -> Self {
        let point = |point: ShippoPoint| Point {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::orders::model::Status;

    /// One parcel in the words of each, as an answer and as a webhook.
    fn said() -> [(Provider, Value, Value); 3] {
        let aftership = json!({
            "slug": "kerry", "tracking_number": "TH1", "expected_delivery": "2026-11-25T00:00:00Z",
            "checkpoints": [
                { "tag": "InTransit", "checkpoint_time": "2026-11-23T08:00:00", "message": "On its way",
                  "location": "Bangkok" },
                { "tag": "Delivered", "checkpoint_time": "2026-11-24T09:30:00+07:00", "message": null },
            ],
        });
        let easypost = json!({
            "carrier": "kerry", "tracking_code": "TH1", "est_delivery_date": "2026-11-25T00:00:00Z",
            "tracking_details": [
                { "status": "in_transit", "datetime": "2026-11-23T08:00:00Z", "message": "On its way",
                  "tracking_location": { "city": "Bangkok", "state": null } },
                { "status": "delivered", "datetime": "2026-11-24T02:30:00Z" },
            ],
        });
        let shippo = json!({
            "carrier": "kerry", "tracking_number": "TH1", "eta": "2026-11-25T00:00:00Z",
            "tracking_history": [
                { "status": "TRANSIT", "status_date": "2026-11-23T08:00:00Z",
                  "status_details": "On its way", "location": { "city": "Bangkok" } },
            ],
            "tracking_status": { "status": "DELIVERED", "status_date": "2026-11-24T02:30:00Z" },
        });
        [
            (
                Provider::AfterShip,
                json!({ "meta": { "code": 200 }, "data": { "trackings": [aftership] } }),
                json!({ "event": "tracking_update", "msg": aftership }),
            ),
            (
                Provider::EasyPost,
                json!({ "trackers": [easypost], "has_more": false }),
                json!({ "description": "tracker.updated", "result": easypost }),
            ),
            (Provider::Shippo, shippo.clone(), json!({ "event": "track_updated", "data": shippo })),
        ]
    }

    #[test]
    fn each_service_tells_the_same_parcel_in_its_words() {
        for (provider, answer, webhook) in said() {
            for (source, body) in [(Source::Poll, answer), (Source::Webhook, webhook)] {
                let told = read(provider, source, body.to_string().as_bytes()).unwrap();
                let [parcel] = told.as_slice() else { panic!("{told:?}") };
                assert_eq!((parcel.carrier.as_str(), parcel.number.as_str()), ("kerry", "TH1"));
                let [first, second] = parcel.points.as_slice() else { panic!("{parcel:?}") };
                assert_eq!(first.status, Some(Status::InTransit), "{provider:?}");
                assert_eq!(first.notes.as_deref(), Some("On its way - Bangkok"));
                assert_eq!(first.event_time, moment("2026-11-23T08:00:00Z").unwrap());
                assert_eq!(second.status, Some(Status::Delivered));
                assert_eq!(second.event_time, moment("2026-11-24T02:30:00Z").unwrap());
                assert_eq!(second.estimated_delivery, moment("2026-11-25T00:00:00Z"));
                assert_eq!((second.source, &second.notes), (source, &None));
            }
        }
    }

    #[test]
    fn that_a_carrier_knows_nothing_yet_is_no_checkpoint() {
        for (provider, nothing) in [
            (Provider::AfterShip, "Pending"),
            (Provider::Shippo, "UNKNOWN"),
            (Provider::EasyPost, "unknown"),
        ] {
            for (word, points) in [(nothing, 0), ("Teleported", 1)] {
                let point = Point {
                    code: word.to_owned(),
                    time: Some("2026-11-23T08:00:00Z".to_owned()),
                    message: None,
                    place: Vec::new(),
                    coordinates: None,
                };
                let (carrier, number) = ("kerry".to_owned(), "TH1".to_owned());
                let parcel = Parcel { carrier, number, eta: None, points: vec![point] };
                let told = parcel.told(provider, Source::Poll);
                assert_eq!(told.points.len(), points, "{provider:?} {word}");
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_what_has_no_time_is_left_out() {
        for (provider, ..) in said() {
            for body in ["", "null", "{}", "[]", "{\"data\":1}", "{\"msg\":{}}", "\u{0}"] {
                assert!(
                    read(provider, Source::Poll, body.as_bytes()).is_err(),
                    "{provider:?} {body}"
                );
            }
        }
        let bare = json!({ "trackers": [{ "carrier": "k", "tracking_code": "1",
            "tracking_details": [{ "status": "teleported", "datetime": "yesterday" }] }] });
        let told = read(Provider::EasyPost, Source::Poll, bare.to_string().as_bytes()).unwrap();
        assert_eq!(told[0].points, []);
        let none = json!({ "data": { "trackings": [] } });
        let told = read(Provider::AfterShip, Source::Poll, none.to_string().as_bytes());
        assert_eq!(told, Ok(Vec::new()), "the number is not known yet");
    }
}
