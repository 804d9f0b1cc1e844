//! Publish and subscribe. Beside a broker that runs with its development certificate:
//!
//! ```sh
//! export SAMPAN_TOKEN=$(sampan token --user shop --role service)
//! export SAMPAN_CERT=sampan-data/dev-certificate.pem
//! cargo run --release -p sampan-client --example quickstart
//! ```

use sampan_client::{
    Client, Delivery, Error, Message, Options, Start, Token, Topic, Trust, invalid,
};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::connect(options()?).await?;
    let status = client.status();
    println!("connected as {} ({})", status.user, status.role);

    let topic = Topic::parse("order.42").map_err(invalid)?;
    let mut orders = client.subscribe(&topic, Start::Now).await?;

    for state in ["paid", "packed", "shipped"] {
        let body = format!(r#"{{"state":"{state}"}}"#);
        let message = Message::new(topic.clone(), body)
            .event("order:updated")
            .content_type("application/json");
        let ack = client.publish(message).await?;
        println!("published at {}:{}, {}", ack.epoch, ack.offset, ack.level.name());
    }

    for _ in 0..3 {
        match orders.next().await {
            Some(Delivery::Message(message)) => println!(
                "{} {} {} {}",
                message.topic(),
                message.offset(),
                message.event().unwrap_or("-"),
                String::from_utf8_lossy(message.payload_bytes())
            ),
            Some(Delivery::Gap(gap)) => {
                println!("{}..={} missing: {}", gap.from, gap.to, gap.reason.name());
            }
            None => break,
        }
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
