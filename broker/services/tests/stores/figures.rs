//! The figures of a shop, counted from the tables of its services.

use sampan_services::figures::{Counts, Days, Ledger};
use sampan_services::store::Query;

use crate::sites::Site;

/// Rows of some days: what was made before and after is no part of the answer.
const ROWS: [&str; 13] = [
    "INSERT INTO reservation_days VALUES (0, 9), (1, 2), (3, 9)",
    "INSERT INTO reservations VALUES ('r0', 'p', '', 'l', 1, 'ann', 'committed', 0, 0, 'o', 86399999)",
    "INSERT INTO reservations VALUES ('r1', 'p', '', 'l', 1, 'ann', 'committed', 0, 0, 'o', 86400000)",
    "INSERT INTO reservations VALUES ('r1', 'q', '', 'l', 1, 'ann', 'committed', 0, 0, 'o', 86400000)",
    "INSERT INTO reservations VALUES ('r2', 'p', '', 'l', 1, 'bob', 'expired', 0, 0, NULL, 86400001)",
    "INSERT INTO reservations VALUES ('r3', 'p', '', 'l', 1, 'bob', 'held', 0, 0, NULL, 172799999)",
    "INSERT INTO reservations VALUES ('r4', 'p', '', 'l', 1, 'bob', 'held', 0, 0, NULL, 172800000)",
    "INSERT INTO orders (id, customer_id, status, placed_at, body) VALUES ('o1', 'a', 'delivered', 86400005, '{}')",
    "INSERT INTO orders (id, customer_id, status, placed_at, body) VALUES ('o2', 'a', 'returned', 86400005, '{}')",
    "INSERT INTO orders (id, customer_id, status, placed_at, body) VALUES ('o3', 'a', 'shipped', 172800000, '{}')",
    "INSERT INTO orders (id, customer_id, status, placed_at, body) VALUES ('o4', 'a', 'shipped', 259200000, '{}')",
    "INSERT INTO notifications VALUES ('n', 'a', 'k', 'shop', 0, 0, '{}')",
    "INSERT INTO deliveries (id, notification_id, user_id, channel, endpoint, provider, lane, state, \
     is_open, attempts, due_at, created_at, expires_at, updated_at, body) VALUES \
     ('d1', 'n', 'a', 'push', 'e1', 'fcm', 0, 'clicked', 0, 1, 0, 0, 0, 86400000, '{}'), \
     ('d2', 'n', 'a', 'push', 'e2', 'fcm', 0, 'sent', 0, 1, 0, 0, 0, 86400000, '{}'), \
     ('d3', 'n', 'a', 'push', 'e3', 'fcm', 0, 'failed', 0, 1, 0, 0, 0, 86400000, '{}'), \
     ('d4', 'n', 'a', 'push', 'e4', 'fcm', 0, 'queued', 1, 1, 0, 0, 0, 86400000, '{}')",
];

#[tokio::test]
async fn figures_are_those_of_whole_days_and_a_reservation_of_many_lines_is_one() {
    for site in Site::each() {
        let database = site.migrated().await;
        let mut work = database.begin().await.expect("begun");
        for row in ROWS {
            work.execute(Query::new(row)).await.expect(row);
        }
        work.commit().await.expect("committed");
        let days = Days::parse("1970-01-02", "1970-01-03").expect("days");
        let counts = Ledger::new(&database).counts(&days).await.expect("read");
        let first = Counts {
            reservations: 5,
            sold: 1,
            orders: 2,
            delivered: 1,
            cancelled: 1,
            notified: 2,
            clicked: 1,
            undelivered: 1,
        };
        let second = Counts { reservations: 1, orders: 1, ..Counts::default() };
        let wanted = [("1970-01-02".to_owned(), first), ("1970-01-03".to_owned(), second)];
        assert_eq!(counts.into_iter().collect::<Vec<_>>(), wanted, "{}", site.name);
    }
}
