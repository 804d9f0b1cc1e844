//! Grants, authorizers, rates and tokens.

use sampan_protocol::Code;
use sampan_protocol::control::{Action, Answer, Ask, Serve};

use super::*;
use crate::bucket::Rate;
use crate::config::{Limits, Rates};
use crate::grant::{Allow, Table};

fn serve(world: &mut World, client: &mut Client, pattern: &str, role: u8) -> u64 {
    let body = Serve { pattern: pattern.into(), role };
    let number = world.ask(client, |number| control::encode(&body, number).expect("valid"));
    let frames = world.receive(client);
    assert_eq!(of_kind(&frames, Kind::Done).len(), 1, "{frames:?}");
    number
}

fn answer(world: &mut World, authorizer: &mut Client, allow: bool) -> Ask {
    let frames = world.receive(authorizer);
    let asked = of_kind(&frames, Kind::Ask).pop().expect("asked");
    let body = Answer { allow, ttl_ms: 60_000 };
    let number = asked.header.number;
    world.send(authorizer, control::encode(&body, number).expect("valid"));
    control::decode(asked).expect("valid")
}

#[test]
fn a_customer_may_do_what_is_granted_and_nothing_wider() {
    let mut world = World::new(2);
    let mut customer = world.client(0, "anna", Role::Customer);
    for (pattern, granted) in [
        ("user.anna.inbox", true),
        ("user.anna.>", true),
        ("user.ben.inbox", false),
        ("user.*.inbox", false),
        ("user.>", false),
        (">", false),
        ("admin.dashboard", false),
    ] {
        let number = world.subscribe(&mut customer, pattern, Start::Now);
        let frames = world.receive(&mut customer);
        let expected = (!granted).then_some(Code::NOT_GRANTED);
        assert_eq!(refusal(&frames, number), expected, "{pattern}");
    }
    let sequence = world.publish(&mut customer, "admin.dashboard", "x");
    let frames = world.receive(&mut customer);
    assert_eq!(refusal(&frames, sequence), Some(Code::NOT_GRANTED));
}

#[test]
fn an_authorizer_decides_and_its_answer_is_kept_for_its_time() {
    let mut world = World::new(2);
    let mut service = world.client(1, "orders", Role::Service);
    serve(&mut world, &mut service, "order.*", 2);
    let mut customer = world.client(0, "anna", Role::Customer);
    let number = world.subscribe(&mut customer, "order.1", Start::Now);
    assert!(world.receive(&mut customer).is_empty(), "waits for the authorizer");
    let ask = answer(&mut world, &mut service, true);
    assert_eq!(
        (ask.user.as_str(), ask.role.as_str(), ask.topic.as_str()),
        ("anna", "customer", "order.1")
    );
    let frames = world.receive(&mut customer);
    assert_eq!((frames[0].header.kind, frames[0].header.number), (Kind::Subscribed, number));
    world.subscribe(&mut customer, "order.1", Start::Now);
    assert_eq!(world.receive(&mut customer)[0].header.kind, Kind::Subscribed);
    assert!(world.receive(&mut service).is_empty(), "the answer is kept");
    let denied = world.subscribe(&mut customer, "order.2", Start::Now);
    answer(&mut world, &mut service, false);
    let frames = world.receive(&mut customer);
    assert_eq!(refusal(&frames, denied), Some(Code::NOT_AUTHORIZED));
}

#[test]
fn a_subscription_stands_for_as_long_as_its_authorizer_says_yes() {
    let mut world = World::new(2);
    let mut service = world.client(1, "orders", Role::Service);
    serve(&mut world, &mut service, "order.*", 2);
    let mut amy = world.client(0, "amy", Role::Agent);
    let first = world.subscribe(&mut amy, "order.1", Start::Now);
    answer(&mut world, &mut service, true);
    let second = world.subscribe(&mut amy, "order.1", Start::Now);
    world.receive(&mut amy);
    world.sleep(Duration::from_secs(59));
    assert!(world.receive(&mut service).is_empty(), "the answer holds");
    world.sleep(Duration::from_secs(1));
    answer(&mut world, &mut service, true);
    assert!(world.receive(&mut service).is_empty(), "both stand by one answer");
    world.publish(&mut service, "order.1", "for her");
    world.receive(&mut service);
    assert_eq!(payloads(&world.receive(&mut amy)), ["for her"]);
    world.sleep(Duration::from_secs(60));
    answer(&mut world, &mut service, false);
    let frames = world.receive(&mut amy);
    for number in [first, second] {
        assert_eq!(refusal(&frames, number), Some(Code::NOT_AUTHORIZED));
    }
    world.publish(&mut service, "order.1", "for another");
    assert!(payloads(&world.receive(&mut amy)).is_empty());
    world.sleep(Duration::from_secs(3_600));
    assert!(of_kind(&world.receive(&mut service), Kind::Ask).is_empty(), "nothing is left of it");
}

