//! Checkpoints late, twice, shuffled and wrong.

use proptest::prelude::*;

use super::*;

fn at(minutes: i64) -> Moment {
    Moment::from_ms(1_000_000_000 + minutes * 60_000)
}

fn order() -> Order {
    Order {
        id: "o".to_owned(),
        customer_id: "u".to_owned(),
        status: Status::Shipped,
        status_at: at(0),
        version: 3,
        carrier: Some("kerry".to_owned()),
        tracking_number: Some("TH1".to_owned()),
        created_at: at(-60),
        ..Order::default()
    }
}

fn point(status: Status, minutes: i64) -> Checkpoint {
    Checkpoint {
        source: Source::Poll,
        carrier: "kerry".to_owned(),
        tracking_number: "TH1".to_owned(),
        raw_code: status.name().to_owned(),
        status: Some(status),
        event_time: at(minutes),
        observed_at: at(10_000),
        location: None,
        estimated_delivery: None,
        notes: Some("note".to_owned()),
    }
}

/// The statuses that the customer is told, and how the order stands.
fn seen(order: &Order, points: Vec<Checkpoint>) -> (Vec<Status>, Order) {
    let (mut told, mut last) = (Vec::new(), order.clone());
    for (_, outcome) in merge(order, points, &BTreeSet::new()) {
        match outcome {
            Outcome::Changed(next, update) => {
                assert_eq!(update.previous_status, last.status);
                assert_eq!(update.version, last.version + 1);
                told.push(update.current_status);
                last = next;
            }
            Outcome::Same(next) => last = next,
            _ => {}
        }
    }
    (told, last)
}

#[test]
fn every_checkpoint_between_two_polls_is_told_with_the_carriers_time() {
    let points = vec![
        point(Status::Delivered, 300),
        point(Status::InTransit, 100),
        point(Status::OutForDelivery, 200),
    ];
    let (told, last) = seen(&order(), points.clone());
    assert_eq!(told, [Status::InTransit, Status::OutForDelivery, Status::Delivered]);
    assert_eq!((last.status_at, last.version), (at(300), 6));
    let Outcome::Changed(_, update) = apply(&order(), &points[1]) else { panic!("no change") };
    assert_eq!((update.timestamp, update.observed_at), (at(100), at(10_000)));
    assert_eq!(update.tracking_number.as_deref(), Some("TH1"));
    assert_eq!(update.notes.as_deref(), Some("note"));
    assert_eq!(update.event_id, id_of(&["order", "o", "4"]));
}

#[test]
fn the_same_answer_of_the_next_poll_changes_nothing() {
    let points = vec![point(Status::InTransit, 100)];
    let known: BTreeSet<_> = points.iter().map(fingerprint).collect();
    let again = merge(&order(), points.clone(), &known);
    assert_eq!(again[0].1, Outcome::Duplicate);
}

#[test]
fn two_places_of_one_moment_are_two_checkpoints_and_two_ids_are_never_joined() {
    let at_place = |notes: &str| {
        fingerprint(&Checkpoint { notes: Some(notes.to_owned()), ..point(Status::InTransit, 1) })
    };
    assert_ne!(at_place("Bangkok"), at_place("Chiang Mai"));
    assert_ne!(id_of(&["order", "o", "11"]), id_of(&["order", "o1", "1"]));
}

#[test]
fn a_checkpoint_that_comes_late_is_kept_and_not_told() {
    let (_, out) = seen(&order(), vec![point(Status::OutForDelivery, 200)]);
    assert_eq!(apply(&out, &point(Status::InTransit, 100)), Outcome::Late);
    assert_eq!(apply(&out, &point(Status::InTransit, 200)), Outcome::Late);
    assert!(matches!(apply(&out, &point(Status::Delivered, 200)), Outcome::Changed(..)));
}

