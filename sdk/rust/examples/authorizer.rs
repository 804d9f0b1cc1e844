//! Deciding who may read an order: the user with whose id the order's own begins, as that of
//! `order.alice-42` does. The token must belong to a service. Set up as for `quickstart`.

use std::time::Duration;

use sampan_client::{
    Action, Client, Error, Event, Options, Pattern, Question, Token, Trust, invalid, topic_token,
};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::connect(options()?).await?;
    let mut events = client.events();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if let Event::Waiting { retry_in, cause } = event {
                eprintln!("reconnecting in {retry_in:?}: {cause}");
            }
        }
    });

    let pattern = Pattern::parse("order.*").map_err(invalid)?;
    let mut questions = client.authorize(pattern).await?;
    println!("asked about order.*");
    while let Some(question) = questions.next().await {
        let allowed = may(&question);
        let (user, action, topic) = (question.user(), question.action(), question.topic());
        println!("{user}: {} {topic}: {}", action.name(), if allowed { "yes" } else { "no" });
        if allowed {
            question.allow(Duration::from_secs(300));
        } else {
            question.deny(Duration::from_secs(5));
        }
    }
    questions.error().map_or(Ok(()), Err)
}

/// Whether the order is the user's own.
fn may(question: &Question) -> bool {
    let reads = matches!(question.action(), Action::Subscribe | Action::History);
    let order = question.topic().tokens().nth(1);
    let owner = order.and_then(|order| order.rsplit_once('-')).map(|(owner, _)| owner);
    // The id is compared as a token: a wildcard is never equal to one.
    reads && owner.is_some_and(|owner| owner == topic_token(question.user()))
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
