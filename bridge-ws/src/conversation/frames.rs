//! What a client asks for, as frames for the broker.

use bytes::Bytes;

use super::request::{Operation, Settling};
use crate::failure::Failure;
use crate::session::{Act, Question, Session, Settle, timeout_ms};

/// The frames of a request.
pub(super) fn frames(
    session: &mut Session,
    id: u64,
    operation: Operation,
) -> Result<Bytes, Failure> {
    match operation {
        Operation::Subscribe(start) => session.request(id, &start.subscribe()?),
        Operation::Unsubscribe => session.unsubscribe(id),
        Operation::Publish(publish) => publish.publish(|publish| session.publish(id, publish)),
        Operation::Request(ask) => session.ask(
            id,
            &Question {
                topic: &ask.topic,
                event: ask.event.as_deref(),
                content_type: Some("application/json"),
                content_encoding: None,
                timeout_ms: timeout_ms(ask.timeout_ms),
                payload: ask.payload.as_ref().map_or("null", |value| value.get()).as_bytes(),
            },
        ),
        Operation::Presence(presence) => session.request(id, &presence),
        Operation::History(history) => session.history(id, &history),
        Operation::Refresh(refresh) => session.request(id, &refresh),
        Operation::Consume(consume) => session.request(id, &consume.body()?),
        Operation::Pull { count } => session.pull(id, count),
        Operation::Settle(settling) => settle(session, id, &settling),
        Operation::Leave => session.leave(id),
        // All are done before they come here.
        Operation::Connect(_) | Operation::Emit(_) | Operation::Ping => Ok(Bytes::new()),
    }
}

fn settle(session: &mut Session, id: u64, settling: &Settling) -> Result<Bytes, Failure> {
    let Settling { handle, settlement, is_cumulative, delay_ms, reason } = settling;
    let act = Act { settlement: *settlement, is_cumulative: *is_cumulative };
    let (job, reason) = (*handle, reason.as_deref());
    session.settle(id, &Settle { job, act, delay_ms: *delay_ms, reason })
}
