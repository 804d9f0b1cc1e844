//! The store against the reference that is small enough to be seen to be right, deed by deed.

use std::time::Duration;

use sampan_services::Moment;
use sampan_services::Refusal;
use sampan_services::inventory::model::Key;
use sampan_services::inventory::rules::hold::{Event, Line};
use sampan_services::inventory::rules::reference::{self, Unreserved};
use sampan_services::inventory::store::{Error, Outcome};
use sampan_tests::chance::Chance;
use sampan_tests::proof::Proof;

use super::{Shop, bangkok, is_full, line};
use crate::sites::Site;

const PRODUCTS: [&str; 3] = ["a", "b", "c"];
/// All pauses are multiples of this many seconds, so that the time that the test itself takes is no
/// matter.
const TICK: i64 = 300;

/// The reference with its reservations: there a hold is a line, and its id has the line's key.
#[derive(Clone, Default)]
struct Model {
    shop: reference::Shop,
    now: i64,
}

impl Model {
    fn now(&self) -> Moment {
        let start = Moment::from_ms(1_000_000_000_000);
        match u64::try_from(self.now) {
            Ok(later) => start.after(Duration::from_secs(later)),
            Err(_) => start.before(Duration::from_secs(self.now.unsigned_abs())),
        }
    }

    /// Holds lines under the id that the store gave, whose keys in the model end in a mark of order.
    fn reserve(&mut self, customer: &str, lines: &[Line], id: &str) -> Result<(), Unreserved> {
        let name = |key: &Key| format!("{id}/{}", key.product_id);
        self.shop.reserve(customer, lines, self.now(), name).map(|_| ())
    }

    fn ids(&self, reservation: &str) -> Vec<String> {
        let start = format!("{reservation}/");
        self.shop.holds.keys().filter(|id| id.starts_with(&start)).cloned().collect()
    }

    /// A step of all lines or none, where ended lines are no matter for what ends a reservation.
    fn step(&mut self, reservation: &str, event: &Event) -> Result<(), Refusal> {
        let (mut after, ids) = (self.shop.clone(), self.ids(reservation));
        let ends = matches!(event, Event::Release | Event::Expire);
        let is_live = |id: &String| self.shop.holds[id].status.is_live();
        let live: Vec<String> = ids.iter().filter(|id| is_live(id)).cloned().collect();
        for id in if ends && !live.is_empty() { live } else { ids } {
            after.step(&id, event, self.now())?;
        }
        self.shop = after;
        Ok(())
    }
}

async fn play(shop: &Shop, seed: u64, deeds: u32) {
    let (name, mut chance) = (shop.site.name, Chance::new(seed));
    let mut model = Model::default();
    let mut reservations: Vec<String> = Vec::new();
    // Each game has products of its own.
    let product = |n: usize| format!("{seed}-{}", PRODUCTS[n]);
    for n in 0..3 {
        shop.restock(&product(n), 10).await;
        model.shop.adjust(&bangkok(&product(n)), 10).expect("room");
    }
    for deed in 0..deeds {
        let at = format!("{name}, seed {seed}, deed {deed}");
        match chance.below(12) {
            0..=3 => {
                let customer = format!("{seed}-{}", chance.below(4));
                let mut lines = Vec::new();
                for _ in 0..=chance.below(3) {
                    let n = usize::try_from(chance.below(3)).expect("few");
                    let quantity = i64::try_from(chance.below(7)).expect("few") - 1;
                    lines.push(line(&product(n), quantity));
                }
                let answer = shop.reserve(&customer, &lines).await;
                let id = match &answer {
                    Ok(Outcome::Held(held)) => held.reservation_id.clone(),
                    _ => String::new(),
                };
                let expected = model.reserve(&customer, &lines, &id);
                if !matches!(expected, Err(Unreserved::Refused(_))) {
                    // The reference has ended all that was over, the store what was in its way.
                    shop.stock.sweep().await.expect(&at);
                }
                match (answer, expected) {
                    (Ok(Outcome::Held(_)), Ok(())) => reservations.push(id),
                    (
                        Ok(Outcome::Short { key, available }),
                        Err(Unreserved::Short(of, so_many)),
                    ) => assert_eq!((key, available), (of, so_many), "{at}"),
                    (Err(Error::Refused(why)), Err(Unreserved::Refused(as_said))) => {
                        assert_eq!(why, as_said, "{at}");
                    }
                    (answer, expected) => panic!("{at}: {answer:?}, not {expected:?}"),
                }
            }
            4..=7 if !reservations.is_empty() => {
                let id = chance.pick(&reservations).clone();
                let event = match chance.below(6) {
                    0 => Event::Extend,
                    1 => Event::PaymentStarted,
                    2 => Event::PaymentFailed,
                    3 => Event::Commit(chance.below(2).to_string()),
                    4 => Event::Release,
                    _ => Event::Expire,
                };
                let answer = shop.stock.step(&id, &event).await.map(|_| ());
                let expected = model.step(&id, &event);
                assert_eq!(answer.is_ok(), expected.is_ok(), "{at}: {event:?} {answer:?}");
            }
            8 => {
                let n = usize::try_from(chance.below(3)).expect("few");
                let by = i64::try_from(chance.below(14)).expect("few") - 6;
                let answer = shop.adjust(bangkok(&product(n)), by).await;
                let expected = model.shop.adjust(&bangkok(&product(n)), by);
                assert_eq!(answer.is_ok(), expected.is_ok(), "{at}: {answer:?}");
            }
            9 => {
                shop.stock.sweep().await.expect(&at);
                model.shop.sweep(model.now());
            }
            // Clocks go forward, and sometimes back.
            more => {
                let ticks = i64::try_from(chance.below(4)).expect("few");
                let ticks = if more == 11 && chance.below(3) == 0 { -ticks } else { ticks };
                shop.pass(ticks * TICK).await;
                model.now += ticks * TICK;
            }
        }
        agree(shop, &model, &reservations, &at).await;
    }
}

/// Whether store and model are the same.
async fn agree(shop: &Shop, model: &Model, reservations: &[String], at: &str) {
    for reservation in reservations {
        let stored = shop.stock.reservation(reservation).await.expect("read").expect("there");
        for line in stored.lines {
            let id = format!("{reservation}/{}", line.key.product_id);
            assert_eq!(line.status, model.shop.holds[&id].status, "{at}: {id}");
        }
    }
    for (key, expected) in &model.shop.levels {
        let stored = shop.level(&key.product_id).await;
        assert_eq!(stored, (expected.on_hand, expected.reserved), "{at}: {key:?}");
    }
}

async fn games(site: Site) {
    let proof = Proof::of("stock: model");
    let shop = Shop::open(site).await;
    for seed in 0..if is_full() { 300 } else { 6 } {
        play(&shop, seed, 60).await;
        proof.ran(60);
    }
    shop.check().await;
    let _ = proof.end(Ok(shop.site.name.to_owned()));
}

#[tokio::test]
async fn whatever_happens_sqlite_does_as_the_reference() {
    games(Site::sqlite()).await;
}

#[tokio::test]
async fn whatever_happens_postgres_does_as_the_reference() {
    games(Site::postgres()).await;
}
