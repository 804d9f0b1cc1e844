//! The users' table.

use std::collections::BTreeSet;

use sampan_services::users::{Upsert, Users, plain};
use sampan_services::{Moment, Role};

use crate::sites::Site;

#[tokio::test]
async fn what_was_told_last_is_what_is_known() {
    for site in Site::each() {
        let users = Users::new(&site.migrated().await);
        assert_eq!(users.find("u1").await, Ok(None));
        let told = Upsert {
            name: Some("สมหญิง 🛶 'quoted'".to_owned()),
            vip: true,
            lifetime_value: 12_345.675,
            locale: Some("th-TH".to_owned()),
            time_zone: Some("Asia/Bangkok".to_owned()),
            email: Some("a@example.com".to_owned()),
            email_verified_at: Some(Moment::from_ms(1_700_000_000_123)),
            phone: Some("+66812345678".to_owned()),
            ..plain("u1").user
        };
        let first = users.upsert(&told).await.expect("told");
        assert_eq!(first.user, told, "{}", site.name);
        assert_eq!(users.find("u1").await, Ok(Some(first.clone())));
        let less = Upsert { role: Role::Agent, ..plain("u1").user };
        let second = users.upsert(&less).await.expect("told");
        assert_eq!((&second.user, second.created_at), (&less, first.created_at));
        assert!(second.updated_at >= first.updated_at);
        assert_eq!(users.find("u1").await, Ok(Some(second)));
    }
}

#[tokio::test]
async fn a_user_nobody_has_told_of_is_no_vip_and_has_bought_nothing() {
    for site in Site::each() {
        let users = Users::new(&site.migrated().await);
        let ids = BTreeSet::from(["stranger", "u'1", "u2"]);
        assert_eq!(users.known(&ids).await, Ok(Vec::new()), "{}", site.name);
        let told = users.upsert(&plain("u'1").user).await.expect("told");
        users.upsert(&plain("u3").user).await.expect("told");
        assert_eq!(users.known(&ids).await, Ok(vec![told]), "{}", site.name);
        let user = users.known_or_plain("stranger").await.expect("asked").user;
        assert_eq!((user.vip, user.lifetime_value, user.role), (false, 0.0, Role::Customer));
        assert_eq!(users.find("stranger").await, Ok(None));
    }
}
