//! `sampan sub`: prints what arrives, across reconnects, until it is told to stop.

use std::io::{self, Write};
use std::time::Duration;

use sampan_client::{
    Client, Delivery, Event, Gap, Pattern, Position, Received, Start, Subscription, TopicPosition,
};

use super::connection::Connection;
use super::consume::{self, Sharing, Task};
use super::exit::Failure;
use super::json::MessageLine;
use super::output::{Output, tell};
use super::pieces::Separator;
use super::signals::Stop;
use super::text;
use crate::serve::unix_ms;

/// Subscribe and print what arrives; `ready` on standard error tells that it has begun
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Topic or pattern: `*` stands for one token, a last `>` for the rest
    pattern: String,
    /// Begin with the last N messages of each topic
    #[arg(long, value_name = "N", group = "start")]
    last: Option<u32>,
    /// Begin with the messages of the time since, such as 15m
    #[arg(long, value_name = "DUR", group = "start", value_parser = text::duration)]
    since: Option<Duration>,
    /// Begin with this message of a single topic
    #[arg(long, value_name = "EPOCH:OFFSET", group = "start")]
    from: Option<Position>,
    /// End after N messages; of a group, after N acked ones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    #[command(flatten)]
    sharing: Sharing,
    /// Print each payload and its separator, and nothing else
    #[arg(long, group = "form")]
    raw: bool,
    /// What follows each raw payload
    #[arg(long, value_enum, value_name = "WHAT", requires = "raw", default_value = "lines")]
    join: Separator,
    /// Print one line of JSON per message
    #[arg(long, group = "form")]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// How messages are printed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Raw(Separator),
    Json,
    Text,
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let pattern = Pattern::parse(&args.pattern)
        .map_err(|error| Failure::usage(format_args!("pattern {:?}: {error}", args.pattern)))?;
    let start = start(&args, &pattern)?;
    let form = match (args.raw, args.json) {
        (true, _) => Form::Raw(args.join),
        (_, true) => Form::Json,
        _ => Form::Text,
    };
    if let Some(group) = args.sharing.group.clone() {
        let Args { count, sharing, connection, .. } = args;
        return consume::run(Task { group, pattern, start, form, count, sharing }, &connection)
            .await;
    }
    let start = start.unwrap_or(Start::Now);
    let mut stop = Stop::listen()?;
    Stop::insist()?;
    let read = async |client: &Client| {
        tokio::spawn(tell_events(client.clone()));
        let subscription = client.subscribe(pattern, start).await?;
        tell(format_args!("ready"));
        print_all(subscription, form, args.count, &mut stop).await
    };
    args.connection.with(read).await
}

/// Prints until there is enough, the subscription ends, or the command is told to stop.
async fn print_all(
    mut subscription: Subscription,
    form: Form,
    count: Option<u64>,
    stop: &mut Stop,
) -> Result<(), Failure> {
    let mut output = Output::new()?;
    let mut left = count.unwrap_or(u64::MAX);
    let mut batch = Vec::new();
    while left > 0 {
        let count = tokio::select! {
            biased;
            () = stop.signalled() => break,
            count = subscription.next_many(&mut batch) => count,
        };
        if count == 0 {
            let end = subscription.error();
            return end.map_or(Ok(()), |error| Err(error.into()));
        }
        for delivery in batch.drain(..) {
            match delivery {
                Delivery::Message(message) if left > 0 => {
                    print(&mut output, form, &message)?;
                    left -= 1;
                }
                Delivery::Message(_) => {}
                Delivery::Gap(gap) => tell_gap(&gap),
            }
        }
        output.flush()?;
    }
    Ok(())
}

/// Where to begin, if that is said.
fn start(args: &Args, pattern: &Pattern) -> Result<Option<Start>, Failure> {
    let start = match (args.last, args.since, args.from) {
        (Some(count), ..) => Start::Last(count),
        (_, Some(since), _) => {
            let since_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
            Start::Since(unix_ms().saturating_sub(since_ms))
        }
        (.., Some(Position { epoch, offset })) => {
            let topic = pattern.as_topic().ok_or_else(|| {
                Failure::usage("--from needs one topic; with a wildcard use --last or --since")
            })?;
            // A position names the last message seen, and this one is yet to be seen.
            let offset = offset.saturating_sub(1);
            let position = TopicPosition { topic: topic.as_str().to_owned(), epoch, offset };
            Start::Resume { joined_ms: 0, positions: vec![position] }
        }
        _ => return Ok(None),
    };
    Ok(Some(start))
}

fn print(output: &mut Output, form: Form, message: &Received) -> io::Result<()> {
    match form {
        Form::Raw(separator) => {
            output.write_all(message.payload_bytes())?;
            output.write_all(separator.bytes())
        }
        Form::Json => output.json(&MessageLine::new(message)),
        Form::Text => {
            let payload = text::printable(message.payload_bytes());
            let event = text::printable(message.event().unwrap_or("-").as_bytes());
            writeln!(
                output,
                "{} {} {event} {payload}",
                message.topic().as_str(),
                message.position()
            )
        }
    }
}

fn tell_gap(gap: &Gap) {
    let Gap { topic, epoch, from, to, reason, .. } = gap;
    let loss = if gap.is_loss() { "messages were lost" } else { "nothing was lost" };
    let (topic, reason) = (topic.as_str(), reason.name());
    tell(format_args!("gap: {topic} {epoch}:{from} to {epoch}:{to}, {reason}: {loss}"));
}

/// Tells of lost and regained connections, so that silence is not taken for quiet.
pub(super) async fn tell_events(client: Client) {
    let mut events = client.events();
    drop(client);
    while let Some(event) = events.next().await {
        match event {
            Event::Waiting { retry_in, cause } => {
                let ms = retry_in.as_millis();
                tell(format_args!("sampan: {cause}; trying again in {ms} ms"));
            }
            Event::Live { resumed: true } => tell(format_args!("sampan: connected again")),
            _ => {}
        }
    }
}
