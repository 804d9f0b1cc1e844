//! The tables of orders.

use crate::store::{Schema, both};

pub(crate) const SCHEMA: Schema = Schema {
    name: "orders",
    steps: &[
        &[
            both(
                "CREATE TABLE orders (id TEXT PRIMARY KEY, customer_id TEXT NOT NULL, agent_id TEXT, \
             status TEXT NOT NULL, estimated_delivery BIGINT, placed_at BIGINT NOT NULL, \
             body TEXT NOT NULL)",
            ),
            both("CREATE INDEX orders_customer ON orders (customer_id, placed_at)"),
            both("CREATE INDEX orders_agent ON orders (agent_id, placed_at)"),
            both("CREATE INDEX orders_status ON orders (status, placed_at)"),
            both("CREATE INDEX orders_placed ON orders (placed_at, id)"),
            both(
                "CREATE TABLE order_events (order_id TEXT NOT NULL REFERENCES orders (id), \
             fingerprint TEXT NOT NULL, event_time BIGINT NOT NULL, body TEXT NOT NULL, \
             PRIMARY KEY (order_id, fingerprint))",
            ),
            both("CREATE INDEX order_events_time ON order_events (order_id, event_time)"),
            both(
                "CREATE TABLE tracking_jobs (id TEXT PRIMARY KEY, \
             order_id TEXT NOT NULL REFERENCES orders (id), carrier TEXT NOT NULL, \
             tracking_number TEXT NOT NULL, started_at BIGINT NOT NULL, \
             next_poll_at BIGINT NOT NULL, stop_at BIGINT NOT NULL, errors BIGINT NOT NULL, \
             lease_until BIGINT NOT NULL, is_over BIGINT NOT NULL, body TEXT NOT NULL, \
             UNIQUE (order_id, carrier, tracking_number))",
            ),
            both("CREATE INDEX tracking_jobs_due ON tracking_jobs (is_over, next_poll_at)"),
            both("CREATE INDEX tracking_jobs_stop ON tracking_jobs (is_over, stop_at)"),
            both(
                "CREATE INDEX tracking_jobs_number ON tracking_jobs (tracking_number, carrier, \
             started_at)",
            ),
        ],
        &[
            both("DROP INDEX tracking_jobs_number"),
            both(
                "CREATE INDEX tracking_jobs_number ON tracking_jobs (UPPER(tracking_number), \
                 started_at)",
            ),
        ],
    ],
};