#[test]
fn a_subscription_stands_while_its_authorizer_cannot_be_asked_and_ends_when_it_can() {
    let mut world = World::new(2);
    let mut service = world.client(1, "orders", Role::Service);
    serve(&mut world, &mut service, "order.*", 2);
    let mut amy = world.client(0, "amy", Role::Agent);
    let number = world.subscribe(&mut amy, "order.1", Start::Now);
    answer(&mut world, &mut service, true);
    world.receive(&mut amy);
    // One that does not answer, and then none.
    world.sleep(Duration::from_secs(60));
    assert_eq!(of_kind(&world.receive(&mut service), Kind::Ask).len(), 1);
    world.sleep(Duration::from_secs(2));
    world.leave(&service);
    world.sleep(Duration::from_secs(120));
    let mut service = world.client(1, "orders", Role::Service);
    world.publish(&mut service, "order.1", "still for her");
    assert_eq!(payloads(&world.receive(&mut amy)), ["still for her"]);
    serve(&mut world, &mut service, "order.*", 2);
    world.sleep(Duration::from_secs(10));
    answer(&mut world, &mut service, false);
    assert_eq!(refusal(&world.receive(&mut amy), number), Some(Code::NOT_AUTHORIZED));
}

#[test]
fn subscriptions_that_a_new_token_does_not_allow_end_with_the_old_one() {
    let mut world = World::new(2);
    let mut boss = world.client(0, "kim", Role::Admin);
    let lost = world.subscribe(&mut boss, "admin.dashboard", Start::Now);
    let kept = world.subscribe(&mut boss, "user.kim", Start::Now);
    world.receive(&mut boss);
    world.refresh(&mut boss, "kim", Role::Customer);
    let frames = world.receive(&mut boss);
    assert_eq!(refusal(&frames, lost), Some(Code::NOT_GRANTED));
    assert_eq!(refusal(&frames, kept), None);
    let mut service = world.client(1, "s", Role::Service);
    for topic in ["admin.dashboard", "user.kim"] {
        world.publish(&mut service, topic, topic);
    }
    assert_eq!(payloads(&world.receive(&mut boss)), ["user.kim"]);
}

#[test]
fn an_authorizer_is_asked_about_publishes_again_when_its_answer_has_expired() {
    let asked = [Allow::new(Action::Publish, "chat.typing.*?")];
    let roles = Table::shipped().with(Role::Customer, &asked).expect("a pattern");
    let config = Arc::new(Config { roles, ..(*Config::shipped()).clone() });
    let mut world = World::with(2, config, journal::Config::default());
    let mut service = world.client(1, "typing", Role::Service);
    serve(&mut world, &mut service, "chat.typing.*", 2);
    let mut customer = world.client(0, "anna", Role::Customer);
    world.publish(&mut customer, "chat.typing.1", "x");
    answer(&mut world, &mut service, true);
    assert_eq!(of_kind(&world.receive(&mut customer), Kind::Published).len(), 1);
    world.sleep(Duration::from_secs(61));
    let sequence = world.publish(&mut customer, "chat.typing.1", "x");
    answer(&mut world, &mut service, false);
    let frames = world.receive(&mut customer);
    assert_eq!(refusal(&frames, sequence), Some(Code::NOT_AUTHORIZED));
}

#[test]
fn a_topic_may_be_published_to_by_an_id_that_another_session_has_learnt() {
    let mut world = World::new(2);
    let mut before = world.client(0, "s", Role::Service);
    world.publish(&mut before, "order.1", "by name");
    let topic_id = world.receive(&mut before)[0].header.topic_id;
    let by_id = |topic_id, sequence| {
        let header = Header { topic_id, ..Header::new(Kind::Publish) }.number(sequence);
        header.to_frame(&[], b"by id").expect("small")
    };
    let mut after = world.client(1, "s", Role::Service);
    world.send(&mut after, by_id(topic_id, 1));
    let frames = world.receive(&mut after);
    assert_eq!((frames[0].header.kind, frames[0].header.number), (Kind::Published, 2));
    world.send(&mut after, by_id(topic_id + 1, 2));
    let frames = world.receive(&mut after);
    assert_eq!(refusal(&frames, 2), Some(Code::UNKNOWN_TOPIC));
    let mut customer = world.client(1, "anna", Role::Customer);
    world.send(&mut customer, by_id(topic_id, 1));
    let frames = world.receive(&mut customer);
    assert_eq!(refusal(&frames, 1), Some(Code::NOT_GRANTED));
}

