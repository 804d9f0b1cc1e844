//! Groups across shards: workers, acks, retries, dead letters, restarts.

mod attempts;
mod joins;
mod letters;
mod places;
mod work;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sampan_protocol::attribute::{self, Tag};
use sampan_protocol::control::{self, Consume, Start};
use sampan_protocol::frame::{Header, Kind, flag};
use sampan_protocol::{AckLevel, Class, Code, Frame};

use super::{Client, World, of_kind, payloads, refusal};
use crate::class::{Retention, Rule, Table};
use crate::config::Config;
use crate::directory::owner;
use crate::grant::Role;
use crate::group::{Letter, Seek, Status};
use crate::journal;
use crate::shard::{LetterPage, Manage, Managed, Outcome, Which};

const ACK: u8 = 1;
const NAK: u8 = 2;
const RELEASE: u8 = 3;
const REJECT: u8 = 4;
const EXTEND: u8 = 5;

/// One job as a worker sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Job {
    topic_id: u64,
    epoch: u64,
    offset: u64,
    consumer: u64,
    attempt: u64,
    text: String,
}

fn jobs(frames: &[Frame]) -> Vec<Job> {
    let job = |frame: &&Frame| {
        let attributes = frame.attributes().expect("valid");
        Job {
            topic_id: frame.header.topic_id,
            epoch: attributes.epoch.expect("an epoch"),
            offset: frame.header.number,
            consumer: attributes.consumer.expect("a consumer"),
            attempt: attributes.attempt.expect("an attempt"),
            text: String::from_utf8(frame.body().to_vec()).expect("text"),
        }
    };
    of_kind(frames, Kind::Job).iter().map(job).collect()
}

fn texts(jobs: &[Job]) -> Vec<&str> {
    jobs.iter().map(|job| job.text.as_str()).collect()
}

/// Requests that SETTLED answers, with whether it says that they were late.
fn settled(frames: &[Frame]) -> Vec<(u64, bool)> {
    let runs = of_kind(frames, Kind::Settled).into_iter().flat_map(|frame| {
        let count = frame.attributes().expect("valid").count.unwrap_or(1);
        let (last, late) = (frame.header.number, frame.header.flags & flag::LATE != 0);
        (last + 1 - count..=last).map(move |number| (number, late))
    });
    runs.collect()
}

impl World {
    fn consume(&mut self, client: &mut Client, group: &str, pattern: &str, window: u32) -> u64 {
        let body = consume(group, pattern, window);
        self.ask(client, |number| control::encode(&body, number).expect("valid"))
    }

    fn settle(&mut self, client: &mut Client, job: &Job, flags: u8, more: &[(Tag, u64)]) -> u64 {
        self.ask(client, |number| settle(job, flags, more, number))
    }

    fn ack(&mut self, client: &mut Client, jobs: &[Job]) {
        for job in jobs {
            self.settle(client, job, ACK, &[]);
        }
    }

    fn pull(&mut self, client: &mut Client, consumer: u64, count: u64) {
        let mut attributes = BytesMut::new();
        attribute::put_number(&mut attributes, Tag::Count, count);
        let header = Header::new(Kind::Pull).number(consumer);
        self.send(client, header.to_frame(&attributes, &[]).expect("small"));
    }

    fn quit(&mut self, client: &mut Client, consumer: u64) {
        self.send(client, Header::new(Kind::Leave).number(consumer).bare());
    }

    /// Publishes these words to one topic.
    fn order(&mut self, texts: &str) {
        let mut publisher = self.client(0, "p", Role::Service);
        for text in texts.split(' ') {
            self.publish(&mut publisher, "order.1", text);
        }
    }

    /// A worker who has joined the group of orders, and what that has given it at first.
    fn billing(&mut self, shard: u8) -> (Client, Vec<Job>) {
        let mut worker = self.client(shard, "w", Role::Service);
        self.consume(&mut worker, "billing", "order.*", 10);
        self.sleep(SECOND);
        let jobs = self.jobs(&mut worker);
        (worker, jobs)
    }

    /// The jobs that wait for the client.
    fn jobs(&mut self, client: &mut Client) -> Vec<Job> {
        jobs(&self.receive(client))
    }

    /// What the group's shard says to an operator.
    fn manage(&mut self, group: &str, manage: Manage) -> Result<Managed, Code> {
        let group = group.parse().expect("a name");
        let host = owner(&group, u8::try_from(self.shards.len()).expect("few"));
        let id = self.managed.len() as u64 + 1;
        self.shards[usize::from(host)].manage(self.now, id, manage);
        self.sleep(Duration::from_millis(50));
        self.managed.remove(&id).expect("an answer")
    }

    fn status(&mut self, group: &str) -> Status {
        let name = group.parse().expect("a name");
        match self.manage(group, Manage::Groups(Some(name))) {
            Ok(Managed::Groups(mut list)) => list.remove(0),
            other => panic!("{other:?}"),
        }
    }

    fn letters(&mut self, group: &str) -> Vec<(u64, Letter)> {
        let name = group.parse().expect("a name");
        let list = Manage::Letters { group: name, after: None, max: 100 };
        match self.manage(group, list) {
            Ok(Managed::Letters(LetterPage { letters, more: false, .. })) => letters,
            other => panic!("{other:?}"),
        }
    }
}

/// What is answered when something was done for so many letters, and not for these.
fn each(count: u64, failed: &[(u64, Code)]) -> Result<Managed, Code> {
    Ok(Managed::Each(Outcome { count, failed: failed.to_vec(), more_failed: 0 }))
}

fn consume(group: &str, pattern: &str, window: u32) -> Consume {
    Consume {
        group: group.into(),
        pattern: pattern.into(),
        start: Start::Since(0),
        window,
        order: 0,
        ack_wait_ms: 0,
        attempts_max: 0,
    }
}

fn settle(job: &Job, flags: u8, more: &[(Tag, u64)], number: u64) -> Bytes {
    let mut attributes = BytesMut::new();
    let own = [(Tag::Consumer, job.consumer), (Tag::Epoch, job.epoch), (Tag::Sequence, number)];
    for (tag, value) in own.iter().chain(&[(Tag::Attempt, job.attempt)]).chain(more) {
        attribute::put_number(&mut attributes, *tag, *value);
    }
    let header = Header { flags, topic_id: job.topic_id, ..Header::new(Kind::Settle) };
    header.number(job.offset).to_frame(&attributes, &[]).expect("small")
}

/// Two shards whose journals take a while.
fn world() -> World {
    let delay = Duration::from_millis(1)..=Duration::from_millis(5);
    let faults = journal::Faults { delay, ..journal::Faults::default() };
    let (best, epoch) = (AckLevel::Synced, 1);
    let journal = journal::Config { best, epoch, faults, ..journal::Config::default() };
    World::with(2, Config::shipped(), journal)
}

const SECOND: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(5);

/// A broker whose `order.` topics keep two messages.
fn forgetful() -> World {
    let mut config = (*Config::shipped()).clone();
    let rule = Rule {
        retention: Retention { count: Some(2), ..Retention::default() },
        ..Rule::new("order.>".parse().expect("a pattern"), Class::Durable)
    };
    config.classes = Table::new(vec![rule]);
    let journal = journal::Config { best: AckLevel::Synced, ..journal::Config::default() };
    World::with(2, Arc::new(config), journal)
}
