//! Requests and replies, offers to serve, and questions to authorizers.
//!
//! Every shard knows every offer, so a request goes straight from the asker's shard to the
//! responder's. The asker's shard keeps the call, so the answer is checked there.

use std::time::Duration;

use bytes::BytesMut;
use sampan_protocol::attribute::{self, Tag};
use sampan_protocol::control::{self, Ask};
use sampan_protocol::frame::{Frame, Header, Kind};
use sampan_protocol::{Code, Now, Pattern, Topic};

use super::Shard;
use super::commands::millis;
use crate::call::{Call, Offers, Purpose, Question, Waiting};
use crate::message::{Message, Origin};
use crate::session::{Offer, Session, SessionKey};
use crate::timer::Timer;

/// Bits of a call id below the shard's number.
const CALL_BITS: u32 = 40;
/// Commands that may wait for the same authorization.
const WAITING_MAX: usize = 1024;
/// How long a request waits when it does not say.
const DEADLINE_DEFAULT: Duration = Duration::from_secs(10);

impl Shard {
    pub(super) fn offers(&mut self, authorizer: bool) -> &mut Offers {
        if authorizer { &mut self.authorizers } else { &mut self.requests }
    }

    /// REQUEST of a session of this shard, found to be allowed.
    pub(super) fn request(&mut self, now: Now, key: SessionKey, frame: Frame) {
        let number = frame.header.number;
        let Ok(asked) = frame.attributes() else {
            return self.refuse_request(key, number, Code::BAD_FIELD, Duration::ZERO);
        };
        let Some(Ok(topic)) = asked.topic.map(Topic::parse) else {
            return self.refuse_request(key, number, Code::BAD_TOPIC, Duration::ZERO);
        };
        let max = self.config.limits.request_timeout_max;
        let deadline = asked.deadline_ms.map_or(DEADLINE_DEFAULT, Duration::from_millis).min(max);
        let Some(session) = self.peek(key) else { return };
        if session.calls >= self.config.limits.calls_max {
            return self.refuse_request(key, number, Code::TOO_MANY, Duration::from_millis(100));
        }
        let Some(identity) = session.identity.clone() else { return };
        let Some(responder) = self.requests.choose(&topic) else {
            let wait = Duration::from_secs(1);
            return self.refuse_request(key, number, Code::NO_RESPONDER, wait);
        };
        let mut attributes = BytesMut::new();
        attribute::put(&mut attributes, Tag::Topic, topic.as_str().as_bytes());
        attribute::put(&mut attributes, Tag::User, identity.user.as_bytes());
        attribute::put(&mut attributes, Tag::Role, identity.role.name().as_bytes());
        attribute::put_number(&mut attributes, Tag::Deadline, u64::from(millis(deadline)));
        attribute::relay(&mut attributes, frame.attribute_bytes());
        let call = self.open_call(responder, Purpose::Request { session: key, number });
        self.timers.set(now.mono + deadline, Timer::Call(call));
        let header = Header { time_ms: now.unix_ms, ..Header::new(Kind::Request) }.number(call);
        let Ok(handed) = header.to_frame(&attributes, frame.body_bytes()) else {
            self.close_call(call);
            return self.refuse_request(key, number, Code::TOO_LARGE, Duration::ZERO);
        };
        if let Some(session) = self.session(key) {
            session.calls += 1;
        }
        self.counters.requests += 1;
        let (shard, from, frame) = (responder.shard, self.me, handed);
        self.send(shard, Message::Call { responder: responder.session, call, from, frame });
    }

    /// Asks an authorizer, or joins an asking that is under way.
    pub(super) fn put_question(
        &mut self,
        now: Now,
        key: SessionKey,
        question: Question,
        pattern: &Pattern,
        asker: Waiting,
    ) {
        let open = self.asking.get(&question).and_then(|call| self.calls.get_mut(call));
        if let Some(Call { purpose: Purpose::Ask { waiting, .. }, .. }) = open {
            if waiting.len() < WAITING_MAX {
                return waiting.push((key, asker));
            }
            return match &asker {
                Waiting::Command(command) => {
                    let wait = self.config.limits.ask_timeout;
                    self.refuse(key, command, Code::BUSY, wait);
                }
                Waiting::Standing(_) => self.unanswered(now, key, &asker),
            };
        }
        let topic = authorized_topic(pattern);
        let Some(responder) = topic.and_then(|topic| self.authorizers.choose(&topic)) else {
            return self.unanswered(now, key, &asker);
        };
        let body = Ask {
            user: question.user.to_string(),
            role: question.role.to_owned(),
            action: question.action,
            topic: question.topic.to_string(),
        };
        let waiting = vec![(key, asker)];
        let call = self.open_call(responder, Purpose::Ask { question, waiting });
        self.timers.set(now.mono + self.config.limits.ask_timeout, Timer::Call(call));
        self.counters.asks += 1;
        let frame = control::encode(&body, call).unwrap_or_default();
        let (shard, from) = (responder.shard, self.me);
        self.send(shard, Message::Call { responder: responder.session, call, from, frame });
    }

