//! The templates: those of the shop, before those that ship.

use super::super::asked::TemplatePut;
use super::super::model::{Kind, Template};
use super::super::shipped;
use super::Notifications;
use crate::id::Id;
use crate::store::encoding::{json, name};
use crate::store::{Error, Query, Row, Work};

impl Notifications {
    /// Adds a template as the next version of its type, channel and language.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn put_template(&self, told: TemplatePut) -> Result<Template, Error> {
        let mut work = self.0.begin().await?;
        let (kind, channel) = (name(&told.kind)?, name(&told.channel)?);
        let query = Query::new(
            "SELECT COALESCE(MAX(version), 0) AS version FROM notification_templates \
             WHERE kind = $1 AND channel = $2 AND locale = $3",
        );
        let row = work.one(query.bind(&kind).bind(&channel).bind(&told.locale)).await?;
        let before: u64 = row.as_ref().map_or(Ok(0), |row| row.get("version"))?;
        let template = Template {
            id: Id::new().to_string(),
            kind: told.kind,
            channel: told.channel,
            locale: told.locale,
            version: u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1),
            title_template: told.title_template,
            body_template: told.body_template,
            action_url: told.action_url,
            icon_url: told.icon_url,
            badge_count: told.badge_count,
            sound: told.sound,
            priority: told.priority,
            ttl: told.ttl,
        };
        let query = Query::new(
            "INSERT INTO notification_templates (id, kind, channel, locale, version, body) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        );
        let query = query.bind(&template.id).bind(kind).bind(channel).bind(&template.locale);
        let query = query.bind(i64::from(template.version)).bind(json(&template)?);
        work.execute(query).await?;
        work.commit().await?;
        Ok(template)
    }

    /// The newest template of each type, channel and language.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn templates(&self) -> Result<Vec<Template>, Error> {
        let query = Query::new(
            "SELECT body FROM notification_templates AS t WHERE version = (SELECT MAX(version) \
             FROM notification_templates WHERE kind = t.kind AND channel = t.channel \
             AND locale = t.locale) ORDER BY kind, channel, locale",
        );
        let read = |row: &Row| row.json("body");
        let stored = self.0.all(query).await?.iter().map(read).collect::<Result<_, Error>>()?;
        Ok(over_shipped(stored))
    }
}

/// The templates of a type.
pub(super) async fn of_kind(work: &mut Work<'_>, kind: Kind) -> Result<Vec<Template>, Error> {
    let query = Query::new(
        "SELECT body FROM notification_templates AS t WHERE kind = $1 AND version = \
         (SELECT MAX(version) FROM notification_templates WHERE kind = t.kind \
         AND channel = t.channel AND locale = t.locale)",
    );
    let rows = work.all(query.bind(name(&kind)?)).await?;
    Ok(over_shipped(rows.iter().map(|row| row.json("body")).collect::<Result<_, Error>>()?))
}

/// These templates, and those that ship where there is none of these.
fn over_shipped(stored: Vec<Template>) -> Vec<Template> {
    let key = |one: &Template| (one.kind, one.channel, one.locale.to_lowercase());
    let is_new = |shipped: &&Template| !stored.iter().any(|one| key(one) == key(shipped));
    let rest: Vec<Template> = shipped::templates().iter().filter(is_new).cloned().collect();
    stored.into_iter().chain(rest).collect()
}
