//! What is known of a user, and what may be told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::check_id;
use crate::moment::Moment;
use crate::role::Role;
use crate::service::Problem;

/// Bytes of a name.
const TEXT_BYTES_MAX: usize = 255;

/// What a backend tells of a user. It takes the place of all that was told before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upsert {
    /// Id of the user, as in the subject of the user's tokens.
    pub id: String,
    /// The role.
    pub role: Role,
    /// The name that others see.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether the user goes first where others wait.
    #[serde(default)]
    pub vip: bool,
    /// What the user has bought so far, in the shop's currency.
    #[serde(default)]
    pub lifetime_value: f64,
    /// Language and region, such as `th-TH`.
    #[serde(default)]
    pub locale: Option<String>,
    /// Name of a time zone, such as `Asia/Bangkok`.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// E-mail address.
    #[serde(default)]
    pub email: Option<String>,
    /// When the address was shown to be the user's.
    #[serde(default)]
    pub email_verified_at: Option<Moment>,
    /// Telephone number, such as `+66812345678`.
    #[serde(default)]
    pub phone: Option<String>,
    /// When the number was shown to be the user's.
    #[serde(default)]
    pub phone_verified_at: Option<Moment>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct User {
    /// What was told last.
    #[serde(flatten)]
    pub user: Upsert,
    /// When the user was first told of.
    pub created_at: Moment,
    /// When last.
    pub updated_at: Moment,
}

/// Which user is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Id of the user.
    pub id: String,
}

impl User {
    /// What is taken for true of a user whom nobody has told of.
    #[must_use]
    pub fn plain(id: &str) -> Self {
        let user = Upsert {
            id: id.to_owned(),
            role: Role::Customer,
            name: None,
            vip: false,
            lifetime_value: 0.0,
            locale: None,
            time_zone: None,
            email: None,
            email_verified_at: None,
            phone: None,
            phone_verified_at: None,
        };
        User { user, created_at: Moment::default(), updated_at: Moment::default() }
    }
}

impl Upsert {
    /// Refuses what cannot be true.
    ///
    /// # Errors
    /// A problem that names the field.
    pub fn check(&self) -> Result<(), Problem> {
        check_id("id", &self.id)?;
        let texts = [
            ("name", self.name.as_deref(), is_text as fn(&str) -> bool),
            ("locale", self.locale.as_deref(), is_locale),
            ("time_zone", self.time_zone.as_deref(), is_time_zone),
            ("email", self.email.as_deref(), is_email),
            ("phone", self.phone.as_deref(), is_phone),
        ];
        for (field, text, is_valid) in texts {
            if text.is_some_and(|text| !is_valid(text)) {
                return Err(Problem::field(field, "not valid"));
            }
        }
        if !self.lifetime_value.is_finite() || self.lifetime_value < 0.0 {
            return Err(Problem::field("lifetime_value", "not a sum of money"));
        }
        let verified = [
            ("email_verified_at", self.email.is_some(), self.email_verified_at),
            ("phone_verified_at", self.phone.is_some(), self.phone_verified_at),
        ];
        for (field, has_address, verified_at) in verified {
            if verified_at.is_some_and(|at| at.as_ms() < 0 || !has_address) {
                return Err(Problem::field(field, "nothing was verified then"));
            }
        }
        Ok(())
    }
}

fn is_text(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control)
}

/// Letters, digits and hyphens, as the tags of languages have them.
fn is_locale(text: &str) -> bool {
    (2..=35).contains(&text.len())
        && text.split('-').all(|part| {
            (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}

fn is_time_zone(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte))
}

/// One `@` with something on both sides. Only a message that arrives shows more.
fn is_email(text: &str) -> bool {
    let is_plain = is_text(text) && !text.contains(char::is_whitespace) && text.len() <= 254;
    is_plain
        && text.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty() && host.contains('.') && !host.contains('@') && !host.starts_with('.')
        })
}

/// E.164: a plus and up to 15 digits, the first not 0.
fn is_phone(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (2..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(change: impl FnOnce(&mut Upsert)) -> Result<(), Problem> {
        let mut user = User::plain("u1").user;
        change(&mut user);
        user.check()
    }

    #[test]
    fn what_a_backend_tells_is_checked_field_by_field() {
        assert_eq!(told(|_| ()), Ok(()));
        let whole = told(|user| {
            user.name = Some("สมชาย ใจดี".to_owned());
            user.locale = Some("th-TH".to_owned());
            user.time_zone = Some("Asia/Bangkok".to_owned());
            user.email = Some("somchai@example.co.th".to_owned());
            user.email_verified_at = Some(Moment::from_ms(1));
            user.phone = Some("+66812345678".to_owned());
            user.lifetime_value = 1e9;
        });
        assert_eq!(whole, Ok(()));
        type Change = fn(&mut Upsert);
        let bad: [(&str, Change); 10] = [
            ("id", |user| user.id = " ".to_owned()),
            ("id", |user| user.id = "x".repeat(256)),
            ("name", |user| user.name = Some("a\0b".to_owned())),
            ("locale", |user| user.locale = Some("th_TH".to_owned())),
            ("time_zone", |user| user.time_zone = Some("Bangkok; --".to_owned())),
            ("email", |user| user.email = Some("somchai".to_owned())),
            ("email", |user| user.email = Some("a@b@c.d".to_owned())),
            ("phone", |user| user.phone = Some("0812345678".to_owned())),
            ("lifetime_value", |user| user.lifetime_value = f64::NAN),
            ("phone_verified_at", |user| user.phone_verified_at = Some(Moment::default())),
        ];
        for (field, change) in bad {
            let problem = told(change).expect_err(field);
            assert!(problem.reason.starts_with(field), "{problem:?}");
        }
    }
}
