//! What others ask about notifications: who may, and whether it can be true.

use std::sync::Arc;

use super::asked::*;
use super::counters::Counters;
use super::model::{Channel, Template, Trigger};
use super::rules::sms;
use super::rules::template::{choose, render};
use super::send::Services;
use super::store::{Notifications, Sent, quiet};
use crate::id::check_id;
use crate::role::Role;
use crate::service::{Asker, Problem};

/// Bytes of an id, an address or a token of a device.
const TEXT_BYTES_MAX: usize = 1_024;
/// Bytes of a template's text.
const TEMPLATE_BYTES_MAX: usize = 16 * 1024;
/// Ids of one mark.
const IDS_MAX: usize = 100;

/// Whom notifications are asked of.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    pub(super) store: Notifications,
    pub(super) counters: Arc<Counters>,
    /// Which push services of browsers are asked.
    pub(super) services: Services,
}

/// An empty question or answer.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

impl Desk {
    pub(super) async fn send(self, asker: Asker, told: Trigger) -> Result<Accepted, Problem> {
        self.store.accept(&told, Sent { caller: &asker.user, job: None }).await
    }

    pub(super) async fn get(self, asker: Asker, wanted: Wanted) -> Result<Report, Problem> {
        let report = self.store.report(&wanted.notification_id).await?;
        let is_seen = |report: &Report| is_operator(&asker) || report.user_id == asker.user;
        report.filter(is_seen).ok_or_else(unknown)
    }

    pub(super) async fn cancel(self, asker: Asker, wanted: Wanted) -> Result<Report, Problem> {
        self.store.cancel(&wanted.notification_id).await?.ok_or_else(unknown)?;
        self.get(asker, wanted).await
    }

    pub(super) async fn replay(self, _: Asker, asked: Replay) -> Result<DeliveryOf, Problem> {
        self.store.replay(&asked).await
    }

    pub(super) async fn failed(self, _: Asker, asked: FailedWanted) -> Result<Failed, Problem> {
        let max = asked.limit.unwrap_or(PAGE_MAX).min(PAGE_MAX);
        Ok(Failed { deliveries: self.store.failed(max).await? })
    }

    pub(super) async fn inbox(self, asker: Asker, asked: InboxWanted) -> Result<Inbox, Problem> {
        let user = whose(&asker, asked.user_id.as_ref())?;
        let is_archived = asked.archived.unwrap_or(false);
        let max = asked.limit.unwrap_or(PAGE_MAX).min(PAGE_MAX);
        Ok(self.store.inbox(&user, is_archived, asked.before.as_deref(), max).await?)
    }

    pub(super) async fn mark(self, asker: Asker, asked: Mark) -> Result<Updated, Problem> {
        if let Some(ids) = &asked.ids {
            if ids.is_empty() || ids.len() > IDS_MAX {
                return Err(Problem::field("ids", "1 to 100 of them, or none at all for all"));
            }
            ids.iter().try_for_each(|id| text("ids", id))?;
        }
        Ok(self.store.mark(&asker.user, asked.ids.as_deref(), asked.mark).await?)
    }

    pub(super) async fn register(self, asker: Asker, told: DevicePut) -> Result<Device, Problem> {
        let user = whose(&asker, told.user_id.as_ref())?;
        text("token", &told.token)?;
        if !told.app.is_empty() {
            text("app", &told.app)?;
        }
        match told.provider {
            DeviceProvider::Apn => {
                let is_hex = told.token.bytes().all(|byte| byte.is_ascii_hexdigit());
                if !is_hex || told.token.len() > 200 || told.app.is_empty() {
                    return Err(Problem::field("token", "hexadecimal, with the bundle id as app"));
                }
            }
            DeviceProvider::WebPush => {
                self.services.check(&told.token).map_err(|why| Problem::field("token", why))?;
                for (field, key) in [("p256dh", &told.p256dh), ("auth", &told.auth)] {
                    text(field, key.as_deref().unwrap_or_default())?;
                }
            }
            DeviceProvider::Firebase => {}
        }
        Ok(self.store.register(&user, &told).await?)
    }

    pub(super) async fn forget(self, asker: Asker, gone: DeviceGone) -> Result<Nothing, Problem> {
        let user = whose(&asker, gone.user_id.as_ref())?;
        let by = gone.device_id.or(gone.token);
        let by = by.ok_or_else(|| Problem::field("device_id", "it, or the token, is needed"))?;
        match self.store.forget(&user, &by).await? {
            true => Ok(Nothing {}),
            false => Err(Problem::not_found("there is no such device, or not of this user")),
        }
    }

    pub(super) async fn devices(
        self,
        asker: Asker,
        asked: WhoseWanted,
    ) -> Result<Devices, Problem> {
        let user = whose(&asker, asked.user_id.as_ref())?;
        Ok(Devices { devices: self.store.devices(&user).await? })
    }

    pub(super) async fn webpush_key(self, _: Asker, _: Nothing) -> Result<WebPushKey, Problem> {
        Ok(WebPushKey { key: self.store.webpush_key().await? })
    }

    pub(super) async fn preferences(
        self,
        asker: Asker,
        asked: WhoseWanted,
    ) -> Result<Preferences, Problem> {
        let user = whose(&asker, asked.user_id.as_ref())?;
        Ok(self.store.preferences(&user).await?)
    }

