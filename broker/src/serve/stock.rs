//! What the services answer about stock over HTTP.

use sampan_bridge_ws::{Forward, Parameter};
use sampan_client::inventory::{
    ADJUST, Adjust, COMMIT, Commit, EXTEND, GET, GET_RESERVATION, Levels, Location, PAYMENT_FAILED,
    PAYMENT_PENDING, ProductStock, RELEASE, RESERVATIONS, RESERVE, RESTOCK, Reservation,
    Reservations, Reserve, Reserved, Restock, SET_LOCATION, SET_THRESHOLD, Set, TELL, Tell,
    Threshold, WantedReservation,
};

const PRODUCT: Parameter = Parameter::path("product_id", "Id of the product");
const RESERVATION: Parameter = Parameter::path("reservation_id", "Id of the reservation");
const CUSTOMER: Parameter =
    Parameter::text("customer_id", "Id of the customer; the asker, if it is left out");
const PLACE: Parameter = Parameter::path("location", "The location");

pub(super) fn forwards() -> Vec<Forward> {
    vec![
        Forward::get::<ProductStock>("/v1/inventory/products/{product_id}", GET, "Its stock")
            .with(&[PRODUCT]),
        Forward::post::<Reserve, Reserved>(
            "/v1/inventory/reserve",
            RESERVE,
            "Holds stock for a customer for a quarter of an hour, all that is wanted or nothing",
        ),
        Forward::get::<Reservations>(
            "/v1/inventory/reservations",
            RESERVATIONS,
            "What a customer holds, the oldest first",
        )
        .with(&[CUSTOMER]),
        Forward::get::<Reservation>(
            "/v1/inventory/reservations/{reservation_id}",
            GET_RESERVATION,
            "One reservation",
        )
        .with(&[RESERVATION]),
        step("/v1/inventory/release", RELEASE, "Gives a reservation up"),
        step("/v1/inventory/extend", EXTEND, "Makes a reservation longer, once"),
        step("/v1/inventory/payment-pending", PAYMENT_PENDING, "The customer is paying"),
        step("/v1/inventory/payment-failed", PAYMENT_FAILED, "The payment came to nothing"),
        Forward::post::<Commit, Reservation>(
            "/v1/inventory/commit",
            COMMIT,
            "Sells what is held, for an order",
        ),
        Forward::post::<Restock, Levels>("/v1/inventory/restock", RESTOCK, "Adds what has come"),
        Forward::post::<Adjust, Levels>(
            "/v1/inventory/adjust",
            ADJUST,
            "Sets right what was counted",
        ),
        Forward::post::<Threshold, Set>(
            "/v1/inventory/threshold",
            SET_THRESHOLD,
            "Says when stock is low",
        ),
        Forward::put::<Location, Set>(
            "/v1/inventory/locations/{location}",
            SET_LOCATION,
            "Says what a location is for",
        )
        .with(&[PLACE]),
        Forward::post::<Tell, Set>(
            "/v1/inventory/tell",
            TELL,
            "Has viewers told anew what is available",
        ),
    ]
}

/// A row of something that happens to a reservation.
fn step(path: &'static str, topic: &'static str, summary: &'static str) -> Forward {
    Forward::post::<WantedReservation, Reservation>(path, topic, summary)
}
