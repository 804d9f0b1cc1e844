//! What the services answer about orders over HTTP.

use sampan_bridge_ws::{Forward, Parameter};
use sampan_services::orders::model::Order;
use sampan_services::orders::{
    GET, HISTORY, Heard, History, LIST, List, STATUS, SUMMARY, StatusTold, Summary, TRACK, UNTRACK,
    UPSERT, Upsert, Wanted,
};

const ID: Parameter = Parameter::path("id", "Id of the order");
const LIMIT: Parameter = Parameter::number("limit", "How many at most, up to 100").or(100);
const PAGE: [Parameter; 4] = [
    Parameter::text(
        "customer_id",
        "Of this customer; the asker's own, for those who have only theirs",
    ),
    Parameter::text("status", "Those that stand there"),
    Parameter::text("before", "Those placed before this order"),
    LIMIT,
];

pub(super) fn forwards() -> Vec<Forward> {
    vec![
        Forward::put::<Upsert, Order>(
            "/v1/orders/{id}",
            UPSERT,
            "Tells all of an order but its status, in the place of what was told before",
        )
        .with(&[ID]),
        Forward::get::<Order>("/v1/orders/{id}", GET, "An order").with(&[ID]),
        Forward::get::<List>("/v1/orders", LIST, "Orders, the newest first").with(&PAGE),
        Forward::get::<History>(
            "/v1/orders/{id}/history",
            HISTORY,
            "The newest of what was heard of an order, in the order in which it was so",
        )
        .with(&[ID, LIMIT]),
        Forward::post::<StatusTold, Heard>(
            "/v1/orders/status",
            STATUS,
            "Says where an order stands",
        ),
        Forward::post::<Wanted, Order>(
            "/v1/orders/track",
            TRACK,
            "Has the carrier asked about an order, or asked again",
        ),
        Forward::post::<Wanted, Order>(
            "/v1/orders/untrack",
            UNTRACK,
            "Has the carrier asked about an order no more",
        ),
        Forward::get::<Summary>("/v1/order-summary", SUMMARY, "How all orders stand"),
    ]
}
