//! An inbox, as somebody who looks at it sees it go on.

use std::collections::{BTreeSet, VecDeque};

use protocol::Pattern;
use protocol::control::Start;
use protocol::topic::token;
use serde::de::DeserializeOwned;

use super::again::Again;
use super::marks::Marks;
use super::{INBOX, Inbox, InboxWanted, Item, Updated};
use crate::error::invalid;
use crate::{Client, Delivery, Error, Gap, Received, Subscription};

/// Notifications of one page of an inbox.
const PAGE: usize = 100;
/// Notifications that are remembered as told, the newest.
const KNOWN_MAX: usize = 1_000;

/// What is told of an inbox.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "most news are of the largest kind")]
pub enum News {
    /// A notification has come. Each is told once.
    New(Item),
    /// Notifications were seen, read or put away, on whatever page.
    Updated(Updated),
    /// Something that was told was lost and is made good: the notifications that nobody has told of
    /// have come just before, and this is how the inbox stands.
    Stands(Inbox),
    /// Something that was told is lost, and the inbox cannot be asked for.
    Lost(Gap),
}

/// Somebody who looks at an inbox.
#[derive(Debug)]
pub struct Watcher {
    client: Client,
    user: String,
    inbox: Inbox,
    told: Subscription,
    known: Known,
    /// What is to be told before anything else.
    due: VecDeque<News>,
    lost: Option<Again>,
    marks: Marks,
}

impl Watcher {
    pub(super) async fn new(client: &Client, user: &str) -> Result<Self, Error> {
        let pattern = Pattern::parse(&format!("user.{}", token(user))).map_err(invalid)?;
        // Whatever is told while the inbox is asked for waits in the subscription.
        let told = client.subscribe(pattern, Start::Now).await?;
        let inbox = page(client, user, None).await?;
        let mut known = Known::default();
        known.hold(&inbox);
        let marks = Marks::of(client);
        let (client, user) = (client.clone(), user.to_owned());
        Ok(Watcher { client, user, inbox, told, known, due: VecDeque::new(), lost: None, marks })
    }

    /// How the inbox stood when it was first asked for: its newest 100.
    #[must_use]
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// What is told next; none when the subscription has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<News> {
        loop {
            if let Some(news) = self.due.pop_front() {
                if let News::New(item) = &news {
                    self.marks.delivered(&item.notification_id);
                }
                return Some(news);
            }
            if let Some(lost) = &mut self.lost {
                lost.due().await;
                match missed(&self.client, &self.user, &self.known).await {
                    Ok((missed, stands)) => self.make_good(missed, stands),
                    Err(error) if lost.is_put_off(&error) => continue,
                    Err(_) => self.due.push_back(News::Lost(lost.gap.clone())),
                }
                self.lost = None;
                continue;
            }
            match self.told.next().await? {
                Delivery::Message(message) => {
                    let news = self.read(&message);
                    self.due.extend(news);
                }
                Delivery::Gap(gap) => self.lost = gap.is_loss().then(|| Again::new(gap)),
            }
        }
    }

    /// Why there is no more, once there is not.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.told.error()
    }

    fn make_good(&mut self, missed: Vec<Item>, stands: Inbox) {
        for item in missed.into_iter().rev() {
            self.known.add(&item);
            self.due.push_back(News::New(item));
        }
        self.due.push_back(News::Stands(stands));
    }

    /// What a message tells, if it is news; nothing if it is of another kind.
    fn read(&mut self, message: &Received) -> Option<News> {
        match message.event()? {
            "notification:new" => {
                let item = json(message)?;
                self.known.add(&item).then_some(News::New(item))
            }
            "notification:updated" => json(message).map(News::Updated),
            _ => None,
        }
    }
}

/// Notifications that were told, by the order of the inbox.
#[derive(Debug, Default)]
struct Known {
    told: BTreeSet<(String, String)>,
    /// Everything up to this one was told, or was there before.
    floor: Option<(String, String)>,
}

impl Known {
    /// Notes a notification as told; whether it was not before.
    fn add(&mut self, item: &Item) -> bool {
        let is_new = self.told.insert(place(item));
        if self.told.len() > KNOWN_MAX {
            self.floor = self.told.pop_first().max(self.floor.take());
        }
        is_new
    }

    /// Notes what an inbox begins with; all behind a full page was there before.
    fn hold(&mut self, inbox: &Inbox) {
        self.told.extend(inbox.items.iter().map(place));
        let is_full = inbox.items.len() >= PAGE;
        self.floor = inbox.items.last().filter(|_| is_full).map(place);
    }

    fn has(&self, item: &Item) -> bool {
        let place = place(item);
        self.floor.as_ref().is_some_and(|floor| place <= *floor) || self.told.contains(&place)
    }
}

fn place(item: &Item) -> (String, String) {
    (item.created_at.clone(), item.notification_id.clone())
}

/// What of an inbox is not known, the newest first, and how the inbox stands.
async fn missed(client: &Client, user: &str, known: &Known) -> Result<(Vec<Item>, Inbox), Error> {
    let stands = page(client, user, None).await?;
    let (mut missed, mut items) = (Vec::new(), stands.items.clone());
    loop {
        let last = items.last().filter(|last| items.len() >= PAGE && !known.has(last));
        let before = last.map(|last| last.notification_id.clone());
        missed.extend(items.into_iter().filter(|item| !known.has(item)));
        let Some(before) = before else { return Ok((missed, stands)) };
        items = page(client, user, Some(before)).await?.items;
    }
}

async fn page(client: &Client, user: &str, before: Option<String>) -> Result<Inbox, Error> {
    let user_id = Some(user.to_owned());
    client.question(INBOX, &InboxWanted { user_id, before, archived: None, limit: None }).await
}

fn json<T: DeserializeOwned>(message: &Received) -> Option<T> {
    serde_json::from_slice(message.payload_bytes()).ok()
}