    fn open_call(&mut self, responder: Origin, purpose: Purpose) -> u64 {
        let low = self.next_call & ((1 << CALL_BITS) - 1);
        self.next_call += 1;
        let call = (u64::from(self.me) << CALL_BITS) | low;
        if let Purpose::Ask { question, .. } = &purpose {
            self.asking.insert(question.clone(), call);
        }
        let authorizer = matches!(purpose, Purpose::Ask { .. });
        self.offers(authorizer).opened(responder);
        self.calls.insert(call, Call { responder, purpose });
        call
    }

    fn close_call(&mut self, call: u64) -> Option<Call> {
        let call = self.calls.remove(&call)?;
        let authorizer = matches!(call.purpose, Purpose::Ask { .. });
        self.offers(authorizer).closed(call.responder);
        if let Purpose::Ask { question, .. } = &call.purpose {
            self.asking.remove(question);
        }
        if let Purpose::Request { session, .. } = call.purpose
            && let Some(session) = self.session(session)
        {
            session.calls = session.calls.saturating_sub(1);
        }
        Some(call)
    }

    /// At the responder: hands a request or question to the session that offered to answer.
    pub(super) fn hand_over(&mut self, key: SessionKey, call: u64, from: u8, frame: bytes::Bytes) {
        let _ = call;
        if self.is_live(key) {
            self.tell(key, frame);
        } else {
            let responder = self.origin(key);
            self.send(from, Message::ResponderGone { responder });
        }
    }

    /// REPLY of a responder of this shard, on its way to the shard of the call.
    pub(super) fn pass_reply(&mut self, key: SessionKey, frame: Frame) {
        let Some(shard) = self.shard_of_call(frame.header.number) else {
            let number = frame.header.number;
            return self.refuse_request(key, number, Code::UNKNOWN_REQUEST, Duration::ZERO);
        };
        let responder = self.origin(key);
        self.send(shard, Message::Reply { responder, frame });
    }

    /// ANSWER of an authorizer of this shard, on its way to the shard of the call.
    pub(super) fn pass_answer(&mut self, key: SessionKey, number: u64, answer: control::Answer) {
        let Some(shard) = self.shard_of_call(number) else {
            return self.refuse_request(key, number, Code::UNKNOWN_REQUEST, Duration::ZERO);
        };
        let responder = self.origin(key);
        self.send(shard, Message::Answer { responder, number, answer });
    }

    fn shard_of_call(&self, call: u64) -> Option<u8> {
        u8::try_from(call >> CALL_BITS).ok().filter(|shard| *shard < self.shards)
    }

    /// At the shard of the call: the answer of a responder. A late one, or one of somebody who was
    /// not asked, is ignored.
    pub(super) fn reply(&mut self, responder: Origin, frame: Frame) {
        let id = frame.header.number;
        let of_responder = |call: &Call| {
            call.responder == responder && matches!(call.purpose, Purpose::Request { .. })
        };
        if !self.calls.get(&id).is_some_and(of_responder) {
            return;
        }
        let Some(Call { purpose: Purpose::Request { session, number }, .. }) = self.close_call(id)
        else {
            return;
        };
        let Ok(given) = frame.attributes() else {
            return self.refuse_request(session, number, Code::RESPONDER_LOST, Duration::ZERO);
        };
        let mut attributes = BytesMut::new();
        if let Some(code) = given.code {
            attribute::put_number(&mut attributes, Tag::Code, code);
            let reason = given.reason.unwrap_or("");
            attribute::put(&mut attributes, Tag::Reason, reason.as_bytes());
        }
        attribute::relay(&mut attributes, frame.attribute_bytes());
        let header = Header::new(Kind::Reply).number(number);
        let frame = header.to_frame(&attributes, frame.body_bytes()).unwrap_or_default();
        self.tell(session, frame);
    }

    /// At the shard of the call: an authorizer's answer.
    pub(super) fn answer(
        &mut self,
        now: Now,
        responder: Origin,
        number: u64,
        answer: &control::Answer,
    ) {
        let of_responder = |call: &Call| {
            call.responder == responder && matches!(call.purpose, Purpose::Ask { .. })
        };
        if !self.calls.get(&number).is_some_and(of_responder) {
            return;
        }
        let Some(Call { purpose: Purpose::Ask { question, waiting }, .. }) =
            self.close_call(number)
        else {
            return;
        };
        let ttl = Duration::from_millis(answer.ttl_ms.into()).min(self.config.limits.ask_ttl_max);
        self.answers.keep(now.mono, question, answer.allow, ttl);
        for (key, waiting) in waiting {
            self.answered(now, key, waiting, answer.allow, now.mono + ttl);
        }
    }

