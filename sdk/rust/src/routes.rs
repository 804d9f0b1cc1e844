//! How the session's outputs reach whoever waits for them. All of it runs under the session's lock
//! and waits for nothing.

use std::sync::Arc;
use std::time::Duration;

use protocol::Code;
use protocol::session::client::{self, Answer, Failure, Output};

use crate::authorizer::Question;
use crate::error::failed;
use crate::job::Receipt;
use crate::presence::Change;
use crate::queue::Queue;
use crate::responder::Call;
use crate::shared::{Action, Core, Route, Shared, To};
use crate::status::Event;
use crate::{Delivery, Gap, Received};

impl Core {
    pub(crate) fn route(&mut self, shared: &Arc<Shared>) {
        while let Some(output) = self.session.poll_urgent() {
            match output {
                Output::Event(client::Event::Message { subscription, message }) => {
                    self.stage(subscription, Delivery::Message(Received(message)));
                }
                Output::Event(event) => self.event(shared, event),
                Output::Send(_, bytes) => {
                    self.control.push(bytes);
                    self.wake_control = true;
                }
                Output::Connect { connection } => {
                    // Frames for an earlier connection have nowhere to go.
                    self.control.clear();
                    self.actions.push_back(Action::Connect(connection));
                    self.wake_driver = true;
                }
                Output::NeedToken => {
                    self.actions.push_back(Action::NeedToken);
                    self.wake_driver = true;
                }
                Output::Close { connection, code, reason } => {
                    self.actions.push_back(Action::Close { connection, code, reason });
                    self.wake_driver = true;
                }
            }
        }
    }

    fn stage(&mut self, subscription: u64, delivery: Delivery) {
        let Some(route) = self.routes.get_mut(&subscription) else { return };
        let To::Subscription(queue) = &route.to else { return };
        if let Some((_, _, items)) = route.staged.and_then(|at| self.staged.get_mut(at)) {
            items.push_back(delivery);
            return;
        }
        let mut items = self.spare.pop().unwrap_or_default();
        items.push_back(delivery);
        route.staged = Some(self.staged.len());
        self.staged.push((subscription, queue.clone(), items));
    }

    /// Hands staged deliveries over; the queues that are over their bound after that.
    pub(crate) fn flush_staged(&mut self) -> Vec<Arc<Queue<Delivery>>> {
        let mut full = Vec::new();
        for (number, queue, mut items) in self.staged.drain(..) {
            if let Some(route) = self.routes.get_mut(&number) {
                route.staged = None;
            }
            if !queue.append(&mut items) {
                full.push(queue);
            }
            if self.spare.is_empty() {
                self.spare.push(items);
            }
        }
        full
    }

    /// Datagrams are not held back: what a full queue cannot take is dropped and counted.
    pub(crate) fn drop_staged_for_full(&mut self) {
        for (_, queue, items) in &mut self.staged {
            if queue.is_full() {
                self.status.dropped += items.len() as u64;
                items.clear();
            }
        }
    }

