//! The checked commands of a live client.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::control::{self, Answer, GroupOrder, PresenceAct, Start};
use crate::error::Error;
use crate::frame::{Frame, Kind};
use crate::session::settle::Settle;
use crate::topic::{Pattern, Topic};

/// A checked command of a live session.
#[derive(Debug)]
pub enum Command {
    /// PUBLISH; attributes are not yet decoded.
    Publish(Frame),
    /// SUBSCRIBE.
    Subscribe {
        /// Request number, which names the subscription.
        number: u64,
        /// What to subscribe to.
        pattern: Pattern,
        /// Where delivery starts.
        start: Start,
    },
    /// UNSUBSCRIBE.
    Unsubscribe {
        /// The subscription.
        number: u64,
    },
    /// HISTORY.
    History {
        /// Request number.
        number: u64,
        /// The topic.
        topic: Topic,
        /// Where the page starts.
        from: control::From,
        /// Messages wanted at most.
        limit: u32,
    },
    /// REQUEST; attributes are not yet decoded.
    Request(Frame),
    /// REPLY of a responder; attributes are not yet decoded.
    Reply(Frame),
    /// SERVE.
    Serve {
        /// Request number, which names the offer.
        number: u64,
        /// What is answered for.
        pattern: Pattern,
        /// Whether it answers authorization questions rather than requests.
        authorizer: bool,
    },
    /// ANSWER of an authorizer.
    Answer {
        /// The question's number.
        number: u64,
        /// The answer.
        answer: Answer,
    },
    /// WITHDRAW.
    Withdraw {
        /// The offer.
        number: u64,
    },
    /// PRESENCE.
    Presence {
        /// Request number.
        number: u64,
        /// The topic.
        topic: Topic,
        /// What to do.
        act: PresenceAct,
        /// Where a page that is read begins: behind this user.
        after: String,
    },
    /// CONSUME.
    Consume(Consume),
    /// PULL.
    Pull {
        /// The consumer.
        number: u64,
        /// Jobs wanted.
        count: u64,
    },
    /// SETTLE.
    Settle(Settle),
    /// LEAVE.
    Leave {
        /// The consumer.
        number: u64,
    },
}

/// A checked CONSUME. `None` leaves what the group has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consume {
    /// Request number, which names the consumer.
    pub number: u64,
    /// The group's name.
    pub group: Topic,
    /// What the group reads.
    pub pattern: Pattern,
    /// Where a new group starts.
    pub start: Start,
    /// Jobs that the consumer holds at most; 0 for what it pulls.
    pub window: u32,
    /// In which order.
    pub order: Option<GroupOrder>,
    /// How long a consumer may take for a job.
    pub ack_wait: Option<Duration>,
    /// How often a message is handed out at most.
    pub attempts_max: Option<NonZeroU32>,
}

impl Consume {
    fn decode(frame: &Frame) -> Result<Self, Error> {
        let body: control::Consume = control::decode(frame)?;
        let ack_wait = Duration::from_millis(body.ack_wait_ms.into());
        Ok(Consume {
            number: frame.header.number,
            group: Topic::parse(&body.group)?,
            pattern: Pattern::parse(&body.pattern)?,
            start: body.start,
            window: body.window,
            order: GroupOrder::from_number(body.order),
            ack_wait: (!ack_wait.is_zero()).then_some(ack_wait),
            attempts_max: NonZeroU32::new(body.attempts_max),
        })
    }
}

/// The command in `frame`; the request number with the error, or no error if only a broker may
/// send the kind.
pub(super) fn command(frame: Frame) -> Result<Command, (u64, Option<Error>)> {
    let number = frame.header.number;
    match frame.header.kind {
        Kind::Settle => Settle::decode(&frame).map(Command::Settle).map_err(|error| {
            // The header says an offset; the request is named by an attribute.
            let request = frame.attributes().ok().and_then(|attributes| attributes.sequence);
            (request.unwrap_or(0), Some(error))
        }),
        _ => decode_command(frame).map_err(|error| (number, error)),
    }
}

fn decode_command(frame: Frame) -> Result<Command, Option<Error>> {
    let number = frame.header.number;
    Ok(match frame.header.kind {
        Kind::Subscribe => {
            let body: control::Subscribe = control::decode(&frame)?;
            let pattern = Pattern::parse(&body.pattern).map_err(Error::from)?;
            Command::Subscribe { number, pattern, start: body.start }
        }
        Kind::Unsubscribe => Command::Unsubscribe { number },
        Kind::History => {
            let body: control::History = control::decode(&frame)?;
            let topic = Topic::parse(&body.topic).map_err(Error::from)?;
            Command::History { number, topic, from: body.from, limit: body.limit }
        }
        Kind::Request => Command::Request(frame),
        Kind::Reply => Command::Reply(frame),
        Kind::Serve => {
            let body: control::Serve = control::decode(&frame)?;
            let pattern = Pattern::parse(&body.pattern).map_err(Error::from)?;
            Command::Serve { number, pattern, authorizer: body.role == 2 }
        }
        Kind::Answer => Command::Answer { number, answer: control::decode(&frame)? },
        Kind::Withdraw => Command::Withdraw { number },
        Kind::Presence => {
            let body: control::Presence = control::decode(&frame)?;
            let topic = Topic::parse(&body.topic).map_err(Error::from)?;
            let act = PresenceAct::from_number(body.act);
            let act = act.ok_or(Error::Invalid { field: "act" })?;
            Command::Presence { number, topic, act, after: body.after }
        }
        Kind::Consume => Command::Consume(Consume::decode(&frame)?),
        Kind::Pull => Command::Pull { number, count: frame.attributes()?.count.unwrap_or(1) },
        Kind::Leave => Command::Leave { number },
        Kind::Hello => return Err(Some(Error::Invalid { field: "a second HELLO" })),
        _ => return Err(None),
    })
}