#[test]
fn what_is_final_is_left_by_a_correction_only() {
    let (_, delivered) = seen(&order(), vec![point(Status::Delivered, 10)]);
    assert_eq!(apply(&delivered, &point(Status::InTransit, 20)), Outcome::Late);
    for correction in [Status::Exception, Status::Returning] {
        assert!(matches!(apply(&delivered, &point(correction, 20)), Outcome::Changed(..)));
    }
    let admin = Checkpoint { source: Source::Admin, ..point(Status::Processing, 20) };
    assert!(matches!(apply(&delivered, &admin), Outcome::Changed(..)));
    // A month later the number is another parcel's.
    let month = 30 * 24 * 60;
    let seen_late =
        |minutes| Checkpoint { observed_at: at(100_000), ..point(Status::Exception, minutes) };
    assert!(matches!(apply(&delivered, &seen_late(10 + month)), Outcome::Changed(..)));
    assert_eq!(apply(&delivered, &seen_late(11 + month)), Outcome::Late);
    let word = Checkpoint { source: Source::Admin, ..seen_late(11 + month) };
    assert!(matches!(apply(&delivered, &word), Outcome::Changed(..)));
    let cancelled = Order { status: Status::Cancelled, ..order() };
    assert_eq!(apply(&cancelled, &point(Status::InTransit, 20)), Outcome::Late);
}

#[test]
fn a_number_that_was_used_before_brings_nothing_of_its_past() {
    assert_eq!(apply(&order(), &point(Status::Delivered, -61)), Outcome::Foreign);
}

#[test]
fn an_unknown_code_keeps_the_status() {
    let odd = Checkpoint { status: None, raw_code: "??".to_owned(), ..point(Status::Shipped, 5) };
    assert_eq!(apply(&order(), &odd), Outcome::Unknown);
}

#[test]
fn a_carriers_wrong_clock_does_not_stop_the_order() {
    let ahead = Checkpoint { observed_at: at(50), ..point(Status::InTransit, 9_000) };
    let (_, moved) = seen(&order(), vec![ahead]);
    assert_eq!(moved.status_at, at(50));
    let next = Checkpoint { observed_at: at(70), ..point(Status::Delivered, 60) };
    assert!(matches!(apply(&moved, &next), Outcome::Changed(..)));
}

#[test]
fn fields_of_a_fingerprint_do_not_run_into_one_another() {
    let named = |carrier: &str, number: &str| Checkpoint {
        carrier: carrier.to_owned(),
        tracking_number: number.to_owned(),
        ..point(Status::Shipped, 1)
    };
    assert_ne!(fingerprint(&named("ab", "c")), fingerprint(&named("a", "bc")));
    let webhook = Checkpoint { source: Source::Webhook, observed_at: at(1), ..named("a", "b") };
    assert_eq!(fingerprint(&named("a", "b")), fingerprint(&webhook));
}

#[test]
fn an_update_has_the_names_of_the_requirements() {
    let Outcome::Changed(_, update) = apply(&order(), &point(Status::InTransit, 1)) else {
        panic!("no change")
    };
    let json = serde_json::to_value(update).unwrap();
    for name in ["order_id", "customer_id", "previous_status", "current_status", "timestamp"] {
        assert!(json.get(name).is_some(), "{name}");
    }
    for status in Status::ALL {
        assert_eq!(serde_json::to_value(status).unwrap(), status.name());
    }
}

fn route() -> impl Strategy<Value = Vec<Checkpoint>> {
    let stages = [Status::InTransit, Status::OutForDelivery, Status::DeliveryAttempted];
    prop::collection::vec(0..stages.len(), 1..12).prop_map(move |picks| {
        let mut points: Vec<_> =
            (1..).zip(&picks).map(|(n, &pick)| point(stages[pick], n * 10)).collect();
        points.push(point(Status::Delivered, 1_000));
        points
    })
}

proptest! {
    #[test]
    fn shuffled_and_doubled_batches_end_where_the_carrier_does(
        points in route(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        batch in 1usize..5,
    ) {
        let mut sent: Vec<_> = picks.iter().map(|pick| pick.get(&points).clone()).collect();
        sent.extend(points.clone());
        let (mut order, mut known, mut told) = (order(), BTreeSet::new(), Vec::new());
        for points in sent.chunks(batch) {
            for (point, outcome) in merge(&order.clone(), points.to_vec(), &known.clone()) {
                known.insert(fingerprint(&point));
                match outcome {
                    Outcome::Changed(next, update) => {
                        told.push((update.timestamp, update.current_status));
                        order = next;
                    }
                    Outcome::Same(next) => order = next,
                    _ => {}
                }
            }
        }
        prop_assert_eq!(order.status, Status::Delivered);
        prop_assert!(told.is_sorted(), "in the order of the carrier's time: {:?}", told);
        prop_assert!(told.windows(2).all(|two| two[0].1 != two[1].1), "no status twice in a row");
        prop_assert_eq!(order.version, 3 + told.len() as u64);
    }
}