    fn event(&mut self, shared: &Arc<Shared>, event: client::Event) {
        use client::Event as E;
        match event {
            E::Gap { subscription, topic, epoch, from, to, reason } => {
                self.stage(subscription, Delivery::Gap(Gap { topic, epoch, from, to, reason }));
            }
            E::Published(run) => {
                self.waiters.acked(&run);
                self.wake_room = true;
            }
            E::PublishRefused { sequence, failure } => {
                self.waiters.refused(sequence, failed(failure));
                self.wake_room = true;
            }
            E::Answered { number, result } => self.answered(number, result),
            E::Job(job) => {
                if let Some(Route { to: To::Consumer(queue), .. }) =
                    self.routes.get(&job.id.consumer)
                {
                    // A broker that keeps to the window is within the bound.
                    let _ = queue.try_push(job);
                }
            }
            E::JobsLost { consumer } => {
                if let Some(Route { to: To::Consumer(queue), .. }) = self.routes.get(&consumer) {
                    drop(queue.take());
                }
            }
            E::Ready { number, joined } => {
                let route = self.routes.get_mut(&number);
                let entry = route.as_ref().is_some_and(|route| matches!(route.to, To::Entry));
                let ready = route.and_then(|route| route.ready.take());
                if entry {
                    self.routes.remove(&number);
                }
                if let Some(ready) = ready {
                    let _ = ready.send(Ok(joined));
                }
            }
            E::Ended { number, failure } => {
                if let Some(route) = self.routes.remove(&number) {
                    let error = failed(failure);
                    route.to.end(error.clone());
                    if let Some(ready) = route.ready {
                        let _ = ready.send(Err(error));
                    }
                }
            }
            E::Call(call) => self.called(shared, *call),
            E::Question(question) => self.questioned(shared, *question),
            E::Members { watch, members } => {
                if let Some(Route { to: To::Watch(queue), .. }) = self.routes.get(&watch) {
                    queue.replace(Change::All(members));
                }
            }
            E::MembersChanged { watch, change } => {
                if let Some(Route { to: To::Watch(queue), .. }) = self.routes.get(&watch) {
                    let changed = Change::Changed {
                        count: change.count,
                        joined: change.joined,
                        left: change.left,
                    };
                    // A reader that lags is given the whole list again instead of the changes.
                    if queue.try_push(changed).is_err() {
                        self.session.watch_again(watch);
                    }
                }
            }
            other => self.connection_event(other),
        }
    }

    /// The answer to a request, or to a settlement and those that share it.
    fn answered(&mut self, number: u64, result: Result<Answer, Failure>) {
        if let Some(sender) = self.answers.remove(&number) {
            let _ = sender.send(result);
        } else if let Some(senders) = self.settling.remove(&number) {
            let late = matches!(result, Ok(Answer::Settled { late: true }));
            let receipt = result.map(|_| Receipt { late }).map_err(failed);
            for sender in senders {
                let _ = sender.send(receipt.clone());
            }
            self.wake_room = true;
        }
    }

    fn called(&mut self, shared: &Arc<Shared>, call: client::Call) {
        let id = call.id;
        let taken = match self.routes.get(&call.offer).map(|route| &route.to) {
            Some(To::Responder(queue)) => queue.try_push(Call::new(shared.clone(), call)).is_ok(),
            _ => false,
        };
        if !taken {
            self.session.fail(id, Code::BUSY, "the responder's queue is full");
        }
    }

    fn questioned(&mut self, shared: &Arc<Shared>, question: client::Question) {
        let id = question.id;
        let taken = match self.routes.get(&question.offer).map(|route| &route.to) {
            Some(To::Authorizer(queue)) => {
                queue.try_push(Question::new(shared.clone(), question)).is_ok()
            }
            _ => false,
        };
        if !taken {
            self.session.answer(id, false, Duration::ZERO);
        }
    }

    fn connection_event(&mut self, event: client::Event) {
        use client::Event as E;
        let event = match event {
            E::Live(live) => {
                let resumed = live.resumed;
                self.status.live(*live);
                self.last_cause = None;
                if let Some(first) = self.first.take() {
                    let _ = first.send(Ok(()));
                }
                Event::Live { resumed }
            }
            E::Draining { renew_in } => Event::Draining { renew_in },
            E::Waiting { retry_in, cause } => {
                let cause = failed(cause);
                self.last_cause = Some(cause.clone());
                Event::Waiting { retry_in, cause }
            }
            E::Expiring { expires_ms } => Event::Expiring { expires_ms },
            E::Closed(failure) => {
                let error = failed(failure);
                self.waiters.close(&error, self.status.session != 0);
                self.wake_room = true;
                self.wake_driver = true;
                if let Some(first) = self.first.take() {
                    let _ = first.send(Err(error.clone()));
                }
                Event::Closed(error)
            }
            _ => return,
        };
        let closed = matches!(event, Event::Closed(_));
        for listener in &self.listeners {
            listener.push_newest(event.clone());
            if closed {
                listener.end(None);
            }
        }
    }
}