#[test]
fn no_authorizer_and_a_silent_authorizer_mean_no() {
    let mut world = World::new(2);
    let mut customer = world.client(0, "anna", Role::Customer);
    let number = world.subscribe(&mut customer, "order.1", Start::Now);
    let frames = world.receive(&mut customer);
    assert_eq!(refusal(&frames, number), Some(Code::NOT_AUTHORIZED));
    let mut service = world.client(1, "orders", Role::Service);
    serve(&mut world, &mut service, "order.*", 2);
    let number = world.subscribe(&mut customer, "order.1", Start::Now);
    world.sleep(Duration::from_secs(3));
    let frames = world.receive(&mut customer);
    assert_eq!(refusal(&frames, number), Some(Code::NOT_AUTHORIZED));
}

#[test]
fn only_services_may_serve() {
    let mut world = World::new(1);
    let mut agent = world.client(0, "agent", Role::Agent);
    let body = Serve { pattern: "chat.send_message".into(), role: 1 };
    let number = world.ask(&mut agent, |number| control::encode(&body, number).expect("valid"));
    let frames = world.receive(&mut agent);
    assert_eq!(refusal(&frames, number), Some(Code::NOT_GRANTED));
}

#[test]
fn more_subscriptions_than_allowed_are_refused_and_the_rest_live_on() {
    let mut world = World::new(2);
    let mut client = world.client(0, "s", Role::Service);
    let mut refused = 0;
    for n in 0..4_000 {
        let number = world.subscribe(&mut client, &format!("order.{n}"), Start::Now);
        let frames = world.receive(&mut client);
        match refusal(&frames, number) {
            Some(code) => {
                assert_eq!(code, Code::TOO_MANY);
                refused += 1;
            }
            None => assert_eq!(frames[0].header.kind, Kind::Subscribed),
        }
    }
    assert_eq!(refused, 4_000 - 1_024);
}

#[test]
fn a_rate_limit_tells_when_to_come_back_and_then_lets_through() {
    let rate = Rate { per_s: 10, burst: 2 };
    let rates = Rates { customer: rate, agent: rate, admin: rate, service: rate };
    let limits = Limits { connection_rate: rates, ..Limits::default() };
    let config = Arc::new(Config { limits, ..(*Config::shipped()).clone() });
    let mut world = World::with(1, config, journal::Config::default());
    let mut client = world.client(0, "s", Role::Service);
    for _ in 0..2 {
        world.publish(&mut client, "bench.1", "x");
    }
    let sequence = world.publish(&mut client, "bench.1", "x");
    let frames = world.receive(&mut client);
    let refused = of_kind(&frames, Kind::PublishRefused)[0];
    assert_eq!(refused.header.number, sequence);
    let body: control::PublishRefused = control::decode(refused).expect("valid");
    assert_eq!(Code(body.code), Code::RATE_LIMITED);
    assert!((1..=100).contains(&body.retry_after_ms), "{}", body.retry_after_ms);
    world.sleep(Duration::from_millis(body.retry_after_ms.into()));
    let sequence = world.publish(&mut client, "bench.1", "x");
    assert_eq!(refusal(&world.receive(&mut client), sequence), None);
}

#[test]
fn a_wrong_token_and_a_revoked_user_are_closed_with_their_codes() {
    let mut world = World::new(1);
    let mut stranger = world.greeting(0, "anna", Role::Customer);
    world.receive(&mut stranger);
    let peer = Peer { address: None, datagrams: false };
    let key = world.shards[0].open(world.now, peer).expect("room");
    let hello = control::Hello {
        version: VERSION,
        features: 0,
        producer: 1,
        client: String::new(),
        token: "forged".into(),
    };
    let frame = Frame::decode(control::encode(&hello, 0).expect("valid"), 1024).expect("valid");
    world.shards[0].frame(world.now, key, frame);
    world.run();
    assert_eq!(world.shards[0].closing(key).map(|c| c.0), Some(Code::BAD_TOKEN));
    let closed = world.shards[0]
        .close_where(world.now, Code::REVOKED, &mut |identity| &*identity.user == "anna");
    assert_eq!(closed, 1);
    assert_eq!(world.shards[0].closing(stranger.key).map(|c| c.0), Some(Code::REVOKED));
}
