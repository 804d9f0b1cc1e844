//! Taking a notification: what is said, by which ways, and where to. All of it is one transaction.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};

use super::super::asked::{Accepted, DeliveryOf, Item, Outcome};
use super::super::model::{Channel, Kind, Priority, State, Trigger};
use super::super::rules::preference::{Address, LIVE, Suppressed, check};
use super::super::rules::quiet::{Verdict, decide};
use super::super::rules::template::{Unsaid, choose, render};
use super::super::send::{Content, Endpoint};
use super::claim::{INBOX, Lane};
use super::preferences::Choices;
use super::{Notifications, Parcel, devices, inbox, is_listed, lists, open, tell, templates};
use crate::id::{Id, check_id};
use crate::moment::Moment;
use crate::outbox::{self, Event};
use crate::service::Problem;
use crate::signature::hex;
use crate::store::encoding::{json, name};
use crate::store::{Error, Query, Work};
use crate::users::{Upsert, User, Users};

/// How long a key stands for what was sent with it.
const KEY_TTL: Duration = Duration::from_secs(86_400);
/// Bytes of a key or of an event's id.
const TEXT_BYTES_MAX: usize = 255;
/// Bytes of what a template is filled with.
const DATA_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a push as JSON: providers take 4,096, of which their own form needs some.
const PUSH_BYTES_MAX: usize = 3_584;

/// Who sends a notification, and as a part of what.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// Whose keys are told apart from those of others.
    pub caller: &'a str,
    /// The bulk job that it belongs to.
    pub job: Option<&'a str>,
}

/// One delivery as it is to be stored.
struct Row {
    channel: Channel,
    /// The device, the address or the number; the user for the inbox.
    endpoint: String,
    provider: &'static str,
    state: State,
    reason: Option<String>,
    due_at: Moment,
}

impl Notifications {
    /// Takes a notification. The same key and content of the same caller is the same notification
    /// for 24 h.
    ///
    /// # Errors
    /// `BAD_FIELD` for what cannot be said or sent, `DIFFERS` for another content with a key of the
    /// last 24 h; those of the database. Nothing was stored then.
    pub async fn accept(&self, trigger: &Trigger, sent: Sent<'_>) -> Result<Accepted, Problem> {
        let mut work = self.0.begin().await?;
        let accepted = accept(&mut work, trigger, sent).await?;
        work.commit().await?;
        Ok(accepted)
    }
}

