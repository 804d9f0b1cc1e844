//! Who is served first, and what those who wait are told.

use super::*;
use crate::chat::model::Origin;

fn at(seconds: i64) -> Moment {
    Moment::from_ms(1_000_000_000 + seconds * 1_000)
}

fn chat(id: &str, since: i64) -> Conversation {
    Conversation::new(id, "u", Origin::default(), at(since))
}

const PLAIN: Customer = Customer { vip: false, lifetime_value: 0.0 };
const VIP: Customer = Customer { vip: true, lifetime_value: 0.0 };

fn score(customer: Customer, waited: i64, priority: Priority) -> i64 {
    let conversation = Conversation { priority, ..chat("c", 0) };
    Ranking::default().score(&Waiting { conversation: &conversation, customer }, at(waited))
}

#[test]
fn the_score_is_the_formula_of_the_requirements_in_thousandths() {
    assert_eq!(score(VIP, 0, Priority::Low), 100_000);
    assert_eq!(score(PLAIN, 90, Priority::Low), 1_500);
    assert_eq!(score(PLAIN, 100_000, Priority::Low), 50_000);
    let bought = |lifetime_value| Customer { vip: false, lifetime_value };
    assert_eq!(score(bought(12_345.0), 0, Priority::Low), 12_345);
    assert_eq!(score(bought(1e300), 0, Priority::Low), 30_000);
    assert_eq!(score(bought(-5.0), 0, Priority::Low), 0);
    assert_eq!(score(bought(f64::NAN), 0, Priority::Low), 0);
}

#[test]
fn priority_counts() {
    let all = [Priority::Low, Priority::Medium, Priority::High, Priority::Urgent];
    assert_eq!(all.map(|priority| score(PLAIN, 0, priority)), [0, 10_000, 30_000, 60_000]);
}

fn sorted(chats: &[(Conversation, Customer)], now: Moment) -> Vec<&str> {
    let mut waiting: Vec<_> = chats
        .iter()
        .map(|(conversation, customer)| Waiting { conversation, customer: *customer })
        .collect();
    Ranking::default().sort(&mut waiting, now);
    waiting.iter().map(|chat| chat.conversation.id.as_str()).collect()
}

#[test]
fn a_vip_goes_first_until_others_have_waited_ten_minutes() {
    let chats = [(chat("old", 0), PLAIN), (chat("older", -1), PLAIN), (chat("vip", 500), VIP)];
    assert_eq!(sorted(&chats, at(598)), ["vip", "older", "old"]);
    assert_eq!(sorted(&chats, at(599)), ["older", "vip", "old"]);
    assert_eq!(sorted(&chats, at(600)), ["older", "old", "vip"]);
}

#[test]
fn the_order_follows_the_time_of_serving_and_not_of_coming() {
    let rich = Customer { vip: false, lifetime_value: 5_000.0 };
    let chats = [(chat("rich", 240), rich), (chat("early", 0), PLAIN)];
    assert_eq!(sorted(&chats, at(240)), ["rich", "early"]);
    let chats = [(chat("rich", 360), rich), (chat("early", 0), PLAIN)];
    assert_eq!(sorted(&chats, at(360)), ["early", "rich"]);
}

#[test]
fn a_reopened_chat_waits_since_it_was_reopened() {
    let mut reopened = chat("reopened", -1_000_000);
    reopened.waiting_since = Some(at(10));
    let chats = [(reopened, PLAIN), (chat("first", 0), PLAIN)];
    assert_eq!(sorted(&chats, at(20)), ["first", "reopened"]);
}

#[test]
fn an_estimate_is_the_mean_less_what_was_waited_and_never_below_zero() {
    let seconds = Duration::from_secs;
    let mut mean = WaitMean::default();
    assert_eq!(mean.left(seconds(1)), None);
    mean.add(seconds(100));
    mean.add(seconds(200));
    assert_eq!(mean.left(seconds(10)), Some(seconds(100)));
    assert_eq!(mean.left(seconds(500)), Some(seconds(0)));
}

#[test]
fn those_who_are_served_say_how_long_others_may_expect_to_wait() {
    let (first, second) = (chat("a", 0), chat("b", 10));
    let waits = |conversation| Waiting { conversation, customer: PLAIN };
    let mut board = Board::default();
    let told = board.tell(&[waits(&first), waits(&second)], at(20));
    let told: Vec<_> = told.iter().map(|told| (told.position, told.eta_seconds)).collect();
    assert_eq!(told, [(1, None), (2, None)]);
    let told = board.tell(&[waits(&second)], at(60));
    assert_eq!((told[0].position, told[0].total, told[0].eta_seconds), (1, 1, Some(10)));
    assert!(board.tell(&[], at(70)).is_empty());
}

#[test]
fn a_place_is_told_when_it_changes_and_at_most_every_five_seconds() {
    let (a, b) = (chat("a", 0), chat("b", 0));
    let mut places = Places::default();
    let mut tell = |chats: &[&Conversation], seconds| -> Vec<(String, u32, u32)> {
        let sorted: Vec<_> =
            chats.iter().map(|conversation| Waiting { conversation, customer: PLAIN }).collect();
        let told = places.tell(&sorted, WaitMean::default(), at(seconds));
        told.into_iter().map(|event| (event.conversation_id, event.position, event.total)).collect()
    };
    let place = |id: &str, position, total| (id.to_owned(), position, total);
    assert_eq!(tell(&[&a, &b], 0), [place("a", 1, 2), place("b", 2, 2)]);
    assert_eq!(tell(&[&a, &b], 60), []);
    assert_eq!(tell(&[&b], 61), [place("b", 1, 1)]);
    assert_eq!(tell(&[&a, &b], 62), [place("a", 1, 2)]);
    assert_eq!(tell(&[&a, &b], 66), [place("b", 2, 2)]);
}
