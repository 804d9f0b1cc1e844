//! What a notification says: the template of its type, channel and language, filled in.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::Value;

use crate::notifications::model::{Channel, Kind, Template};

/// Steps that a template may take.
const FUEL: u64 = 50_000;
/// The language before the template without one.
const SECOND: &str = "en";
/// The language of the template for all others.
const LAST: &str = "default";

/// Characters of title and body by channel.
const LIMITS: &[(Channel, usize, usize)] = &[
    (Channel::Push, 120, 500),
    (Channel::Email, 200, 100_000),
    (Channel::Sms, 0, 670),
    (Channel::Websocket, 200, 4_000),
];

/// What a notification says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Title; empty for text messages.
    pub title: String,
    /// Body.
    pub body: String,
    /// Number on the icon.
    pub badge: u32,
}

/// Why nothing can be said. It is the caller's or the author's fault, and told at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsaid {
    /// There is no template for this.
    Missing,
    /// The template cannot be filled in with these data: the reason, for its author.
    Broken(String),
}

impl std::fmt::Display for Unsaid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unsaid::Missing => f.write_str("there is no template for this type and channel"),
            Unsaid::Broken(reason) => write!(f, "the template cannot be filled in: {reason}"),
        }
    }
}

impl std::error::Error for Unsaid {}

/// The template of a type and channel in the user's language, or in English, or in any.
///
/// # Errors
/// `Missing` if there is none.
pub fn choose<'a>(
    templates: &'a [Template],
    kind: Kind,
    channel: Channel,
    locale: &str,
) -> Result<&'a Template, Unsaid> {
    let base = locale.split(['-', '_']).next().unwrap_or("");
    let of = |wanted: &str| {
        let meant = templates.iter().filter(|one| one.kind == kind && one.channel == channel);
        let spoken = meant.filter(|one| one.locale.eq_ignore_ascii_case(wanted));
        spoken.max_by_key(|one| one.version)
    };
    [locale, base, SECOND, LAST].into_iter().find_map(of).ok_or(Unsaid::Missing)
}

/// What the template says with these data. Nothing may be missing. What is put into the body of a
/// mail is escaped; no other channel shows HTML. What is too long ends with an ellipsis.
///
/// # Errors
/// `Broken` if a variable is missing or the template is wrong or takes too long.
pub fn render(template: &Template, data: &Value, unread: u32) -> Result<Said, Unsaid> {
    let limits = LIMITS.iter().find(|(channel, _, _)| *channel == template.channel);
    let (title_max, body_max) = limits.map_or((0, 0), |(_, title, body)| (*title, *body));
    let body_escape = match template.channel {
        Channel::Email => AutoEscape::Html,
        Channel::Push | Channel::Sms | Channel::Websocket => AutoEscape::None,
    };
    let title = fill(&template.title_template, data, AutoEscape::None)?;
    let body = fill(&template.body_template, data, body_escape)?;
    // A line break in a title would be a header of its own in a mail.
    let title: String = title.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(Said {
        title: cut(&title, title_max),
        body: cut(&body, body_max),
        badge: template.badge_count.unwrap_or(unread),
    })
}

/// Whether a text is a template at all.
///
/// # Errors
/// `Broken` if not.
pub fn parse(source: &str) -> Result<(), Unsaid> {
    let parsed = Environment::new().template_from_str(source).map(|_| ());
    parsed.map_err(|error| Unsaid::Broken(error.to_string()))
}

fn fill(source: &str, data: &Value, escape: AutoEscape) -> Result<String, Unsaid> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_auto_escape_callback(move |_| escape.clone());
    engine.set_fuel(Some(FUEL));
    let filled = engine.render_str(source, Serde(data));
    filled.map_err(|error| Unsaid::Broken(error.to_string()))
}

/// The text, or as much of it as there is room for.
fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(max.saturating_sub(1)).collect();
    if max == 0 { kept } else { kept.trim_end().to_owned() + "…" }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::notifications::model::Priority;

    fn template(channel: Channel, locale: &str, version: u32) -> Template {
        Template {
            id: format!("{locale}{version}"),
            kind: Kind::OrderStatusUpdate,
            channel,
            locale: locale.to_owned(),
            version,
            title_template: "Order {{ order_id }}".to_owned(),
            body_template: "{{ name }}: {{ status }}".to_owned(),
            action_url: None,
            icon_url: None,
            badge_count: None,
            sound: None,
            priority: Priority::Normal,
            ttl: 3_600,
        }
    }

    fn data() -> Value {
        json!({ "order_id": "o1", "name": "<b>สมชาย</b>", "status": "shipped" })
    }

    #[test]
    fn the_language_of_the_user_then_english_then_any() {
        let push = Channel::Push;
        let all = [
            template(push, "th", 1),
            template(push, "th", 2),
            template(push, "en", 1),
            template(push, "default", 1),
        ];
        let id = |all: &[Template], locale| {
            choose(all, Kind::OrderStatusUpdate, push, locale).map(|found| found.id.clone())
        };
        assert_eq!(id(&all, "th-TH"), Ok("th2".to_owned()));
        assert_eq!(id(&all, "de"), Ok("en1".to_owned()));
        assert_eq!(id(&all[3..], "th"), Ok("default1".to_owned()));
        assert_eq!(id(&all[..2], "de"), Err(Unsaid::Missing));
        assert_eq!(choose(&all, Kind::ChatMessage, push, "th"), Err(Unsaid::Missing));
    }

    #[test]
    fn only_the_body_of_a_mail_is_escaped() {
        let body = |channel| render(&template(channel, "th", 1), &data(), 0).unwrap().body;
        assert_eq!(body(Channel::Email), "&lt;b&gt;สมชาย&lt;&#x2f;b&gt;: shipped");
        for channel in [Channel::Push, Channel::Sms, Channel::Websocket] {
            assert_eq!(body(channel), "<b>สมชาย</b>: shipped");
        }
    }

    #[test]
    fn a_missing_variable_is_an_error_and_no_gap() {
        let missing = render(&template(Channel::Push, "th", 1), &json!({ "name": "x" }), 0);
        assert!(matches!(missing, Err(Unsaid::Broken(_))));
    }

    #[test]
    fn a_template_that_never_ends_is_stopped() {
        let body_template =
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
        let endless = Template {
            body_template: body_template.to_owned(),
            ..template(Channel::Push, "th", 1)
        };
        assert!(matches!(render(&endless, &data(), 0), Err(Unsaid::Broken(_))));
        let wrong =
            Template { title_template: "{{ a".to_owned(), ..template(Channel::Push, "th", 1) };
        assert!(matches!(render(&wrong, &data(), 0), Err(Unsaid::Broken(_))));
    }

    #[test]
    fn a_title_is_one_line_and_each_text_has_its_bounds() {
        let long = json!({ "order_id": "a\r\nBcc: x", "name": "ก".repeat(5_000), "status": "" });
        let said = render(&template(Channel::Push, "th", 1), &long, 3).unwrap();
        assert_eq!(said.title, "Order a Bcc: x");
        assert_eq!((said.body.chars().count(), said.body.ends_with('…')), (500, true));
        assert_eq!(said.badge, 3);
        let fixed = Template { badge_count: Some(1), ..template(Channel::Sms, "th", 1) };
        let said = render(&fixed, &data(), 3).unwrap();
        assert_eq!((said.title.as_str(), said.badge), ("", 1));
    }
}
