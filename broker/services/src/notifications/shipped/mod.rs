//! The templates that ship: of every type and channel, for Thai and for all other languages.

use std::sync::LazyLock;

use serde::Deserialize;

use super::model::{Channel, Kind, Priority, Template};

/// A type's texts in one language.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Texts {
    #[serde(rename = "type")]
    kind: Kind,
    locale: String,
    title: String,
    text: String,
    mail: Option<String>,
    #[serde(default)]
    priority: Priority,
    ttl: u32,
}

#[derive(Deserialize)]
struct File {
    template: Vec<Texts>,
}

static TEMPLATES: LazyLock<Vec<Template>> = LazyLock::new(|| {
    let read: Result<File, _> = toml::from_str(include_str!("templates.toml"));
    let texts = read.map(|file| file.template).unwrap_or_default();
    texts.iter().flat_map(|texts| Channel::ALL.map(|channel| texts.of(channel))).collect()
});

/// The templates that ship. They have version 0, below all that a shop stores.
pub(super) fn templates() -> &'static [Template] {
    &TEMPLATES
}

impl Texts {
    fn of(&self, channel: Channel) -> Template {
        let paragraph = || format!("<p>{}</p>", self.text);
        let body_template = match channel {
            Channel::Email => self.mail.clone().unwrap_or_else(paragraph),
            Channel::Push | Channel::Sms | Channel::Websocket => self.text.clone(),
        };
        // Text messages have none.
        let title = if channel == Channel::Sms { "" } else { &self.title };
        Template {
            id: format!("{:?}-{channel:?}-{}-0", self.kind, self.locale).to_lowercase(),
            kind: self.kind,
            channel,
            locale: self.locale.clone(),
            version: 0,
            title_template: title.to_owned(),
            body_template,
            action_url: None,
            icon_url: None,
            badge_count: None,
            sound: None,
            priority: self.priority,
            ttl: self.ttl,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::notifications::rules::template::{choose, render};
    use crate::orders::model::Status;

    #[test]
    fn every_type_and_channel_says_something_in_thai_and_in_all_other_languages() {
        let data = json!({
            "order_id": "o1", "current_status": "shipped", "amount": "1,290.00", "currency": "THB",
            "product_name": "ชามะลิ", "sender_name": "มะลิ", "text": "สวัสดี <b>", "title": "ลด 50 %",
        });
        for kind in Kind::ALL {
            for channel in Channel::ALL {
                for locale in ["th-TH", "en", "de"] {
                    let template = choose(templates(), kind, channel, locale).expect("one");
                    let said = render(template, &data, 0).expect("filled in");
                    assert!(!said.body.is_empty(), "{kind:?} {channel:?} {locale}");
                    assert_eq!(said.title.is_empty(), channel == Channel::Sms);
                }
            }
        }
    }

    #[test]
    fn every_status_of_an_order_has_a_thai_word() {
        for status in Status::ALL {
            let data = json!({ "order_id": "o1", "current_status": status });
            let template =
                choose(templates(), Kind::OrderStatusUpdate, Channel::Sms, "th").expect("one");
            let body = render(template, &data, 0).expect("filled in").body;
            assert!(!body.contains(status.name()), "{body}");
        }
    }
}
