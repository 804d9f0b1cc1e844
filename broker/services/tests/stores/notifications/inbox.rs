//! The inbox, and what is forgotten.

use sampan_services::notifications::Marked;
use sampan_services::notifications::model::{Channel, Trigger};

use super::{each, order, state};

#[tokio::test]
async fn an_inbox_counts_what_is_not_read_and_tells_every_page_of_a_change() {
    for place in each().await {
        let shown = Trigger { channels: Some(vec![Channel::Websocket]), ..order("cat") };
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(place.send(&shown).await.expect("taken").notification_id);
        }
        let inbox = place.store.inbox("cat", false, None, 10).await.expect("read");
        let newest: Vec<&str> =
            inbox.items.iter().map(|item| item.notification_id.as_str()).collect();
        assert_eq!(newest, [ids[2].as_str(), &ids[1], &ids[0]]);
        assert_eq!(inbox.unread, 3);
        let page = place.store.inbox("cat", false, Some(&ids[1]), 10).await.expect("read");
        assert_eq!(page.items.len(), 1);
        let mark = |mark| place.store.mark("cat", Some(&ids[..1]), mark);
        assert_eq!(mark(Marked::Seen).await.expect("marked").unread, 3);
        let read = mark(Marked::Read).await.expect("marked");
        assert_eq!((read.notification_ids.as_slice(), read.unread), (&ids[..1], 2));
        assert!(mark(Marked::Read).await.expect("marked").notification_ids.is_empty());
        assert_eq!(place.stands(&ids[0]).await, [state("seen")]);
        mark(Marked::Clicked).await.expect("marked");
        assert_eq!(place.stands(&ids[0]).await, [state("clicked")]);
        assert_eq!(mark(Marked::Unread).await.expect("marked").unread, 3);
        assert_eq!(mark(Marked::Archived).await.expect("marked").unread, 2);
        let archive = place.store.inbox("cat", true, None, 10).await.expect("read");
        assert_eq!(archive.items[0].notification_id, ids[0]);
        let all = place.store.mark("cat", None, Marked::Read).await.expect("marked");
        assert_eq!((all.notification_ids.len(), all.unread), (2, 0));
        let told = place.events("notification:updated").await;
        assert_eq!(told.len(), 5, "{told:?}");
        assert!(told.iter().all(|(topic, _)| topic == "user.cat"));
    }
}

#[tokio::test]
async fn a_mark_without_ids_is_for_all_of_which_it_is_news() {
    for place in each().await {
        let shown = Trigger { channels: Some(vec![Channel::Websocket]), ..order("cat") };
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(place.send(&shown).await.expect("taken").notification_id);
        }
        place.store.mark("cat", Some(&ids[..1]), Marked::Read).await.expect("marked");
        let all = async |mark| {
            let updated = place.store.mark("cat", None, mark).await.expect("marked");
            (updated.notification_ids.len(), updated.unread)
        };
        assert_eq!(all(Marked::Delivered).await, (0, 2));
        assert_eq!(all(Marked::Seen).await, (2, 2));
        assert_eq!(all(Marked::Read).await, (2, 0));
        assert_eq!(all(Marked::Unread).await, (3, 3));
        assert_eq!(all(Marked::Clicked).await, (3, 0));
        assert_eq!(place.stands(&ids[0]).await, [state("clicked")]);
        assert_eq!(all(Marked::Archived).await, (3, 0), "what was read too");
        assert_eq!(all(Marked::Unread).await, (0, 0), "what is put away is left alone");
    }
}

#[tokio::test]
async fn nobody_marks_what_is_anothers() {
    for place in each().await {
        let shown = Trigger { channels: Some(vec![Channel::Websocket]), ..order("cat") };
        let id = place.send(&shown).await.expect("taken").notification_id;
        let marked =
            place.store.mark("dog", Some(std::slice::from_ref(&id)), Marked::Clicked).await;
        assert!(marked.expect("nothing").notification_ids.is_empty());
        assert_eq!(place.stands(&id).await, [state("sent")]);
        assert!(
            place.store.inbox("dog", false, Some(&id), 10).await.expect("read").items.is_empty()
        );
    }
}

#[tokio::test]
async fn what_is_older_than_thirty_days_is_forgotten_with_all_that_came_of_it() {
    for place in each().await {
        let shown = Trigger { channels: Some(vec![Channel::Websocket]), ..order("cat") };
        let old = place.send(&shown).await.expect("taken").notification_id;
        let fresh = place.send(&shown).await.expect("taken").notification_id;
        place.store.mark("cat", Some(&["e".to_owned()]), Marked::Delivered).await.expect("marked");
        place
            .change(
                "UPDATE notifications SET created_at = 1, expires_at = 1 WHERE id = \
                      (SELECT MIN(id) FROM notifications)",
            )
            .await;
        place.change("UPDATE notification_taken SET at = 1").await;
        assert_eq!(place.store.keep_up().await, Ok(2));
        assert_eq!(place.store.report(&old).await, Ok(None));
        let inbox = place.store.inbox("cat", false, None, 10).await.expect("read");
        let left: Vec<&str> =
            inbox.items.iter().map(|item| item.notification_id.as_str()).collect();
        assert_eq!(left, [fresh.as_str()]);
        assert_eq!(place.store.keep_up().await, Ok(0));
    }
}

#[tokio::test]
async fn of_what_a_user_says_it_has_seen_the_newest_thousand_are_remembered() {
    for place in each().await {
        for hundred in 0..12 {
            let ids: Vec<String> = (0..100).map(|n| format!("e{}", hundred * 100 + n)).collect();
            place.store.mark("cat", Some(&ids), Marked::Delivered).await.expect("marked");
            // Each call at a time of its own.
            place.change("UPDATE notification_taken SET at = at - 1").await;
        }
        let kept = place.taken("cat").await;
        assert!((1_000..=1_100).contains(&kept.len()), "{}", kept.len());
        assert!(kept.contains(&"e1199".to_owned()) && !kept.contains(&"e0".to_owned()));
    }
}