    pub(super) async fn choose(
        self,
        asker: Asker,
        told: Preferences,
    ) -> Result<Preferences, Problem> {
        let user = whose(&asker, told.user_id.as_ref())?;
        if let Some(hours) = &told.quiet_hours {
            quiet(hours, hours.tz.as_deref().unwrap_or("UTC"))?;
        }
        self.store.choose(&user, &told).await?;
        Ok(self.store.preferences(&user).await?)
    }

    pub(super) async fn templates(self, _: Asker, _: Nothing) -> Result<Templates, Problem> {
        Ok(Templates { templates: self.store.templates().await? })
    }

    pub(super) async fn put_template(
        self,
        _: Asker,
        told: TemplatePut,
    ) -> Result<Template, Problem> {
        text("locale", &told.locale)?;
        let texts =
            [("title_template", &told.title_template), ("body_template", &told.body_template)];
        for (field, text) in texts {
            if text.len() > TEMPLATE_BYTES_MAX {
                return Err(Problem::field(field, "at most 16 KiB"));
            }
            super::rules::template::parse(text)
                .map_err(|why| Problem::field(field, &why.to_string()))?;
        }
        Ok(self.store.put_template(told).await?)
    }

    pub(super) async fn preview(self, _: Asker, asked: PreviewWanted) -> Result<Preview, Problem> {
        let templates = self.store.templates().await?;
        let template = choose(&templates, asked.kind, asked.channel, &asked.locale)
            .map_err(|why| Problem::field("channel", &why.to_string()))?;
        let said = render(template, asked.data.as_ref(), 0)
            .map_err(|why| Problem::field("data", &why.to_string()))?;
        let sms_parts = (asked.channel == Channel::Sms).then(|| sms::parts(&said.body).count);
        let template_id = template.id.clone();
        Ok(Preview { template_id, title: said.title, body: said.body, sms_parts })
    }

    pub(super) async fn suppress(self, _: Asker, told: Suppress) -> Result<Nothing, Problem> {
        listed(&told)?;
        self.store.suppress(&told).await?;
        Ok(Nothing {})
    }

    pub(super) async fn allow(self, _: Asker, told: Suppress) -> Result<Nothing, Problem> {
        listed(&told)?;
        match self.store.allow(told.channel, &told.address).await? {
            true => Ok(Nothing {}),
            false => Err(Problem::not_found("the address is not on the list")),
        }
    }

    pub(super) async fn suppressions(
        self,
        _: Asker,
        asked: SuppressionsWanted,
    ) -> Result<Suppressions, Problem> {
        let max = asked.limit.unwrap_or(PAGE_MAX).min(PAGE_MAX);
        let after = asked.after.as_deref().unwrap_or_default();
        let suppressions = self.store.suppressed(asked.channel, after, max).await?;
        Ok(Suppressions { suppressions })
    }

    pub(super) async fn bulk(self, asker: Asker, part: BulkPart) -> Result<Progress, Problem> {
        check_id("job_id", &part.job_id)?;
        if part.items.len() > super::store::PART_MAX {
            return Err(Problem::field("items", "at most 1,000 in one part"));
        }
        self.store.add_part(&asker.user, &part).await
    }

    pub(super) async fn bulk_get(self, _: Asker, asked: BulkWanted) -> Result<Progress, Problem> {
        self.store.progress(&asked.job_id).await?.ok_or_else(no_job)
    }

    pub(super) async fn bulk_refused(
        self,
        _: Asker,
        asked: BulkWanted,
    ) -> Result<RefusedItems, Problem> {
        Ok(RefusedItems { items: self.store.refused(&asked.job_id).await? })
    }

    pub(super) async fn bulk_cancel(
        self,
        _: Asker,
        asked: BulkWanted,
    ) -> Result<Progress, Problem> {
        self.store.cancel_job(&asked.job_id).await
    }

    pub(super) async fn bulk_resume(
        self,
        _: Asker,
        asked: BulkWanted,
    ) -> Result<Progress, Problem> {
        self.store.resume_job(&asked.job_id).await
    }
}

fn is_operator(asker: &Asker) -> bool {
    Role::OPERATORS.contains(&asker.role)
}

/// The user that is asked about: the asker, or for an operator anybody.
fn whose(asker: &Asker, named: Option<&String>) -> Result<String, Problem> {
    match named {
        Some(user) if *user == asker.user || is_operator(asker) => {
            check_id("user_id", user)?;
            Ok(user.clone())
        }
        Some(_) => Err(Problem::not_allowed("these are the notifications of another")),
        None => Ok(asker.user.clone()),
    }
}

fn listed(told: &Suppress) -> Result<(), Problem> {
    match told.channel {
        Channel::Email => text("address", &told.address),
        Channel::Sms => Ok(sms::number(&told.address).map(|_| ())?),
        Channel::Push | Channel::Websocket => {
            Err(Problem::field("channel", "email or sms: for others there are preferences"))
        }
    }
}

fn text(field: &'static str, text: &str) -> Result<(), Problem> {
    let is_good = !text.trim().is_empty()
        && text.len() <= TEXT_BYTES_MAX
        && !text.chars().any(char::is_control);
    let why = "1 to 1,024 bytes without control characters";
    if is_good { Ok(()) } else { Err(Problem::field(field, why)) }
}

fn unknown() -> Problem {
    Problem::not_found("there is no such notification, or not for you")
}

fn no_job() -> Problem {
    Problem::not_found("there is no such job")
}
