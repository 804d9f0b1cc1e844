//! A worker of a group: packs orders, tries again what may succeed later, and looks through what it
//! had to give up. Set up as for `quickstart`, with a token of a service; start it several times and
//! the workers share the orders.

use std::time::Duration;

use sampan_client::admin::Letters;
use sampan_client::{
    Client, Error, Failure, Message, Options, Pattern, Token, Topic, Trust, invalid,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Order {
    id: u64,
    items: u32,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::connect(options()?).await?;
    let pattern = Pattern::parse("order.packing.*").map_err(invalid)?;
    let consumer = client.consume("packers", pattern).key_order().await?;
    let worker = consumer.handle(8, |job, order: Order| async move {
        println!("order {}, attempt {}", order.id, job.attempt());
        match order.items {
            0 => Err(Failure::reject("an order without items")),
            1..=9 => Ok(()),
            // The shelves are filled meanwhile.
            _ if job.attempt() == 1 => {
                Err(Failure::retry_after(Duration::from_millis(200), "too few boxes"))
            }
            _ => Ok(()),
        }
    });

    for (id, items) in [(1, 3), (2, 0), (3, 12)] {
        let topic = Topic::parse(&format!("order.packing.{id}")).map_err(invalid)?;
        let body = format!(r#"{{"id":{id},"items":{items}}}"#);
        client.publish(Message::new(topic, body).content_type("application/json")).await?;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    // What is being packed is seen to its end; what was not begun goes to the other workers.
    worker.stop().await?;

    let given_up = client.dead_letters("packers");
    for letter in given_up.list(None, 100).await?.letters {
        println!("given up: {} at {}: {}", letter.topic, letter.offset, letter.reason);
        given_up.discard(Letters::Ids(vec![letter.id])).await?;
    }
    client.close().await
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
