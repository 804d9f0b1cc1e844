//! Authorizers under bad weather: nobody reads what is not theirs, and everybody what is.

use std::time::Duration;

use sampan_protocol::Code;
use sampan_protocol::control::Start;

use super::crowd::{join, topics};
use super::replay::play;
use crate::app::{Authorizer, Publisher, Publishing, Reader};
use crate::broker::Plan;
use crate::history::What;
use crate::net::Weather;
use crate::world::Join;

/// Customers, each with an order of its own name.
const CUSTOMERS: usize = 20;

#[test]
fn customers_read_their_own_orders_and_nobody_elses() {
    let name = "customers_read_their_own_orders_and_nobody_elses";
    let plan = |_| Plan { shards: 3, ..Plan::new() };
    play(name, &[81, 82], plan, |world| {
        let weather = Weather::storm();
        let authorizers: Vec<u32> =
            (0..2).map(|_| join(world, &weather, vec![Authorizer::task("order.*")])).collect();
        world.run(Duration::from_secs(4));
        let orders = topics("order", CUSTOMERS);
        for number in 0..CUSTOMERS {
            let other = (number + 1) % CUSTOMERS;
            let later = Duration::from_secs(10);
            let tasks = vec![
                Reader::task(orders[number].as_str(), Start::Now),
                Reader::task(orders[other].as_str(), Start::Now),
                Reader::later(orders[other].as_str(), Start::Now, later, None),
            ];
            let user = number.to_string();
            let weather = weather.clone();
            world.join(Join { user, role: "customer", weather, ..Join::service(tasks) });
        }
        let plan = Publishing::to(&orders, 100, 300);
        join(world, &weather, vec![Publisher::task(plan)]);
        world.run(Duration::from_secs(12));
        world.net.cut(authorizers[0], true);
        world.crash();
        world.run(Duration::from_secs(1));
        world.restart();
        world.run(Duration::from_secs(45));
        world.net.cut(authorizers[0], false);
        world.quiesce(Duration::from_secs(120));
        let (readers, topics) = (&world.history.readers, &world.history.topics);
        let own = |reader: u32| {
            let seat = usize::try_from(readers[reader as usize].seat).expect("few");
            &orders[seat - authorizers.len()]
        };
        let (mut joined, mut refused) = (0, 0);
        for record in &world.history.records {
            match &record.what {
                What::Message { reader, topic, .. } => {
                    assert_eq!(&topics[*topic as usize], own(*reader), "another's order");
                }
                What::Joined { reader, .. } => {
                    let pattern = readers[*reader as usize].pattern.as_str();
                    assert_eq!(pattern, own(*reader).as_str(), "another's order");
                    joined += 1;
                }
                What::Ended { code, .. } => {
                    assert_eq!(*code, Code::NOT_AUTHORIZED);
                    refused += 1;
                }
                _ => {}
            }
        }
        // That those who joined got everything is what the checker checks. One whose authorizers stay
        // away for too long after the crash is refused later on.
        assert_eq!(joined, CUSTOMERS);
        assert!(refused >= 2 * CUSTOMERS, "{refused} refusals");
    });
}
