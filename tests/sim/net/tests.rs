//! What ways and the network do to datagrams.

use std::time::{Duration, Instant};

use super::{BROKER, Fate, Net, Packet, Pipe, To, Way, Weather};
use crate::chance::Chance;

fn fates(weather: &Weather, sizes: impl Iterator<Item = usize>) -> Vec<Fate> {
    let now = Instant::now();
    let mut way = Way::new(weather.clone(), Chance::new(7));
    sizes.map(|bytes| way.fate(now, bytes)).collect()
}

fn lost(fates: &[Fate], why: &'static str) -> usize {
    fates.iter().filter(|fate| **fate == Fate::Lost(why)).count()
}

#[test]
fn what_happens_depends_on_the_ordinal_and_not_on_the_size() {
    let (small, large) = ([100; 500], [1400; 500]);
    let decisions = |sizes: [usize; 500]| -> Vec<_> {
        let kind = |fate: Fate| match fate {
            Fate::Lost(why) => (why, false, false),
            Fate::Arrives { again, flip, .. } => ("", again.is_some(), flip.is_some()),
        };
        fates(&Weather::storm(), sizes.into_iter()).into_iter().map(kind).collect()
    };
    assert_eq!(decisions(small), decisions(large));
}

#[test]
fn troubles_come_about_as_often_as_the_weather_says() {
    let fates = fates(&Weather::storm(), (0..20_000).map(|_| 1000));
    assert!((400..800).contains(&lost(&fates, "lost")), "{} of 600", lost(&fates, "lost"));
    let arrived = |of: fn(&Fate) -> bool| fates.iter().filter(|fate| of(fate)).count();
    let doubled = arrived(|fate| matches!(fate, Fate::Arrives { again: Some(_), .. }));
    let flipped = arrived(|fate| matches!(fate, Fate::Arrives { flip: Some(_), .. }));
    assert!((400..800).contains(&doubled), "{doubled} of 582");
    assert!((250..550).contains(&flipped), "{flipped} of 388");
}

#[test]
fn order_is_kept_but_for_those_that_are_late() {
    let late = |reorder_ppm| {
        let weather = Weather { reorder_ppm, ..Weather::lossy(0) };
        let fates = fates(&weather, (0..2000).map(|_| 1000));
        let times = fates.iter().filter_map(|fate| match fate {
            Fate::Arrives { at, .. } => Some(*at),
            Fate::Lost(_) => None,
        });
        let times: Vec<Instant> = times.collect();
        times.windows(2).filter(|pair| pair[1] < pair[0]).count()
    };
    assert_eq!(late(0), 0);
    assert!(late(50_000) > 20);
}

#[test]
fn a_pipe_passes_its_rate_and_drops_what_its_queue_does_not_hold() {
    let pipe = Pipe { bytes_per_s: 10_000, queue_bytes: 5_000 };
    let weather = Weather { pipe: Some(pipe), ..Weather::clean() };
    let fates = fates(&weather, (0..20).map(|_| 1000));
    assert_eq!(lost(&fates, "full"), 14, "five wait, and one is under way");
    let Fate::Arrives { at, .. } = fates[5] else { panic!("{:?}", fates[5]) };
    let Fate::Arrives { at: first, .. } = fates[0] else { panic!("{:?}", fates[0]) };
    let apart = at - first;
    let half_a_second = Duration::from_millis(497)..=Duration::from_millis(503);
    assert!(half_a_second.contains(&apart), "{apart:?}");
}

#[test]
fn nothing_passes_a_cut_way_and_nobody_lives_at_an_address_that_was_left() {
    let (now, later) = (Instant::now(), Instant::now() + Duration::from_secs(1));
    let mut net = Net::new(1);
    let seat = net.connect(&Weather::clean());
    let home = net.paths[seat as usize].address;
    let packet = |from, to| Packet { from, to, ecn: None, payload: vec![1, 2, 3] };
    net.way(seat, To::Client).cut = true;
    net.send(now, packet(BROKER, home));
    net.send(now, packet(home, BROKER));
    let (arrived, to) = net.due(later).expect("the other way is open");
    assert_eq!((arrived.to, to), (BROKER, None));
    assert!(net.due(later).is_none());
    net.cut(seat, false);
    net.send(now, packet(BROKER, home));
    net.rebind(seat);
    net.send(now, packet(BROKER, home));
    assert!(net.due(later).is_none(), "on its way to the old address, or sent there");
    assert_eq!(net.counters.dropped, 3);
    let there = net.paths[seat as usize].address;
    net.send(now, packet(BROKER, there));
    assert_eq!(net.due(later).and_then(|(_, to)| to), Some(seat));
}
