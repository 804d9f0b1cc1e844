//! Ratings.

use sampan_services::Role;
use sampan_services::chat::model::Conversation;
use sampan_services::chat::ratings::{Ask, Linked, ListWanted, Rate, Ratings};
use sampan_services::chat::rules::lifecycle::Event;
use sampan_services::chat::store::SqlStore;
use tokio::task::JoinSet;

use super::{asker, begun, changed, code, resolved};
use crate::sites::Site;

async fn each() -> Vec<(Ratings<SqlStore>, SqlStore, Site)> {
    let mut all = Vec::new();
    for site in Site::each() {
        let database = site.migrated().await;
        let chats = SqlStore::new(&database);
        all.push((Ratings::new(&database, chats.clone()), chats, site));
    }
    all
}

fn rate(rating: u8) -> Rate {
    let comment = Some("ดีมาก 🛶".to_owned());
    Rate { conversation_id: "c".to_owned(), rating, comment }
}

async fn of_conversation(ratings: &Ratings<SqlStore>) -> Vec<(u32, u8)> {
    let wanted = ListWanted { conversation_id: Some("c".to_owned()), ..ListWanted::default() };
    let list = ratings.list(&asker("cat", Role::Customer), &wanted).await.expect("asked");
    list.ratings.iter().map(|one| (one.resolution_no, one.answer.rating)).collect()
}

#[tokio::test]
async fn a_resolution_is_rated_once_by_its_customer_and_changed_by_request_only() {
    for (ratings, chats, site) in each().await {
        let (cat, dog) = (asker("cat", Role::Customer), asker("dog", Role::Customer));
        assert_eq!(code(ratings.rate(&cat, rate(5)).await), 904, "{}", site.name);
        let chat = begun(&chats, "c").await;
        assert_eq!(code(ratings.rate(&cat, rate(5)).await), 909, "not resolved");
        let chat = resolved(&chats, &chat).await;
        assert_eq!(code(ratings.rate(&dog, rate(5)).await), 904, "another's");
        for bad in [0, 6] {
            assert_eq!(code(ratings.rate(&cat, rate(bad)).await), 105);
        }
        assert_eq!(code(ratings.edit(&cat, rate(4)).await), 904, "none to change");
        let first = ratings.rate(&cat, rate(5)).await.expect("rated");
        assert_eq!((first.agent_id.as_deref(), first.resolution_no), (Some("amy"), 1));
        assert_eq!(ratings.rate(&cat, rate(5)).await, Ok(first), "the same again");
        assert_eq!(code(ratings.rate(&cat, rate(1)).await), 909, "another");
        assert_eq!(of_conversation(&ratings).await, [(1, 5)]);
        assert_eq!(ratings.edit(&cat, rate(4)).await.expect("changed").answer.rating, 4);
        let chat = changed(&chats, &chat, Event::CustomerWrote).await;
        resolved(&chats, &chat).await;
        ratings.rate(&cat, rate(2)).await.expect("another resolution");
        assert_eq!(of_conversation(&ratings).await, [(2, 2), (1, 4)]);
    }
}

#[tokio::test]
async fn of_many_ratings_at_once_one_counts() {
    for (ratings, chats, _site) in each().await {
        let chat = begun(&chats, "c").await;
        resolved(&chats, &chat).await;
        let mut all = JoinSet::new();
        for number in 0..10_u8 {
            let ratings = ratings.clone();
            all.spawn(async move {
                ratings.rate(&asker("cat", Role::Customer), rate(number % 5 + 1)).await
            });
        }
        let all = all.join_all().await;
        let counted: Vec<_> = all.iter().flatten().map(|rating| &rating.id).collect();
        assert!(!counted.is_empty() && counted.iter().all(|id| *id == counted[0]), "{all:?}");
        assert_eq!(of_conversation(&ratings).await.len(), 1);
    }
}

#[tokio::test]
async fn a_link_rates_its_resolution_without_a_login() {
    for (ratings, chats, _site) in each().await {
        let chat = begun(&chats, "c").await;
        let ask = Ask { conversation_id: "c".to_owned() };
        assert_eq!(code(ratings.ask(&ask).await), 909, "not resolved");
        let chat = resolved(&chats, &chat).await;
        let asked = ratings.ask(&ask).await.expect("a link");
        assert_eq!(ratings.ask(&ask).await.expect("asked again"), asked, "the same link");
        let other = begun(&chats, "other").await;
        resolved(&chats, &other).await;
        let of_other = Ask { conversation_id: "other".to_owned() };
        assert_eq!(code(ratings.ask(&of_other).await), 909, "one question a week");
        let token = asked.path.strip_prefix("/v1/chat/ratings/c/").expect("a path");
        let linked = |rating| Linked { rating, comment: None };
        let by_link = async |chat: &str, token: &str, rating| {
            ratings.rate_by_link(chat, token, linked(rating)).await
        };
        assert_eq!(code(by_link("d", token, 5).await), 200);
        assert_eq!(code(by_link("c", "1.2.00", 5).await), 200);
        assert_eq!(by_link("c", token, 5).await.expect("rated").answer.rating, 5);
        assert_eq!(by_link("c", token, 3).await.expect("changed").answer.rating, 3);
        let chat: Conversation = changed(&chats, &chat, Event::CustomerWrote).await;
        resolved(&chats, &chat).await;
        assert_eq!(by_link("c", token, 4).await.expect("its own").resolution_no, 1);
        assert_eq!(code(ratings.ask(&ask).await), 909, "less than a week ago");
        assert_eq!(of_conversation(&ratings).await, [(1, 4)]);
    }
}

#[tokio::test]
async fn an_agents_mean_is_told_from_the_fifth_rating_on() {
    for (ratings, chats, _site) in each().await {
        let wanted = ListWanted { agent_id: Some("amy".to_owned()), ..ListWanted::default() };
        let amy = asker("amy", Role::Agent);
        for number in 1..=5 {
            let id = format!("c{number}");
            let chat = begun(&chats, &id).await;
            resolved(&chats, &chat).await;
            let list = ratings.list(&amy, &wanted).await.expect("asked");
            assert_eq!((list.satisfaction, list.ratings.len()), (None, number - 1));
            let rated = Rate { conversation_id: id, ..rate(5 - u8::from(number == 5)) };
            ratings.rate(&asker("cat", Role::Customer), rated).await.expect("rated");
        }
        let list = ratings.list(&amy, &wanted).await.expect("asked");
        assert_eq!(list.satisfaction, Some(4.8));
        for other in [asker("bob", Role::Agent), asker("cat", Role::Customer)] {
            assert_eq!(code(ratings.list(&other, &wanted).await), 200);
        }
        assert_eq!(code(ratings.list(&amy, &ListWanted::default()).await), 105);
    }
}
