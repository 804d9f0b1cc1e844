//! Work by request and reply: one task serves, another asks. Set up as for `quickstart`.

use std::time::Duration;

use sampan_client::{
    Client, Code, Error, Options, Pattern, Responder, Token, Topic, Trust, invalid,
};

/// The application's own code for an order that does not exist.
const NO_SUCH_ORDER: Code = Code(904);

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::connect(options()?).await?;
    let pattern = Pattern::parse("order.lookup.*").map_err(invalid)?;
    let worker = tokio::spawn(serve(client.serve(pattern).await?));

    for id in ["42", "missing"] {
        // An id becomes one token, whatever bytes it has.
        let topic = format!("order.lookup.{}", sampan_client::topic_token(id));
        let topic = Topic::parse(&topic).map_err(invalid)?;
        match client.request(topic, "", Duration::from_secs(2)).await {
            Ok(reply) => println!("{id}: {}", String::from_utf8_lossy(&reply.payload())),
            Err(error) if error.code() == Some(NO_SUCH_ORDER) => println!("{id}: no such order"),
            Err(error) if error.is_retryable() && !error.may_have_happened() => {
                println!("{id}: try again: {error}");
            }
            Err(error) => return Err(error),
        }
    }
    worker.abort();
    client.close().await
}

async fn serve(mut calls: Responder) {
    while let Some(call) = calls.next().await {
        match call.topic().tokens().last() {
            Some("missing") => call.fail(NO_SUCH_ORDER, "there is no such order"),
            _ => call.reply(r#"{"state":"shipped"}"#),
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
