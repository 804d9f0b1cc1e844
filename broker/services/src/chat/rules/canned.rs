//! Canned responses: which one a shortcut means, and what it says.

use std::collections::BTreeMap;

use crate::chat::model::{CannedResponse, Scope};
use crate::refusal::Refusal;

use super::text;

/// Characters of a shortcut.
const SHORTCUT_CHARS_MAX: usize = 64;

/// The response as it may be stored.
///
/// # Errors
/// A refusal that names the field.
pub fn check(response: CannedResponse) -> Result<CannedResponse, Refusal> {
    let shortcut = response.shortcut.trim().to_lowercase();
    let is_word = |c: char| c.is_alphanumeric() || "-_./".contains(c);
    if shortcut.is_empty()
        || shortcut.chars().count() > SHORTCUT_CHARS_MAX
        || !shortcut.chars().all(is_word)
    {
        return Err(Refusal::field("shortcut", "letters, digits and -_./, up to 64"));
    }
    if (response.scope == Scope::Global) != response.owner.is_empty() {
        return Err(Refusal::field("owner", "an agent or a team; none for global ones"));
    }
    let owner = match response.scope {
        Scope::Team => team(&response.owner),
        _ => response.owner,
    };
    let text = text::clean(&response.text)?.ok_or(Refusal::field("text", "something to read"))?;
    names(&text)?;
    Ok(CannedResponse { owner, shortcut, text, ..response })
}

/// A team as it is compared: skills are the same in capitals.
#[must_use]
pub fn team(name: &str) -> String {
    name.to_lowercase()
}

/// The response that an agent of these [teams](team) means: its own before its teams' before
/// everybody's.
#[must_use]
pub fn find<'a>(
    responses: &'a [CannedResponse],
    shortcut: &str,
    agent: &str,
    teams: &[String],
) -> Option<&'a CannedResponse> {
    let shortcut = shortcut.trim().to_lowercase();
    let rank = |response: &CannedResponse| match response.scope {
        Scope::Personal => (response.owner == agent).then_some(0),
        Scope::Team => teams.contains(&response.owner).then_some(1),
        Scope::Global => Some(2),
    };
    let meant = responses.iter().filter(|response| response.shortcut == shortcut);
    let ranked = meant.filter_map(|response| Some((rank(response)?, response)));
    ranked.min_by_key(|(rank, response)| (*rank, response.id.as_str())).map(|(_, found)| found)
}

/// The text with its variables filled in.
///
/// # Errors
/// A refusal of `variables` if one is missing, since no customer reads a gap, or if the whole would
/// have more than 10,000 characters.
pub fn fill(text: &str, variables: &BTreeMap<String, String>) -> Result<String, Refusal> {
    let (mut out, mut room) = (String::new(), text::CHARS_MAX);
    let mut add = |part: &str| {
        const TOO_LONG: Refusal = Refusal::field("variables", "a message of 10,000 characters");
        room = room.checked_sub(part.chars().count()).ok_or(TOO_LONG)?;
        out.push_str(part);
        Ok(())
    };
    let mut rest = text;
    while let Some((before, inside, after)) = variable(rest)? {
        let value = variables.get(inside);
        add(before)?;
        add(value.ok_or(Refusal::field("variables", "a value for each variable"))?)?;
        rest = after;
    }
    add(rest)?;
    Ok(out)
}

/// The names of a text's variables.
///
/// # Errors
/// A refusal of `text` if a variable does not end or has no name.
pub fn names(text: &str) -> Result<Vec<&str>, Refusal> {
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some((_, inside, after)) = variable(rest)? {
        out.push(inside);
        rest = after;
    }
    Ok(out)
}

/// What is before the first variable, its name, and what is after it.
fn variable(text: &str) -> Result<Option<(&str, &str, &str)>, Refusal> {
    const BROKEN: Refusal = Refusal::field("text", "variables such as {{customer_name}}");
    let Some((before, rest)) = text.split_once("{{") else { return Ok(None) };
    let (inside, after) = rest.split_once("}}").ok_or(BROKEN)?;
    let name = inside.trim();
    let is_name =
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._".contains(c));
    if is_name { Ok(Some((before, name, after))) } else { Err(BROKEN) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(id: &str, scope: Scope, owner: &str) -> CannedResponse {
        let (id, owner) = (id.to_owned(), owner.to_owned());
        let text = "สวัสดี {{ customer_name }}!".to_owned();
        CannedResponse { id, scope, owner, shortcut: "Hi".to_owned(), text }
    }

    #[test]
    fn an_agents_own_response_comes_before_the_teams_and_everybodys() {
        let all: Vec<_> = [
            response("1", Scope::Global, ""),
            response("2", Scope::Team, "Sales"),
            response("3", Scope::Personal, "a"),
        ]
        .into_iter()
        .map(|response| check(response).unwrap())
        .collect();
        let teams = ["sales".to_owned()];
        let found = |agent, teams| find(&all, " HI", agent, teams).map(|found| found.id.as_str());
        assert_eq!(found("a", &teams[..]), Some("3"));
        assert_eq!(found("b", &teams[..]), Some("2"));
        assert_eq!(found("b", &[]), Some("1"));
        assert!(find(&all, "hello", "a", &teams).is_none());
    }

    #[test]
    fn a_variable_without_a_value_is_refused() {
        let text = "สวัสดี {{ customer_name }}! {{x}}";
        let mut values = BTreeMap::from([("customer_name".to_owned(), "{{x}}".to_owned())]);
        assert!(fill(text, &values).is_err());
        values.insert("x".to_owned(), "1".to_owned());
        assert_eq!(fill(text, &values).unwrap(), "สวัสดี {{x}}! 1");
        assert_eq!(names(text).unwrap(), ["customer_name", "x"]);
    }

    #[test]
    fn a_filled_text_is_no_longer_than_a_message() {
        let text = "{{a}}".repeat(2_000);
        let filled =
            |value: &str| fill(&text, &BTreeMap::from([("a".to_owned(), value.to_owned())]));
        assert_eq!(filled("ก😀abc").unwrap().chars().count(), 10_000);
        assert!(filled("ก😀abcd").is_err());
        assert!(filled(&"x".repeat(900_000)).is_err());
    }

    #[test]
    fn a_response_that_cannot_be_used_is_not_stored() {
        let bad = [
            CannedResponse { shortcut: "two words".to_owned(), ..response("1", Scope::Global, "") },
            CannedResponse { shortcut: String::new(), ..response("1", Scope::Global, "") },
            CannedResponse { text: "{{open".to_owned(), ..response("1", Scope::Global, "") },
            CannedResponse { text: " ".to_owned(), ..response("1", Scope::Global, "") },
            response("1", Scope::Global, "somebody"),
            response("1", Scope::Team, ""),
        ];
        for response in bad {
            assert!(check(response.clone()).is_err(), "{response:?}");
        }
    }
}
