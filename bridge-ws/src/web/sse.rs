//! `GET /v1/sse` and `POST /v1/sse/ticket`: the shell of one stream of events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Json as Answered;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use sampan_protocol::Code;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, timeout};

use super::call::Call;
use super::caller::{Asked, Caller, address, bearer};
use super::route::{Content, Route};
use crate::bridge::{Bridge, random};
use crate::counters::count;
use crate::failure::Failure;
use crate::parameter::Parameter;
use crate::session::Event;
use crate::stream::{KEEP_ALIVE, Stream};
use crate::tickets::LIFE;

/// Silence after which a comment is sent.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);
/// How long a reader may take nothing.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// A ticket for one stream.
#[derive(Debug, Serialize, JsonSchema)]
struct Ticket {
    /// Goes into the address of the stream, once.
    ticket: String,
    /// How long it is good for, milliseconds.
    expires_in_ms: u64,
}

const PARAMETERS: [Parameter; 3] = [
    Parameter::text("topic", "Topic or pattern; several times for several, at most 16"),
    Parameter::text("ticket", "A ticket, where no Authorization header can be set"),
    Parameter::text(
        "last_event_id",
        "The id of the last event, where no Last-Event-ID header can be set",
    ),
];

pub(super) fn stream() -> Route {
    Route {
        path: "/v1/sse",
        method: "get",
        handler: get(open),
        summary: "Messages as server-sent events, resumed where Last-Event-ID says",
        parameters: &PARAMETERS,
        question: Content::Nothing,
        answer: Content::Events,
    }
}

pub(super) fn ticket() -> Route {
    Route {
        path: "/v1/sse/ticket",
        method: "post",
        handler: post(issue),
        summary: "A ticket that stands for the token, for one stream within 30 s",
        parameters: &[],
        question: Content::Nothing,
        answer: Content::json::<Ticket>(),
    }
}

async fn issue(
    State(bridge): State<Arc<Bridge>>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    // A token that is not good gets no ticket.
    drop(Call::open(&bridge, &caller).await?);
    let origin = text(&headers, &header::ORIGIN).map(str::to_owned);
    let now = Instant::now().into_std();
    let ticket = bridge.tickets.issue(now, caller.token, origin)?;
    let expires_in_ms = u64::try_from(LIFE.as_millis()).unwrap_or(u64::MAX);
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    Ok((no_store, Answered(Ticket { ticket, expires_in_ms })).into_response())
}

async fn open(
    State(bridge): State<Arc<Bridge>>,
    Asked(query): Asked<Vec<(String, String)>>,
    request: Request,
) -> Result<Response, Failure> {
    let (parts, _) = request.into_parts();
    let headers = &parts.headers;
    let of = |name: &'static str| {
        query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    };
    if query.iter().any(|(key, _)| PARAMETERS.iter().all(|known| known.name != key)) {
        let reason = "the query holds topic, ticket and last_event_id only";
        return Err(Failure::new(Code::BAD_FIELD, reason));
    }
    let token = match of("ticket").next() {
        Some(ticket) => {
            let origin = text(headers, &header::ORIGIN);
            bridge.tickets.redeem(Instant::now().into_std(), ticket, origin)?
        }
        None => bearer(headers)?,
    };
    let caller = Caller { token, address: address(&parts)? };
    let last = text(headers, &HeaderName::from_static("last-event-id"));
    let last = last.or_else(|| of("last_event_id").next()).filter(|id| !id.is_empty());
    let topics: Vec<&str> = of("topic").collect();
    let stream = Stream::new(&topics, last, u64::from_le_bytes(random()?))?;
    let room = bridge.sockets.clone().try_acquire_owned();
    let room = room.map_err(|_| Failure::of(Code::OVERLOADED))?;
    let reading = Reading::begin(bridge, &caller, stream, room).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // A proxy that gathers answers would hold the events back.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(reading.run(sender));
    Ok((headers, Body::from_stream(Chunks(receiver))).into_response())
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Text from which on it is passed on. Compressed payloads become much more than they were.
const TEXT_BYTES: usize = 64 * 1024;

/// One reader.
struct Reading {
    bridge: Arc<Bridge>,
    call: Call,
    stream: Stream,
    /// What is still to be sent.
    out: String,
    _room: OwnedSemaphorePermit,
}

impl Reading {
    /// Subscribes, so that a refusal is told as one and not as a stream that ends.
    async fn begin(
        bridge: Arc<Bridge>,
        caller: &Caller,
        mut stream: Stream,
        room: OwnedSemaphorePermit,
    ) -> Result<Self, Failure> {
        let (mut call, welcome) = Call::open(&bridge, caller).await?;
        let frames = stream.subscribe(&mut call.session, welcome.now_ms)?;
        call.send(frames.freeze()).await;
        let mut out = String::new();
        while !stream.is_ready() {
            stream.event(call.next().await?, &bridge.cache, &mut out)?;
        }
        count(&bridge.counters.bridge_streams_opened);
        Ok(Reading { bridge, call, stream, out, _room: room })
    }

    async fn run(mut self, sender: mpsc::Sender<Bytes>) {
        let mut goes_on = true;
        while self.pass(&sender).await && goes_on {
            let next = tokio::select! {
                next = timeout(KEEP_ALIVE_EVERY, self.call.wait()) => next,
                () = sender.closed() => break,
            };
            match next {
                Ok(events) => goes_on = self.take(events, &sender).await,
                Err(_) => self.out.push_str(KEEP_ALIVE),
            }
        }
        count(&self.bridge.counters.bridge_streams_ended);
    }

    /// Turns events into text, which is passed on as it grows, and the end of the session into the
    /// last of it. Whether the stream goes on.
    async fn take(
        &mut self,
        events: Result<VecDeque<Event>, Failure>,
        sender: &mpsc::Sender<Bytes>,
    ) -> bool {
        let told = match events {
            Ok(events) => self.tell(events, sender).await,
            Err(failure) => Err(failure),
        };
        told.unwrap_or_else(|failure| {
            Stream::end(&failure, &mut self.out);
            false
        })
    }

    /// Whether there is still a reader.
    async fn tell(
        &mut self,
        events: VecDeque<Event>,
        sender: &mpsc::Sender<Bytes>,
    ) -> Result<bool, Failure> {
        for event in events {
            self.stream.event(event, &self.bridge.cache, &mut self.out)?;
            if self.out.len() >= TEXT_BYTES && !self.pass(sender).await {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Passes on what is to be sent. Whether there is still a reader.
    async fn pass(&mut self, sender: &mpsc::Sender<Bytes>) -> bool {
        let text = std::mem::take(&mut self.out);
        if text.is_empty() {
            return true;
        }
        match timeout(WRITE_TIMEOUT, sender.send(text.into())).await {
            Ok(sent) => sent.is_ok(),
            Err(_) => {
                count(&self.bridge.counters.bridge_streams_stuck);
                false
            }
        }
    }
}

/// Chunks of a body as they come.
struct Chunks(mpsc::Receiver<Bytes>);

impl futures_core::Stream for Chunks {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(Ok))
    }
}
