//! What is known of a user, and what may be told.

use sampan_client::shop as told;
pub use sampan_client::shop::UserWanted as Wanted;

use crate::id::check_id;
use crate::moment::Moment;
use crate::role::Role;
use crate::service::Problem;

/// Bytes of a name.
const TEXT_BYTES_MAX: usize = 255;

/// What a backend tells of a user. It takes the place of all that was told before.
pub type Upsert = told::UserTold<Moment>;
/// A user.
pub type User = told::User<Moment>;

/// What is taken for true of a user whom nobody has told of.
#[must_use]
pub fn plain(id: &str) -> User {
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

/// Refuses what cannot be true.
///
/// # Errors
/// A problem that names the field.
pub(super) fn check(user: &Upsert) -> Result<(), Problem> {
    check_id("id", &user.id)?;
    let texts = [
        ("name", user.name.as_deref(), is_text as fn(&str) -> bool),
        ("locale", user.locale.as_deref(), is_locale),
        ("time_zone", user.time_zone.as_deref(), is_time_zone),
        ("email", user.email.as_deref(), is_email),
        ("phone", user.phone.as_deref(), is_phone),
    ];
    for (field, text, is_valid) in texts {
        if text.is_some_and(|text| !is_valid(text)) {
            return Err(Problem::field(field, "not valid"));
        }
    }
    if !user.lifetime_value.is_finite() || user.lifetime_value < 0.0 {
        return Err(Problem::field("lifetime_value", "not a sum of money"));
    }
    let verified = [
        ("email_verified_at", user.email.is_some(), user.email_verified_at),
        ("phone_verified_at", user.phone.is_some(), user.phone_verified_at),
    ];
    for (field, has_address, verified_at) in verified {
        if verified_at.is_some_and(|at| at.as_ms() < 0 || !has_address) {
            return Err(Problem::field(field, "nothing was verified then"));
        }
    }
    Ok(())
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
        let mut user = plain("u1").user;
        change(&mut user);
        check(&user)
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
