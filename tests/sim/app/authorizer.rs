//! Answers questions of authorization: whose topic ends in the user's own name may act on it.

use std::time::Duration;

use sampan_protocol::Pattern;
use sampan_protocol::session::client::Event;

use super::{Ctx, Task};

/// How long an answer holds.
const TTL: Duration = Duration::from_secs(5);

pub(crate) struct Authorizer {
    pattern: Pattern,
    /// Its offer.
    number: Option<u64>,
    ready: bool,
}

impl Authorizer {
    pub(crate) fn task(pattern: &str) -> Box<dyn Task> {
        let pattern = Pattern::parse(pattern).expect("a pattern");
        Box::new(Authorizer { pattern, number: None, ready: false })
    }
}

impl Task for Authorizer {
    fn open(&mut self, ctx: &mut Ctx<'_>) {
        self.number = ctx.session.authorize(self.pattern.clone()).ok();
    }

    fn told(&mut self, ctx: &mut Ctx<'_>, event: &Event) {
        match event {
            Event::Ready { number, .. } => self.ready |= self.number == Some(*number),
            Event::Question(question) if self.number == Some(question.offer) => {
                let own = question.topic.tokens().last() == Some(question.user.as_str());
                ctx.session.answer(question.id, own, TTL);
            }
            _ => {}
        }
    }

    fn is_done(&self) -> bool {
        self.ready
    }
}
