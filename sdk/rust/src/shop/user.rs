//! What is known of a user, and what may be told.

use serde::{Deserialize, Serialize};

use super::Role;

/// What a backend tells of a user. It takes the place of all that was told before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Upsert"))]
#[serde(deny_unknown_fields)]
pub struct UserTold<Time = String> {
    /// Id of the user, as in the subject of the user's tokens.
    pub id: String,
    /// The role.
    pub role: Role,
    /// The name that others see.
    pub name: Option<String>,
    /// Whether the user goes first where others wait.
    #[serde(default)]
    pub vip: bool,
    /// What the user has bought so far, in the shop's currency.
    #[serde(default)]
    pub lifetime_value: f64,
    /// Language and region, such as `th-TH`.
    pub locale: Option<String>,
    /// Name of a time zone, such as `Asia/Bangkok`.
    pub time_zone: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// When the address was shown to be the user's.
    pub email_verified_at: Option<Time>,
    /// Telephone number, such as `+66812345678`.
    pub phone: Option<String>,
    /// When the number was shown to be the user's.
    pub phone_verified_at: Option<Time>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "User"))]
pub struct User<Time = String> {
    /// What was told last.
    #[serde(flatten)]
    pub user: UserTold<Time>,
    /// When the user was first told of.
    pub created_at: Time,
    /// When last.
    pub updated_at: Time,
}

/// Which user is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UserWanted {
    /// Id of the user.
    pub id: String,
}
