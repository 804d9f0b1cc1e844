//! The tables of chats.

use crate::store::{Schema, both, each};

pub(crate) const SCHEMA: Schema = Schema {
    name: "chat",
    steps: &[
        &[
            both(
                "CREATE TABLE conversations (id TEXT PRIMARY KEY, customer_id TEXT NOT NULL, \
             agent_id TEXT, status TEXT NOT NULL, waiting_since BIGINT, snoozed_until BIGINT, \
             last_message_at BIGINT NOT NULL, next_seq BIGINT NOT NULL, version BIGINT NOT NULL, \
             body TEXT NOT NULL)",
            ),
            both("CREATE INDEX conversations_queue ON conversations (status, waiting_since)"),
            both("CREATE INDEX conversations_agent ON conversations (agent_id, status)"),
            both(
                "CREATE INDEX conversations_customer ON conversations (customer_id, last_message_at)",
            ),
            both(
                "CREATE TABLE messages (id TEXT PRIMARY KEY, \
             conversation_id TEXT NOT NULL REFERENCES conversations (id), seq BIGINT NOT NULL, \
             sender_id TEXT NOT NULL, client_message_id TEXT NOT NULL, draft TEXT NOT NULL, \
             updated_at BIGINT NOT NULL, body TEXT NOT NULL, UNIQUE (conversation_id, seq), \
             UNIQUE (conversation_id, sender_id, client_message_id))",
            ),
            both(
                "CREATE TABLE message_revisions (message_id TEXT NOT NULL REFERENCES messages (id), \
             no BIGINT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (message_id, no))",
            ),
            both(
                "CREATE TABLE participants (conversation_id TEXT NOT NULL, user_id TEXT NOT NULL, \
             role TEXT NOT NULL, delivered_seq BIGINT NOT NULL, read_seq BIGINT NOT NULL, \
             joined_at BIGINT NOT NULL, left_at BIGINT, muted BIGINT NOT NULL, \
             PRIMARY KEY (conversation_id, user_id), CHECK (read_seq <= delivered_seq))",
            ),
            both(
                "CREATE TABLE agents (id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, \
             status TEXT NOT NULL, concurrent_limit BIGINT NOT NULL, \
             chats BIGINT NOT NULL CHECK (chats >= 0), last_assigned_at BIGINT, \
             last_seen_at BIGINT, body TEXT NOT NULL)",
            ),
            both(
                "CREATE TABLE assignments (id TEXT PRIMARY KEY, conversation_id TEXT NOT NULL, \
             agent_id TEXT NOT NULL, epoch BIGINT NOT NULL, reason TEXT NOT NULL, \
             assigned_at BIGINT NOT NULL, first_reply_at BIGINT, ended_at BIGINT, end_reason TEXT, \
             UNIQUE (conversation_id, epoch))",
            ),
            both("CREATE INDEX assignments_agent ON assignments (agent_id, ended_at)"),
        ],
        &[
            each(
                "CREATE VIRTUAL TABLE message_words USING fts5 (words, content = '', \
             contentless_delete = 1, detail = none)",
                "ALTER TABLE messages ADD COLUMN words TSVECTOR",
            ),
            each("SELECT 1", "CREATE INDEX messages_words ON messages USING GIN (words)"),
        ],
        // PostgreSQL's JSON refuses the NUL that a text may have had; within texts quotes are escaped.
        &[
            both("ALTER TABLE agents ADD COLUMN offline_since BIGINT"),
            both("ALTER TABLE conversations ADD COLUMN resolved_at BIGINT"),
            each(
                "UPDATE conversations SET resolved_at = \
                 CAST(strftime('%s', json_extract(body, '$.resolved_at')) AS INTEGER) * 1000 \
                 WHERE status = 'resolved'",
                "UPDATE conversations SET resolved_at = CAST(EXTRACT(EPOCH FROM \
                 CAST(SUBSTRING(body FROM '\"resolved_at\":\"([^\"]+)\"') AS TIMESTAMPTZ)) * 1000 AS BIGINT) \
                 WHERE status = 'resolved'",
            ),
            both("CREATE INDEX conversations_snoozed ON conversations (status, snoozed_until)"),
            both("CREATE INDEX conversations_resolved ON conversations (status, resolved_at)"),
        ],
        &[both("ALTER TABLE agents ADD COLUMN load_version BIGINT NOT NULL DEFAULT 0")],
    ],
};