    pub(super) fn call_timed_out(&mut self, now: Now, call: u64) {
        self.abandon(now, call, Code::DEADLINE);
    }

    /// The responder has left: its open calls end.
    pub(super) fn responder_gone(&mut self, now: Now, responder: Origin) {
        let lost: Vec<u64> = self
            .calls
            .iter()
            .filter(|(_, call)| call.responder == responder)
            .map(|(id, _)| *id)
            .collect();
        for call in lost {
            self.abandon(now, call, Code::RESPONDER_LOST);
        }
    }

    fn abandon(&mut self, now: Now, call: u64, code: Code) {
        match self.close_call(call).map(|call| call.purpose) {
            Some(Purpose::Request { session, number }) => {
                self.refuse_request(session, number, code, Duration::ZERO);
            }
            Some(Purpose::Ask { waiting, .. }) => {
                for (key, waiting) in waiting {
                    self.unanswered(now, key, &waiting);
                }
            }
            None => {}
        }
    }

    /// SERVE of a session of this shard: every shard is told, and DONE follows when all know.
    pub(super) fn offer(
        &mut self,
        key: SessionKey,
        number: u64,
        pattern: Pattern,
        authorizer: bool,
    ) {
        let (max, shards) = (self.config.limits.offers_max, self.shards);
        let Some(session) = self.session(key) else { return };
        let code = match session.offers.len() {
            _ if session.offers.contains_key(&number) => Code::DUPLICATE_REQUEST,
            held if held >= max => Code::TOO_MANY,
            _ => {
                let kept = pattern.clone();
                session.offers.insert(number, Offer { pattern: kept, authorizer, waiting: shards });
                let origin = self.origin(key);
                return self.send_to_all(|| {
                    let pattern = pattern.clone();
                    Message::Serve { origin, number, pattern, authorizer }
                });
            }
        };
        self.refuse_request(key, number, code, Duration::ZERO);
    }

    /// At every shard: somebody offers to answer.
    pub(super) fn serve(
        &mut self,
        origin: Origin,
        number: u64,
        pattern: &Pattern,
        authorizer: bool,
    ) {
        self.offers(authorizer).add(pattern.as_str(), origin, number);
        let session = origin.session;
        self.send(origin.shard, Message::Served { session, number });
    }

    /// One more shard knows of the offer.
    pub(super) fn served(&mut self, key: SessionKey, number: u64) {
        let Some(session) = self.session(key) else { return };
        let Some(offer) = session.offers.get_mut(&number) else { return };
        offer.waiting = offer.waiting.saturating_sub(1);
        if offer.waiting == 0 {
            self.done(key, number);
        }
    }

    /// WITHDRAW of a session of this shard.
    pub(super) fn withdraw(&mut self, key: SessionKey, number: u64) {
        let offer = self.session(key).and_then(|session| session.offers.remove(&number));
        let Some(offer) = offer else {
            return self.refuse_request(key, number, Code::UNKNOWN_REQUEST, Duration::ZERO);
        };
        self.take_back(key, number, &offer);
        self.done(key, number);
    }

    fn take_back(&mut self, key: SessionKey, number: u64, offer: &Offer) {
        let origin = self.origin(key);
        let authorizer = offer.authorizer;
        self.send_to_all(|| {
            let pattern = offer.pattern.clone();
            Message::Withdraw { origin, number, pattern, authorizer }
        });
    }

    /// Ends what a session that has been removed offered and asked.
    pub(super) fn end_calls(&mut self, _now: Now, key: SessionKey, session: &Session) {
        for (number, offer) in &session.offers {
            self.take_back(key, *number, offer);
        }
        if !session.offers.is_empty() {
            let responder = self.origin(key);
            self.send_to_all(|| Message::ResponderGone { responder });
        }
        if session.calls > 0 {
            let of_session = |purpose: &Purpose| matches!(purpose, Purpose::Request { session, .. } if *session == key);
            let open: Vec<u64> = self
                .calls
                .iter()
                .filter(|(_, call)| of_session(&call.purpose))
                .map(|(id, _)| *id)
                .collect();
            for call in open {
                self.close_call(call);
            }
        }
    }
}

/// A topic by which the authorizer of a pattern is found: wildcards stand for themselves, encoded,
/// so that an authorizer of `a.*` is asked about `a.*` and one of `a.>` about `a.>`.
fn authorized_topic(pattern: &Pattern) -> Option<Topic> {
    let tokens: Vec<String> = pattern
        .tokens()
        .map(|token| match token {
            "*" => "%2A".to_owned(),
            ">" => "%3E".to_owned(),
            plain => plain.to_owned(),
        })
        .collect();
    Topic::parse(&tokens.join(".")).ok()
}
