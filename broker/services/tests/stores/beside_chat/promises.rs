//! Promises to conversations, and agents, one of which is damaged.

use sampan_services::chat::course::{Courses, PolicyPut};
use sampan_services::chat::model::Agent;
use sampan_services::chat::store::{SqlStore, Store};
use sampan_services::store::{Database, Query};

use crate::sites::Site;

async fn execute(database: &Database, text: &'static str) {
    let mut work = database.begin().await.expect("begun");
    work.execute(Query::new(text)).await.expect(text);
    work.commit().await.expect("stored");
}

#[tokio::test]
async fn a_course_that_cannot_be_read_holds_up_no_other() {
    for site in Site::each() {
        let database = site.migrated().await;
        let courses = Courses::new(&database);
        let (id, first_response_s) = ("default".to_owned(), Some(1));
        let policy = PolicyPut { id, first_response_s, ..PolicyPut::default() };
        courses.put_policy(&policy).await.expect("promised");
        let add = "INSERT INTO courses (conversation_id, customer_id, epoch, place, taken_seq, \
                   policy_id, due_at, applied, body) VALUES \
                   ('bad', 'cat', 1, 1, 1, 'default', 1, '{}', '{'), \
                   ('good', 'cat', 1, 1, 1, 'default', 2, '{}', '{}')";
        execute(&database, add).await;
        assert_eq!(courses.look().await, Ok(0), "{}", site.name);
        let due = Query::new("SELECT due_at FROM courses WHERE due_at IS NOT NULL");
        assert!(database.one(due).await.expect("read").is_none(), "each was looked at");
    }
}

#[tokio::test]
async fn an_agent_that_cannot_be_read_holds_up_no_other() {
    for site in Site::each() {
        let database = site.migrated().await;
        let store = SqlStore::new(&database);
        for id in ["amy", "kim"] {
            let email = format!("{id}@shop.example");
            let agent = Agent { id: id.to_owned(), email, ..Agent::default() };
            store.put_agent(&agent).await.expect("told");
        }
        execute(&database, "UPDATE agents SET body = '{' WHERE id = 'amy'").await;
        let ids = store.agents().await.expect("read").into_iter().map(|agent| agent.id);
        assert_eq!(ids.collect::<Vec<_>>(), ["kim"], "{}", site.name);
    }
}
