//! Canned responses.

use std::collections::BTreeMap;

use sampan_services::Role;
use sampan_services::chat::canned::{Canned, ListWanted, Put, Shelf, Use};
use sampan_services::chat::model::{Agent, Scope};
use sampan_services::chat::store::{SqlStore, Store};

use super::{asker, code};
use crate::sites::Site;

fn response(scope: Scope, owner: &str, text: &str) -> Put {
    let (owner, shortcut) = (owner.to_owned(), "Hi".to_owned());
    Put { scope, owner, shortcut, text: text.to_owned() }
}

async fn each() -> Vec<(Canned<SqlStore>, Site)> {
    let mut all = Vec::new();
    for site in Site::each() {
        let database = site.migrated().await;
        let chats = SqlStore::new(&database);
        let (id, email) = ("amy".to_owned(), "amy@example.com".to_owned());
        let skills = vec!["sales".to_owned(), "it's".to_owned()];
        let agent = Agent { id, email, skills, concurrent_limit: 1, ..Agent::default() };
        chats.put_agent(&agent).await.expect("told");
        all.push((Canned::new(Shelf::new(&database), chats), site));
    }
    all
}

#[tokio::test]
async fn an_agent_calls_up_its_own_response_before_its_teams_and_everybodys() {
    for (canned, site) in each().await {
        let (amy, bob) = (asker("amy", Role::Agent), asker("bob", Role::Agent));
        let boss = asker("boss", Role::Admin);
        let filled = async |who| {
            let variables = BTreeMap::from([("name".to_owned(), "แมว".to_owned())]);
            let wanted = Use { shortcut: " hI".to_owned(), variables };
            canned.fill(who, &wanted).await.map(|filled| filled.text)
        };
        assert_eq!(code(filled(&amy).await), 904, "{}", site.name);
        let global = response(Scope::Global, "", "สวัสดี {{name}}");
        let team = response(Scope::Team, "it's", "team {{name}}");
        for put in [global, team, response(Scope::Team, "stock", "other")] {
            canned.put(&boss, put).await.expect("kept");
        }
        assert_eq!(filled(&amy).await.as_deref(), Ok("team แมว"));
        assert_eq!(filled(&bob).await.as_deref(), Ok("สวัสดี แมว"));
        let own = canned.put(&amy, response(Scope::Personal, "", "own")).await.expect("kept");
        assert_eq!((own.owner.as_str(), own.shortcut.as_str()), ("amy", "hi"));
        assert_eq!(filled(&amy).await.as_deref(), Ok("own"));
        // The same shortcut again is the same response with another text.
        let again = response(Scope::Personal, "amy", "{{missing}}");
        let again = canned.put(&amy, again).await.expect("kept");
        assert_eq!((&again.id, again.text.as_str()), (&own.id, "{{missing}}"));
        assert_eq!(code(filled(&amy).await), 105);
        assert!(canned.delete(&amy, &own.id).await.expect("asked").deleted);
        assert!(!canned.delete(&amy, &own.id).await.expect("asked").deleted);
        assert_eq!(filled(&amy).await.as_deref(), Ok("team แมว"));
    }
}

#[tokio::test]
async fn agents_change_their_own_responses_and_see_what_they_may_use() {
    for (canned, _site) in each().await {
        let (amy, bob) = (asker("amy", Role::Agent), asker("bob", Role::Agent));
        let boss = asker("boss", Role::Admin);
        for (scope, owner) in
            [(Scope::Global, ""), (Scope::Team, "sales"), (Scope::Personal, "bob")]
        {
            let refused = canned.put(&amy, response(scope, owner, "x")).await;
            assert_eq!(code(refused), 200, "{owner}");
        }
        let global = canned.put(&boss, response(Scope::Global, "", "all")).await.expect("kept");
        canned.put(&boss, response(Scope::Team, "sales", "team")).await.expect("kept");
        canned.put(&bob, response(Scope::Personal, "", "bob's")).await.expect("kept");
        assert_eq!(code(canned.delete(&amy, &global.id).await), 200);
        let page = async |who, after: Option<String>, limit| {
            canned.list(who, &ListWanted { after, limit: Some(limit) }).await.expect("asked")
        };
        let texts = |list: &sampan_services::chat::canned::List| -> Vec<String> {
            list.responses.iter().map(|response| response.text.clone()).collect()
        };
        assert_eq!(texts(&page(&amy, None, 9).await), ["all", "team"]);
        assert_eq!(texts(&page(&bob, None, 9).await), ["all", "bob's"]);
        let first = page(&boss, None, 2).await;
        assert_eq!(texts(&first), ["all", "team"]);
        let second = page(&boss, first.next, 2).await;
        assert_eq!((texts(&second), second.next), (vec!["bob's".to_owned()], None));
    }
}
