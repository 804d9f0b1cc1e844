//! The tables of notifications.

use crate::store::{Schema, both};

pub(crate) const SCHEMA: Schema = Schema {
    name: "notifications",
    steps: &[
        &[
            both(
                "CREATE TABLE notifications (id TEXT PRIMARY KEY, user_id TEXT NOT NULL, \
             kind TEXT NOT NULL, caller TEXT NOT NULL, created_at BIGINT NOT NULL, \
             expires_at BIGINT NOT NULL, body TEXT NOT NULL)",
            ),
            both("CREATE INDEX notifications_time ON notifications (created_at)"),
            both(
                "CREATE TABLE notification_keys (caller TEXT NOT NULL, name TEXT NOT NULL, \
             hash TEXT NOT NULL, notification_id TEXT NOT NULL, until BIGINT NOT NULL, \
             PRIMARY KEY (caller, name))",
            ),
            both("CREATE INDEX notification_keys_until ON notification_keys (until)"),
            both(
                "CREATE TABLE deliveries (id TEXT PRIMARY KEY, \
             notification_id TEXT NOT NULL REFERENCES notifications (id) ON DELETE CASCADE, \
             user_id TEXT NOT NULL, channel TEXT NOT NULL, endpoint TEXT NOT NULL, \
             provider TEXT NOT NULL, lane BIGINT NOT NULL, state TEXT NOT NULL, \
             is_open BIGINT NOT NULL, attempts BIGINT NOT NULL, due_at BIGINT NOT NULL, \
             created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, event_id TEXT, job TEXT, \
             reason TEXT, message_id TEXT, updated_at BIGINT NOT NULL, body TEXT NOT NULL, \
             UNIQUE (notification_id, channel, endpoint))",
            ),
            both(
                "CREATE INDEX deliveries_due ON deliveries (lane, provider, due_at) \
             WHERE is_open = 1",
            ),
            both("CREATE INDEX deliveries_job ON deliveries (job, state) WHERE job IS NOT NULL"),
            both("CREATE INDEX deliveries_state ON deliveries (state, updated_at)"),
            both(
                "CREATE TABLE delivery_attempts (\
             delivery_id TEXT NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE, \
             n BIGINT NOT NULL, at BIGINT NOT NULL, ms BIGINT NOT NULL, \
             provider TEXT NOT NULL, class TEXT NOT NULL, status BIGINT NOT NULL, \
             code TEXT NOT NULL, PRIMARY KEY (delivery_id, n))",
            ),
            both(
                "CREATE TABLE devices (id TEXT PRIMARY KEY, user_id TEXT NOT NULL, \
             provider TEXT NOT NULL, app TEXT NOT NULL, token TEXT NOT NULL, \
             registered_at BIGINT NOT NULL, last_seen_at BIGINT NOT NULL, disabled_at BIGINT, \
             disabled_reason TEXT, body TEXT NOT NULL, UNIQUE (provider, app, token))",
            ),
            both("CREATE INDEX devices_user ON devices (user_id)"),
            both("CREATE INDEX devices_seen ON devices (last_seen_at) WHERE disabled_at IS NULL"),
            both(
                "CREATE TABLE notification_preferences (user_id TEXT PRIMARY KEY, \
             body TEXT NOT NULL, updated_at BIGINT NOT NULL)",
            ),
            both(
                "CREATE TABLE notification_templates (id TEXT PRIMARY KEY, kind TEXT NOT NULL, \
             channel TEXT NOT NULL, locale TEXT NOT NULL, version BIGINT NOT NULL, \
             body TEXT NOT NULL, UNIQUE (kind, channel, locale, version))",
            ),
            both(
                "CREATE TABLE suppressions (channel TEXT NOT NULL, address TEXT NOT NULL, \
             reason TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (channel, address))",
            ),
            both(
                "CREATE TABLE inbox (notification_id TEXT PRIMARY KEY \
             REFERENCES notifications (id) ON DELETE CASCADE, user_id TEXT NOT NULL, \
             created_at BIGINT NOT NULL, seen_at BIGINT, read_at BIGINT, archived_at BIGINT, \
             body TEXT NOT NULL)",
            ),
            both("CREATE INDEX inbox_user ON inbox (user_id, created_at)"),
            both(
                "CREATE INDEX inbox_unread ON inbox (user_id) WHERE read_at IS NULL AND archived_at IS NULL",
            ),
            both(
                "CREATE TABLE notification_taken (user_id TEXT NOT NULL, event_id TEXT NOT NULL, \
             at BIGINT NOT NULL, PRIMARY KEY (user_id, event_id))",
            ),
            both("CREATE INDEX notification_taken_time ON notification_taken (at)"),
            both(
                "CREATE TABLE bulk_jobs (id TEXT PRIMARY KEY, caller TEXT NOT NULL, \
             state TEXT NOT NULL, total BIGINT NOT NULL, created_at BIGINT NOT NULL, \
             updated_at BIGINT NOT NULL, version BIGINT NOT NULL)",
            ),
            both(
                "CREATE TABLE bulk_items (job TEXT NOT NULL REFERENCES bulk_jobs (id) \
             ON DELETE CASCADE, n BIGINT NOT NULL, state TEXT NOT NULL, notification_id TEXT, \
             reason TEXT, body TEXT NOT NULL, PRIMARY KEY (job, n))",
            ),
            both("CREATE INDEX bulk_items_state ON bulk_items (job, state, n)"),
        ],
        &[both(
            "CREATE INDEX deliveries_of_gateway ON deliveries (message_id) WHERE channel = 'sms' \
         AND message_id IS NOT NULL",
        )],
        &[
            both("ALTER TABLE bulk_jobs ADD COLUMN is_whole BIGINT NOT NULL DEFAULT 1"),
            both("ALTER TABLE bulk_jobs ADD COLUMN done BIGINT NOT NULL DEFAULT 0"),
            both("ALTER TABLE bulk_jobs ADD COLUMN failed BIGINT NOT NULL DEFAULT 0"),
            both("ALTER TABLE bulk_jobs ADD COLUMN counted_at BIGINT"),
            both("ALTER TABLE bulk_jobs ADD COLUMN told TEXT"),
            both("UPDATE bulk_jobs SET is_whole = 0 WHERE state = 'open'"),
            both(
                "UPDATE bulk_jobs SET done = (SELECT COUNT(*) FROM bulk_items \
             WHERE job = bulk_jobs.id AND state = 'made'), failed = (SELECT COUNT(*) \
             FROM bulk_items WHERE job = bulk_jobs.id AND state = 'refused')",
            ),
            both(
                "UPDATE deliveries SET reason = 'job' WHERE job IS NOT NULL \
             AND state = 'cancelled'",
            ),
        ],
        &[
            both(
                "CREATE TABLE early_receipts (message_id TEXT PRIMARY KEY, code TEXT, \
             is_of_recipient BIGINT NOT NULL, at BIGINT NOT NULL)",
            ),
            both("CREATE INDEX early_receipts_time ON early_receipts (at)"),
        ],
    ],
};
