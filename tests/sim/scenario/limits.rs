//! Publishers that are held to a rate, and are cut off with much of what they sent unanswered.

use std::sync::Arc;
use std::time::Duration;

use sampan_core::bucket::Rate;
use sampan_core::config::Rates;
use sampan_protocol::Code;

use super::crowd::{publishers, readers, topics};
use super::replay::play;
use crate::app::Publishing;
use crate::broker::Plan;
use crate::history::What;
use crate::net::Weather;

#[test]
fn a_rate_is_kept_and_a_refusal_is_the_truth_even_for_what_was_sent_before() {
    let name = "a_rate_is_kept_and_a_refusal_is_the_truth_even_for_what_was_sent_before";
    let plan = |_| {
        let mut plan = Plan::new();
        let mut config = (*plan.config).clone();
        let rate = Rate { per_s: 20, burst: 20 };
        let rates = Rates { customer: rate, agent: rate, admin: rate, service: rate };
        config.limits.connection_rate = rates;
        plan.config = Arc::new(config);
        plan
    };
    play(name, &[91, 92], plan, |world| {
        let weather = Weather::lossy(10_000);
        let orders = topics("order", 3);
        readers(world, 10, &orders, &weather);
        let seats = publishers(world, 5, &Publishing::to(&orders, 400, 60), &weather);
        world.run(Duration::from_secs(6));
        for seat in &seats {
            // Answers are lost first, so that what arrives is not known to have arrived.
            world.net.way(*seat, crate::net::To::Client).cut = true;
        }
        world.run(Duration::from_secs(45));
        seats.iter().for_each(|seat| world.net.cut(*seat, false));
        world.quiesce(Duration::from_secs(120));
        let limited = world.history.count(
            |what| matches!(what, What::Refused { code, .. } if *code == Code::RATE_LIMITED),
        );
        assert!(limited > 0, "nobody was held to the rate");
    });
}
