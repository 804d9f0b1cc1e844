//! A shop behind `sdk/typescript/examples/browser/shop.html`: it has ten lamps, serves `shop.pay`, and
//! takes whatever was paid to its customer. Set up as for `quickstart`. Customers may ask where the
//! broker's configuration says so:
//!
//! ```toml
//! [roles.customer]
//! publish = ["..", "shop.pay"]
//! ```

use std::time::Duration;

use sampan_client::inventory::{HoldStatus, Restock, RestockLine};
use sampan_client::orders::{Status, StatusTold, Upsert};
use sampan_client::{Call, Client, Code, Error, Options, Pattern, Token, Trust, invalid};
use serde::Deserialize;

/// The application's own code for what cannot be paid.
const NOT_TO_BE_PAID: Code = Code(904);
/// The way of every order.
const WAY: [Status; 5] =
    [Status::Confirmed, Status::Packed, Status::Shipped, Status::OutForDelivery, Status::Delivered];

/// What a customer asks on `shop.pay`.
#[derive(Deserialize)]
struct Pay {
    reservation_id: String,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::connect(options()?).await?;
    let lamps = RestockLine {
        product_id: "lamp".to_owned(),
        variant_id: String::new(),
        location: "bangkok".to_owned(),
        quantity: 10,
    };
    let restock = Restock { lines: vec![lamps], idempotency_key: Some("first".to_owned()) };
    client.inventory().restock(&restock).await?;
    let mut calls = client.serve(Pattern::parse("shop.pay").map_err(invalid)?).await?;
    println!("open");
    while let Some(call) = calls.next().await {
        let client = client.clone();
        tokio::spawn(async move { paid(&client, call).await });
    }
    calls.error().map_or(Ok(()), Err)
}

/// Answers with the id of the order, and brings it to its customer.
async fn paid(client: &Client, call: Call) {
    match sold(client, &call).await {
        Ok((order, is_new)) => {
            call.reply_json(format!(r#"{{"order_id":"{order}"}}"#));
            if is_new {
                deliver(client, &order).await;
            }
        }
        Err(error) => call.fail(error.code().unwrap_or(NOT_TO_BE_PAID), &error.to_string()),
    }
}

/// Sells what a customer holds; says under which id, and whether it was not sold before.
async fn sold(client: &Client, call: &Call) -> Result<(String, bool), Error> {
    let Pay { reservation_id } = serde_json::from_slice(&call.payload()).map_err(invalid)?;
    let (inventory, orders) = (client.inventory(), client.orders());
    let held = inventory.reservation(&reservation_id).await?;
    if held.customer_id != call.user() {
        return Err(invalid("this is held for somebody else"));
    }
    let id = format!("o-{reservation_id}");
    if held.status == HoldStatus::Committed {
        return Ok((id, false));
    }
    inventory.payment_pending(&reservation_id).await?;
    // Here a shop asks whoever takes its money, under the id of the order.
    let order = Upsert { id: id.clone(), customer_id: held.customer_id, ..Upsert::default() };
    orders.upsert(&order).await?;
    inventory.commit(&reservation_id, &id).await?;
    Ok((id, true))
}

/// Tells of every step of an order, again where the broker did not answer.
async fn deliver(client: &Client, order: &str) {
    for status in WAY {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let told = StatusTold {
            id: order.to_owned(),
            status,
            event_time: None,
            location: None,
            estimated_delivery: None,
            notes: None,
        };
        loop {
            match client.orders().status(&told).await {
                Ok(_) => break println!("{order} is {}", status.name()),
                Err(error) if error.is_retryable() => eprintln!("once more: {error}"),
                Err(error) => return eprintln!("{order}: {error}"),
            }
        }
    }
}

fn options() -> Result<Options, Error> {
    let variable = |name: &str| std::env::var(name).ok();
    let url = variable("SAMPAN_URL").unwrap_or_else(|| "quic://localhost:3001".to_owned());
    let token = variable("SAMPAN_TOKEN").unwrap_or_default();
    let mut options = Options::new(url, Token::Static(token));
    if let Some(path) = variable("SAMPAN_CERT") {
        options.trust = Trust::Pem(std::fs::read(path).map_err(invalid)?);
    }
    Ok(options)
}
