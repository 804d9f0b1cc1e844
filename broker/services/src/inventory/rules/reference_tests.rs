//! Whatever happens to stock, none is sold twice and none is lost.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn key(n: usize) -> Key {
    Key { product_id: format!("p{n}"), location: "bangkok".to_owned(), ..Key::default() }
}

fn line(n: usize, quantity: i64) -> Line {
    Line { key: key(n), quantity }
}

fn at(seconds: u64) -> Moment {
    Moment::from_ms(1_000_000_000).after(Duration::from_secs(seconds))
}

fn shop(on_hand: i64) -> Shop {
    let mut shop = Shop::default();
    for n in 0..3 {
        shop.adjust(&key(n), on_hand).unwrap();
    }
    shop
}

#[test]
fn a_customers_second_request_takes_the_place_of_the_first() {
    let mut shop = shop(5);
    let id = |id: &str| {
        let id = id.to_owned();
        move |_: &Key| id.clone()
    };
    shop.reserve("u", &[line(0, 4)], at(0), id("first")).unwrap();
    shop.reserve("u", &[line(0, 5)], at(1), id("second")).unwrap();
    assert_eq!(shop.levels[&key(0)].available(), 0);
    assert_eq!(shop.holds["first"].status, HoldStatus::Released);
    let other = shop.reserve("v", &[line(0, 1)], at(2), id("third"));
    assert_eq!(other, Err(Unreserved::Short(key(0), 0)));
}

#[test]
fn a_request_of_several_lines_is_held_whole_or_not_at_all() {
    let mut shop = shop(5);
    let before = shop.clone();
    let lines = [line(0, 5), line(1, 3), line(1, 3)];
    let short = shop.reserve("u", &lines, at(0), |key| key.product_id.clone());
    assert_eq!(short, Err(Unreserved::Short(key(1), 5)));
    assert_eq!(shop, before);
}

#[test]
fn a_request_finds_what_others_held_too_long() {
    let mut shop = shop(5);
    shop.reserve("u", &[line(0, 5)], at(0), |_| "old".to_owned()).unwrap();
    assert!(shop.reserve("v", &[line(0, 1)], at(899), |_| "x".to_owned()).is_err());
    assert!(shop.reserve("v", &[line(0, 5)], at(900), |_| "new".to_owned()).is_ok());
    assert_eq!(shop.holds["old"].status, HoldStatus::Expired);
}

#[derive(Clone, Debug)]
enum Deed {
    Reserve(usize, Vec<(usize, i64)>),
    Step(prop::sample::Index, Event),
    Sweep,
    Adjust(usize, i64),
    Pause(u64),
}

fn deed() -> impl Strategy<Value = Deed> {
    let event = prop_oneof![
        Just(Event::Extend),
        Just(Event::PaymentStarted),
        Just(Event::PaymentFailed),
        "[ab]".prop_map(Event::Commit),
        Just(Event::Release),
        Just(Event::Expire),
    ];
    prop_oneof![
        4 => (0usize..4, prop::collection::vec((0usize..3, -1i64..6), 1..4))
            .prop_map(|(customer, lines)| Deed::Reserve(customer, lines)),
        4 => (any::<prop::sample::Index>(), event).prop_map(|(at, event)| Deed::Step(at, event)),
        1 => Just(Deed::Sweep),
        1 => (0usize..3, -6i64..8).prop_map(|(n, delta)| Deed::Adjust(n, delta)),
        2 => (1u64..1_200).prop_map(Deed::Pause),
    ]
}

proptest! {
    #[test]
    fn no_stock_is_sold_twice_and_none_is_lost(deeds in prop::collection::vec(deed(), 1..120)) {
        let (mut shop, mut now, mut made) = (shop(10), 0, 0);
        let mut came = [10_i64; 3];
        for deed in deeds {
            let before = shop.clone();
            match deed {
                Deed::Pause(seconds) => now += seconds,
                Deed::Sweep => {
                    shop.sweep(at(now));
                    prop_assert!(shop.sweep(at(now)).is_empty(), "a second sweep finds nothing");
                }
                Deed::Adjust(n, delta) => {
                    came[n] += if shop.adjust(&key(n), delta).is_ok() { delta } else { 0 };
                }
                Deed::Step(index, event) => {
                    let ids: Vec<String> = shop.holds.keys().cloned().collect();
                    if !ids.is_empty() {
                        let id: &String = index.get(&ids);
                        if shop.step(id, &event, at(now)).is_err() {
                            prop_assert_eq!(&shop, &before);
                        }
                    }
                }
                Deed::Reserve(customer, lines) => {
                    let lines: Vec<_> = lines.into_iter().map(|(n, q)| line(n, q)).collect();
                    let mut swept = before.clone();
                    swept.sweep(at(now));
                    let name = |_: &Key| { made += 1; format!("r{made:04}") };
                    let result = shop.reserve(&customer.to_string(), &lines, at(now), name);
                    match result {
                        Ok(ids) => prop_assert!(ids.len() <= lines.len()),
                        Err(Unreserved::Refused(_)) => prop_assert_eq!(&shop, &before),
                        Err(Unreserved::Short(..)) => prop_assert_eq!(&shop, &swept),
                    }
                }
            }
            for (n, came) in came.iter().enumerate() {
                let (key, level) = (key(n), shop.levels[&key(n)]);
                let sold: i64 = shop.holds.values()
                    .filter(|hold| hold.key == key && hold.status == HoldStatus::Committed)
                    .map(|hold| hold.quantity)
                    .sum();
                prop_assert_eq!(level.reserved, shop.held(&key), "what is held is counted");
                prop_assert!(0 <= level.reserved && level.reserved <= level.on_hand);
                prop_assert_eq!(level.on_hand + sold, *came, "what came is there or sold");
                prop_assert!(level.version >= before.levels[&key].version);
            }
        }
    }
}
