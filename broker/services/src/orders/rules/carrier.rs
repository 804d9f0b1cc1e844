//! What the codes of the tracking services mean.

use serde::Deserialize;

use crate::orders::model::Status;

/// A service that knows where parcels of many carriers are.
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

use Meaning::{Is, Nothing};

const AFTERSHIP: &[(&str, Meaning)] = &[
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

const SHIPPO: &[(&str, Meaning)] = &[
    ("UNKNOWN", Nothing),
    ("PRE_TRANSIT", Is(Status::Packed)),
    ("TRANSIT", Is(Status::InTransit)),
    ("DELIVERED", Is(Status::Delivered)),
    ("RETURNED", Is(Status::Returned)),
    ("FAILURE", Is(Status::Exception)),
];

const EASYPOST: &[(&str, Meaning)] = &[
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

impl Provider {
    /// The service of this name, as configuration and addresses have it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "aftership" => Some(Provider::AfterShip),
            "shippo" => Some(Provider::Shippo),
            "easypost" => Some(Provider::EasyPost),
            _ => None,
        }
    }

    /// What one of its codes means.
    #[must_use]
    pub fn meaning(self, code: &str) -> Meaning {
        let codes = match self {
            Provider::AfterShip => AFTERSHIP,
            Provider::Shippo => SHIPPO,
            Provider::EasyPost => EASYPOST,
        };
        let found = codes.iter().find(|(name, _)| name.eq_ignore_ascii_case(code));
        found.map_or(Meaning::Unknown, |(_, meaning)| *meaning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_code_is_told_apart_from_one_that_says_nothing() {
        assert_eq!(Provider::AfterShip.meaning("Teleported"), Meaning::Unknown);
        assert_eq!(Provider::AfterShip.meaning("Pending"), Meaning::Nothing);
        assert_eq!(Provider::Shippo.meaning("transit"), Is(Status::InTransit));
        assert_eq!(Provider::EasyPost.meaning("return_to_sender"), Is(Status::Returning));
        assert_eq!(Provider::Shippo.meaning(""), Meaning::Unknown);
    }
}