/// Takes a notification within a transaction.
pub(super) async fn accept(
    work: &mut Work<'_>,
    trigger: &Trigger,
    sent: Sent<'_>,
) -> Result<Accepted, Problem> {
    let channels = checked(trigger)?;
    let now = work.now().await?;
    let id = Id::new().to_string();
    if let Some(before) = claim_key(work, trigger, sent.caller, &id, now).await? {
        return Ok(super::report::accepted(work, &before).await?);
    }
    let user = Users::known_or_plain_in(work, &trigger.user_id).await?;
    let choices = Choices::find(work, &user.user).await?;
    let locale = user.user.locale.clone().unwrap_or_default();
    let unread = inbox::unread(work, &trigger.user_id).await?;
    let stored = templates::of_kind(work, trigger.kind).await?;
    let is_critical = trigger.kind.is_critical();
    let mut parcels = Vec::new();
    for channel in channels {
        let template = choose(&stored, trigger.kind, channel, &locale).map_err(unsaid)?;
        let badge = u32::try_from(unread).unwrap_or(u32::MAX).saturating_add(1);
        let said = render(template, trigger.data.as_ref(), badge).map_err(unsaid)?;
        let content = Content {
            kind: trigger.kind,
            title: said.title,
            body: said.body,
            action_url: template.action_url.clone(),
            icon_url: template.icon_url.clone(),
            sound: template.sound.clone(),
            badge: Some(said.badge),
            data: trigger.data.as_ref().clone(),
            locale: locale.clone(),
        };
        if channel == Channel::Push && json(&content)?.len() > PUSH_BYTES_MAX {
            return Err(Problem::field("data", "more than a push has room for, 3,584 bytes"));
        }
        let priority = trigger.priority.unwrap_or(template.priority);
        let ttl = trigger.ttl.unwrap_or(template.ttl);
        let collapse = collapse(trigger);
        let parcel = Parcel { kind: trigger.kind, priority, content, collapse, last: None };
        parcels.push((channel, parcel, now.after(Duration::from_secs(u64::from(ttl)))));
    }
    let expires_at = parcels.iter().map(|(_, _, expires_at)| *expires_at).max().unwrap_or(now);
    put(work, &id, trigger, sent, (now, expires_at)).await?;
    let has_inbox = parcels.iter().any(|(channel, ..)| *channel == Channel::Websocket);
    let event_id = trigger.event_id.clone().or_else(|| has_inbox.then(|| id.clone()));
    let mut deliveries = Vec::new();
    for (channel, parcel, expires_at) in parcels {
        let endpoints = endpoints(work, channel, &user, now).await?;
        for (endpoint, provider, address) in endpoints {
            let wanted = check(&choices.preferences, trigger.kind, channel, address, is_critical);
            let quiet = choices.quiet.as_ref().filter(|_| channel != Channel::Websocket);
            let verdict = decide(quiet, parcel.priority, is_critical, now, expires_at);
            // Pages that are open have it first, and spare the push if they say so.
            let is_held = channel == Channel::Push && event_id.is_some();
            let (state, reason, due_at) = match (wanted, verdict) {
                (Err(why), _) => (State::Suppressed, Some(why.name().to_owned()), now),
                (Ok(()), Verdict::Expire) => (State::Expired, None, now),
                (Ok(()), Verdict::Defer(until)) => (State::Deferred, None, until),
                (Ok(()), Verdict::Send) if channel == Channel::Websocket => {
                    (State::Sent, None, now)
                }
                (Ok(()), Verdict::Send) if is_held => (State::Queued, None, now.after(LIVE)),
                (Ok(()), Verdict::Send) => (State::Queued, None, now),
            };
            let row = Row { channel, endpoint, provider, state, reason, due_at };
            let context = Context { id: &id, trigger, sent, now, expires_at };
            deliveries.push(deliver(work, row, &parcel, context, event_id.as_deref()).await?);
        }
        if channel == Channel::Websocket
            && deliveries.iter().any(|one| one.channel == channel && one.state == State::Sent)
        {
            show(work, &id, &trigger.user_id, &parcel, now).await?;
        }
    }
    Ok(Accepted { notification_id: id, deliveries })
}

/// What all deliveries of a notification share.
#[derive(Clone, Copy)]
struct Context<'a> {
    id: &'a str,
    trigger: &'a Trigger,
    sent: Sent<'a>,
    now: Moment,
    expires_at: Moment,
}

