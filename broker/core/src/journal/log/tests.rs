//! One topic's runs: pages, the floor, what a crash leaves.

use std::time::Duration;

use proptest::prelude::*;

use super::super::run::tests::run;
use super::*;

fn log(retention: Retention) -> Log {
    Log::new(retention)
}

#[test]
fn a_count_keeps_at_least_that_many_and_bytes_at_most_that_many() {
    let mut counted = log(Retention { count: Some(3), ..Retention::DEFAULT });
    for from in [1, 3, 5] {
        counted.push(run(from, &[1, 1]), Instant::now(), from);
    }
    assert!(counted.is_over() && counted.pop().is_some());
    assert!(!counted.is_over(), "four are left, two would be too few");
    assert_eq!(counted.floor(), 3);
    let mut sized = log(Retention { bytes: 10, ..Retention::DEFAULT });
    sized.push(run(1, &[500]), Instant::now(), 1);
    assert!(!sized.is_over(), "the newest stays");
    sized.push(run(2, &[500]), Instant::now(), 2);
    assert!(sized.is_over());
}

#[test]
fn a_lost_tail_is_a_hole_until_the_floor_passes_it() {
    let mut log = log(Retention::DEFAULT);
    log.push(run(1, &[1, 1]), Instant::now(), 1);
    log.given = 7;
    let hole = Hole { from: 3, to: 7 };
    assert_eq!((log.lose_tail(), log.lose_tail(), log.next()), (Some(hole), None, 8));
    log.push(run(8, &[1]), Instant::now(), 2);
    assert_eq!(log.holes(), [hole]);
    assert!(log.pop().is_some());
    assert_eq!((log.floor(), log.holes()), (3, vec![hole]));
    assert!(log.pop().is_some());
    assert_eq!((log.floor(), log.holes()), (9, vec![]));
    log.restart(4);
    assert_eq!((log.floor(), log.next(), log.epoch), (9, 9, Some(4)));
}

proptest! {
    #[test]
    fn a_page_agrees_with_reading_everything(
        appends in prop::collection::vec(
            (0u64..3, prop::collection::vec(0usize..150, 1..5)), 0..12
        ),
        pops in 0usize..6, kind in 0u8..3, at in 0u64..60,
        max_bytes in 0usize..800, max_count in 0u32..20,
    ) {
        let mut log = log(Retention::DEFAULT);
        for (skip, bodies) in &appends {
            log.push(run(log.next() + skip, bodies), Instant::now(), log.next());
        }
        (0..pops).for_each(|_| { log.pop(); });
        let all: Vec<_> = log.runs.iter().flat_map(|kept| kept.run.frames()).collect();
        let (start, first) = match kind {
            0 => (Start::Offset(at), all.iter().position(|f| f.offset >= at)),
            1 => {
                let last = u32::try_from(at).expect("small");
                (Start::Last(last), Some(all.len().saturating_sub(last as usize)))
            }
            _ => {
                let ms = 1000 + at * 7;
                (Start::Since(ms), all.iter().position(|f| f.time_ms >= ms))
            }
        };
        let mut expected = all[first.unwrap_or(all.len())..].to_vec();
        expected.truncate(max_count as usize);
        let (from, runs) = log.page(start, usize::MAX, max_count);
        let got: Vec<_> = runs.iter().flat_map(|run| run.frames()).collect();
        prop_assert!(got.first().is_none_or(|frame| frame.offset >= from));
        prop_assert_eq!(&got, &expected);
        if let (Some(frame), 1 | 2) = (expected.first(), kind) {
            prop_assert_eq!(from, frame.offset);
        }
        let (_, runs) = log.page(start, max_bytes, max_count);
        let cut: Vec<_> = runs.iter().flat_map(|run| run.frames()).collect();
        let bytes: usize = runs.iter().map(|run| run.bytes).sum();
        prop_assert!(cut.len() == 1 || bytes <= max_bytes || expected.is_empty());
        prop_assert_eq!(cut.is_empty(), expected.is_empty());
        prop_assert_eq!(&expected[..cut.len()], &cut[..]);
        if let Some(following) = expected.get(cut.len()) {
            let body = following.body.as_ref().map_or(0, bytes::Bytes::len);
            let size = following.head.len() + body;
            prop_assert!(bytes + size > max_bytes, "the page is as full as it may be");
        }
    }
}

#[test]
fn an_age_that_no_clock_reaches_never_expires() {
    let mut log = log(Retention { age: Duration::MAX, ..Retention::DEFAULT });
    assert_eq!(log.expires(), None);
    log.push(run(1, &[1]), Instant::now(), 1);
    assert_eq!(log.expires(), None);
}
