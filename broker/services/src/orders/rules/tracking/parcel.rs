//! A parcel, whoever tells of it, as checkpoints.

use serde::Deserialize;
use serde_json::Value;

use super::{Meaning, Provider};
use crate::moment::Moment;
use crate::orders::model::{Checkpoint, Location, Source};

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
    pub(super) points: Vec<Checkpoint>,
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

/// Reads an answer to a question, or the body of a webhook, which holds the same.
///
/// # Errors
/// Why it is neither.
pub(crate) fn read(provider: Provider, source: Source, body: &[u8]) -> Result<Vec<Told>, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let parcels = provider.service().read(value)?;
    Ok(parcels.into_iter().map(|parcel| parcel.told(provider, source)).collect())
}

/// What is at the first of these places that there is, alone or several.
pub(super) fn list<T>(value: Value, places: &[&str]) -> Result<Vec<Parcel>, String>
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
pub(crate) struct Parcel {
    pub(super) carrier: String,
    pub(super) number: String,
    pub(super) eta: Option<String>,
    pub(super) points: Vec<Point>,
}

/// A step of its way.
pub(super) struct Point {
    pub(super) code: String,
    pub(super) time: Option<String>,
    pub(super) message: Option<String>,
    pub(super) place: Vec<Option<String>>,
    pub(super) coordinates: Option<(f64, f64)>,
}

impl Parcel {
    pub(super) fn told(self, provider: Provider, source: Source) -> Told {
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
pub(super) fn moment(text: &str) -> Option<Moment> {
    Moment::parse(text).or_else(|| Moment::parse(&format!("{text}Z")))
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect()
}

/// A place in the words of EasyPost and Shippo.
#[derive(Default, Deserialize)]
pub(super) struct Place {
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
    pub(super) fn parts(it: Option<Place>) -> Vec<Option<String>> {
        let Place { city, state, zip, country } = it.unwrap_or_default();
        vec![city, state, zip, country]
    }
}