/// The ways of a notification, each once, if it can be true.
fn checked(trigger: &Trigger) -> Result<Vec<Channel>, Problem> {
    check_id("user_id", &trigger.user_id)?;
    let keys = [
        ("idempotency_key", trigger.idempotency_key.as_ref()),
        ("event_id", trigger.event_id.as_ref()),
    ];
    for (field, text) in keys {
        let is_text = |text: &String| {
            (1..=TEXT_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
        };
        if text.is_some_and(|text| !is_text(text)) {
            return Err(Problem::field(field, "1 to 255 bytes without control characters"));
        }
    }
    if !trigger.data.as_ref().is_object() || json(&trigger.data)?.len() > DATA_BYTES_MAX {
        return Err(Problem::field("data", "an object of at most 16 KiB"));
    }
    let mut channels = trigger.channels.clone().unwrap_or_else(|| Channel::DEFAULT.to_vec());
    channels.sort();
    channels.dedup();
    if channels.is_empty() {
        return Err(Problem::field("channels", "at least one"));
    }
    Ok(channels)
}

/// Makes a key stand for a new notification; the one that it stands for already, if there is one.
async fn claim_key(
    work: &mut Work<'_>,
    trigger: &Trigger,
    caller: &str,
    id: &str,
    now: Moment,
) -> Result<Option<String>, Problem> {
    let Some(key) = &trigger.idempotency_key else { return Ok(None) };
    let hash = hex(digest(&SHA256, json(trigger)?.as_bytes()).as_ref());
    let query = Query::new(
        "INSERT INTO notification_keys (caller, name, hash, notification_id, until) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (caller, name) DO UPDATE SET \
         hash = excluded.hash, notification_id = excluded.notification_id, \
         until = excluded.until WHERE notification_keys.until <= $6",
    );
    let query = query.bind(caller).bind(key).bind(&hash).bind(id).bind(now.after(KEY_TTL));
    if work.execute(query.bind(now)).await? == 1 {
        return Ok(None);
    }
    let query = Query::new(
        "SELECT hash, notification_id FROM notification_keys WHERE caller = $1 AND name = $2",
    );
    let row = work.one(query.bind(caller).bind(key)).await?;
    let row = row.ok_or_else(|| Error::Program("a key that is not there".to_owned()))?;
    if row.get::<String>("hash")? == hash {
        return Ok(Some(row.get("notification_id")?));
    }
    Err(Problem::differs("idempotency_key was used for another notification"))
}

async fn put(
    work: &mut Work<'_>,
    id: &str,
    trigger: &Trigger,
    sent: Sent<'_>,
    (now, expires_at): (Moment, Moment),
) -> Result<(), Error> {
    let query = Query::new(
        "INSERT INTO notifications (id, user_id, kind, caller, created_at, expires_at, body) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    );
    let query = query.bind(id).bind(&trigger.user_id).bind(name(&trigger.kind)?);
    let query = query.bind(sent.caller).bind(now).bind(expires_at);
    work.execute(query.bind(json(trigger)?)).await.map(|_| ())
}

/// Where a channel leads, who sends there, and what is known of it. Nowhere is a place too: what
/// comes of it is on record.
async fn endpoints(
    work: &mut Work<'_>,
    channel: Channel,
    user: &User,
    now: Moment,
) -> Result<Vec<(String, &'static str, Address)>, Error> {
    let Upsert { id, email, email_verified_at, phone, phone_verified_at, .. } = &user.user;
    let good = Address { is_known: true, is_verified: true, is_suppressed: false };
    let single = |address: &Option<String>, verified: &Option<Moment>| {
        let address = address.clone().unwrap_or_default();
        let is_verified = verified.is_some_and(|at| at <= now);
        let known = Address { is_known: !address.is_empty(), is_verified, is_suppressed: false };
        (address, known)
    };
    let (provider, (address, known)) = match channel {
        Channel::Push => {
            let found = devices::live(work, id).await?;
            let nowhere = || vec![(String::new(), "", Address::default())];
            let found: Vec<_> = found.into_iter().map(|(id, by)| (id, by, good)).collect();
            return Ok(if found.is_empty() { nowhere() } else { found });
        }
        Channel::Websocket => return Ok(vec![(id.clone(), INBOX, good)]),
        Channel::Email => ("smtp", single(email, email_verified_at)),
        Channel::Sms => ("sms", single(phone, phone_verified_at)),
    };
    let is_suppressed = is_listed(channel) && lists::has(work, channel, &address).await?;
    Ok(vec![(address, provider, Address { is_suppressed, ..known })])
}

/// Stores a delivery, and tells of it if it has ended already.
async fn deliver(
    work: &mut Work<'_>,
    row: Row,
    parcel: &Parcel,
    context: Context<'_>,
    event_id: Option<&str>,
) -> Result<DeliveryOf, Error> {
    let Context { id, trigger, sent, now, expires_at } = context;
    let delivery_id = Id::new().to_string();
    let lane = Lane::of(parcel.kind, parcel.priority, sent.job.is_some());
    let query = Query::new(
        "INSERT INTO deliveries (id, notification_id, user_id, channel, endpoint, provider, lane, \
         state, is_open, attempts, due_at, created_at, expires_at, event_id, job, reason, \
         updated_at, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11, $12, $13, \
         $14, $15, $11, $16)",
    );
    let query = query.bind(&delivery_id).bind(id).bind(&trigger.user_id);
    let query = query.bind(name(&row.channel)?).bind(&row.endpoint).bind(row.provider);
    let query = query.bind(lane.number()).bind(name(&row.state)?).bind(open(row.state));
    let query = query.bind(row.due_at).bind(now).bind(expires_at).bind(event_id).bind(sent.job);
    work.execute(query.bind(row.reason.clone()).bind(json(parcel)?)).await?;
    if row.state.is_over() {
        let outcome = Outcome {
            delivery_id: delivery_id.clone(),
            notification_id: id.to_owned(),
            user_id: trigger.user_id.clone(),
            kind: trigger.kind,
            channel: row.channel,
            provider: row.provider.to_owned(),
            state: row.state,
            reason: row.reason.clone(),
            attempts: 0,
            job: sent.job.map(str::to_owned),
            at: now,
        };
        tell(work, &outcome).await?;
    }
    let Row { channel, state, reason, .. } = row;
    Ok(DeliveryOf { delivery_id, channel, state, reason, attempts: 0 })
}

/// Puts a notification into its user's inbox, on every page that is open too.
async fn show(
    work: &mut Work<'_>,
    id: &str,
    user: &str,
    parcel: &Parcel,
    now: Moment,
) -> Result<(), Error> {
    let Content { kind, title, body, action_url, icon_url, data, .. } = parcel.content.clone();
    let item = Item {
        notification_id: id.to_owned(),
        kind,
        title,
        body,
        action_url,
        icon_url,
        data: data.into(),
        priority: parcel.priority,
        created_at: now,
        seen_at: None,
        read_at: None,
        archived_at: None,
    };
    inbox::put(work, user, &item).await?;
    let topic = format!("user.{}", sampan_client::topic_token(user));
    let event = Event::of(&topic, "notification:new", now, &item)?;
    outbox::add(work, &event.producer("notifications").key(user)).await
}

/// What takes the place of an older one on a device: all of one type about the same thing.
fn collapse(trigger: &Trigger) -> Option<String> {
    let about: String = trigger.data.get(subject(trigger.kind)?)?;
    let kind = name(&trigger.kind).ok()?;
    let hash = digest(&SHA256, format!("{kind}:{about}").as_bytes());
    hash.as_ref().get(..16).map(hex)
}

/// The member of its data that names what it is about.
const fn subject(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::OrderStatusUpdate | Kind::PaymentConfirmation => Some("order_id"),
        Kind::InventoryAlert => Some("product_id"),
        Kind::ChatMessage => Some("conversation_id"),
        Kind::PromotionAlert => None,
    }
}

fn unsaid(why: Unsaid) -> Problem {
    let field = match why {
        Unsaid::Missing => "channels",
        Unsaid::Broken(_) => "data",
    };
    Problem::field(field, &why.to_string())
}

/// What a provider's endpoint is stored as.
pub(super) fn endpoint(channel: Channel, address: &str) -> Option<Endpoint> {
    match channel {
        Channel::Email => Some(Endpoint::Email { address: address.to_owned() }),
        Channel::Sms => Some(Endpoint::Sms { number: address.to_owned() }),
        Channel::Push | Channel::Websocket => None,
    }
}

impl Lane {
    /// The lane of a delivery: what is part of a job, or an offer, never goes before all else.
    fn of(kind: Kind, priority: Priority, is_bulk: bool) -> Self {
        match (kind.is_critical(), is_bulk, priority) {
            (true, ..) => Lane::Urgent,
            (_, true, _) | (_, _, Priority::Low) => Lane::Bulk,
            (_, _, Priority::High) => Lane::Urgent,
            _ => Lane::Normal,
        }
    }
}

impl Suppressed {
    /// The name on the wire.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Suppressed::Preference => "preference",
            Suppressed::NoAddress => "no_address",
            Suppressed::Unverified => "unverified",
            Suppressed::Listed => "listed",
            Suppressed::Live => "live",
        }
    }
}
