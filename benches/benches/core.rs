//! What one shard's work costs: fan-out, outboxes, tries and dedupe, without any transport.

mod shard;

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sampan_core::class::Table;
use sampan_core::dedupe::{Dedupe, Limits};
use sampan_core::trie::Trie;
use sampan_protocol::{Pattern, Topic};
use shard::World;

const PAYLOAD: Bytes = Bytes::from_static(&[b'.'; 128]);

/// Times `publishes` messages in one pass of a shard. `order` is what the publisher's frames and the
/// queueing for all subscribers cost, `transfer` what handing the chunks over costs.
fn passes(subscribers: usize, publishes: u64, part: Part, passes: u64) -> Duration {
    let mut world = World::new(subscribers);
    let mut spent = Duration::ZERO;
    for _ in 0..passes {
        let frames: Vec<_> = (0..publishes).map(|_| world.frame(PAYLOAD)).collect();
        let began = Instant::now();
        for frame in frames {
            world.shard.frame(world.now, world.publisher, frame);
        }
        world.shard.settle(world.now);
        let ordered = began.elapsed();
        let began = Instant::now();
        world.take(&mut |_, chunk| {
            black_box(chunk);
        });
        spent += match part {
            Part::Push => ordered,
            Part::Transfer => began.elapsed(),
        };
    }
    spent
}

#[derive(Clone, Copy)]
enum Part {
    Push,
    Transfer,
}

fn fan_out(c: &mut Criterion) {
    for (name, part) in [("outbox_push", Part::Push), ("outbox_transfer", Part::Transfer)] {
        let mut group = c.benchmark_group(format!("fan_out/{name}"));
        for (subscribers, publishes) in [(1, 1), (100, 1), (10_000, 1), (1, 128), (100, 128)] {
            group.throughput(Throughput::Elements(subscribers as u64 * publishes));
            let id = BenchmarkId::from_parameter(format!("{publishes}_to_{subscribers}"));
            group.bench_function(id, |b| {
                b.iter_custom(|rounds| passes(subscribers, publishes, part, rounds));
            });
        }
        group.finish();
    }
}

fn tries(c: &mut Criterion) {
    let mut group = c.benchmark_group("trie");
    let (mut patterns, mut topics) = (Trie::<u64>::new(), Trie::<u64>::new());
    for n in 0..10_000 {
        *topics.insert(&format!("chat.conversation.{n}")) = n;
        *patterns.insert(&format!("chat.*.{n}")) = n;
    }
    for wide in ["chat.>", "*.conversation.*", ">"] {
        *patterns.insert(wide) = 1;
    }
    let topic = Topic::parse("chat.conversation.4711").expect("valid");
    group.bench_function("exact_of_10k", |b| {
        b.iter(|| topics.exact(black_box(topic.as_str())));
    });
    group.bench_function("patterns_matching_topic", |b| {
        b.iter(|| {
            let mut sum = 0;
            patterns.matching(black_box(&topic), &mut |n| sum += n);
            sum
        });
    });
    let pattern = Pattern::parse("chat.*.4711").expect("valid");
    group.bench_function("topics_within_pattern", |b| {
        b.iter(|| {
            let mut sum = 0;
            topics.within(black_box(&pattern), &mut |_, n| sum += n);
            sum
        });
    });
    let table = Table::shipped();
    group.bench_function("class_of_topic", |b| b.iter(|| table.rule(black_box(&topic)).class));
    group.finish();
}

fn dedupe(c: &mut Criterion) {
    let mut group = c.benchmark_group("dedupe");
    let (now, window) = (Instant::now(), Duration::from_secs(300));
    group.bench_function("next_sequence", |b| {
        let mut dedupe = Dedupe::new(window, Limits::default());
        let mut sequence = 0;
        b.iter(|| {
            sequence += 1;
            let seen = dedupe.check(now, 7, sequence);
            dedupe.record(now, 7, sequence, sequence);
            seen.is_some()
        });
    });
    group.bench_function("repeated_sequence", |b| {
        let mut dedupe = Dedupe::new(window, Limits::default());
        // Holes between the runs, as one producer of many topics leaves them.
        (0..1000).for_each(|n| dedupe.record(now, 7, n * 3 + 1, n + 1));
        b.iter(|| dedupe.check(now, 7, black_box(1501)).is_some());
    });
    group.bench_function("idempotency_key", |b| {
        let mut dedupe = Dedupe::new(window, Limits::default());
        let mut offset = 0;
        b.iter(|| {
            offset += 1;
            let key = format!("order-{offset}");
            let seen = dedupe.check_key(now, &key);
            dedupe.record_key(now, key.as_str(), offset);
            seen.is_some()
        });
    });
    group.finish();
}

criterion_group!(benches, fan_out, tries, dedupe);
criterion_main!(benches);
