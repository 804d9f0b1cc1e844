//! The tables of stock.

use crate::store::{Schema, both, each};

pub(crate) const SCHEMA: Schema = Schema {
    name: "inventory",
    steps: &[
        &[
            both(
                "CREATE TABLE stock_locations (location TEXT PRIMARY KEY, \
             is_sellable BIGINT NOT NULL, rank BIGINT NOT NULL)",
            ),
            // `available` is what was told last; `is_stale` says that it may no longer be so.
            both(
                "CREATE TABLE stock_items (product_id TEXT NOT NULL, variant_id TEXT NOT NULL, \
             version BIGINT NOT NULL, available BIGINT NOT NULL, is_stale BIGINT NOT NULL, \
             PRIMARY KEY (product_id, variant_id))",
            ),
            both("CREATE INDEX stock_items_stale ON stock_items (product_id) WHERE is_stale = 1"),
            both(
                "CREATE TABLE stock_levels (product_id TEXT NOT NULL, variant_id TEXT NOT NULL, \
             location TEXT NOT NULL REFERENCES stock_locations (location), \
             on_hand BIGINT NOT NULL, reserved BIGINT NOT NULL, safety_stock BIGINT NOT NULL, \
             version BIGINT NOT NULL, is_armed BIGINT NOT NULL, told_at BIGINT, \
             PRIMARY KEY (product_id, variant_id, location), \
             FOREIGN KEY (product_id, variant_id) REFERENCES stock_items (product_id, variant_id), \
             CHECK (on_hand >= 0 AND reserved >= 0 AND reserved <= on_hand AND safety_stock >= 0))",
            ),
            both("CREATE INDEX stock_levels_location ON stock_levels (location)"),
            // Empty texts stand for all variants, locations, products.
            both(
                "CREATE TABLE stock_thresholds (product_id TEXT NOT NULL, variant_id TEXT NOT NULL, \
             location TEXT NOT NULL, threshold BIGINT NOT NULL, \
             PRIMARY KEY (product_id, variant_id, location))",
            ),
            both(
                "CREATE TABLE reservations (id TEXT NOT NULL, product_id TEXT NOT NULL, \
             variant_id TEXT NOT NULL, location TEXT NOT NULL, \
             quantity BIGINT NOT NULL CHECK (quantity > 0), customer_id TEXT NOT NULL, \
             status TEXT NOT NULL, expires_at BIGINT NOT NULL, is_extended BIGINT NOT NULL, \
             order_id TEXT, created_at BIGINT NOT NULL, \
             PRIMARY KEY (id, product_id, variant_id, location))",
            ),
            both(
                "CREATE INDEX reservations_live ON reservations (expires_at) \
             WHERE status IN ('held', 'payment_pending')",
            ),
            both(
                "CREATE INDEX reservations_of_level ON reservations (product_id, variant_id, location) \
             WHERE status IN ('held', 'payment_pending')",
            ),
            both("CREATE INDEX reservations_of_customer ON reservations (customer_id, status)"),
            each(
                "CREATE TABLE stock_movements (seq INTEGER PRIMARY KEY AUTOINCREMENT, \
             product_id TEXT NOT NULL, variant_id TEXT NOT NULL, location TEXT NOT NULL, \
             version BIGINT NOT NULL, on_hand BIGINT NOT NULL, reserved BIGINT NOT NULL, \
             reason TEXT NOT NULL, ref TEXT, at BIGINT NOT NULL, \
             UNIQUE (product_id, variant_id, location, version))",
                "CREATE TABLE stock_movements (seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
             product_id TEXT NOT NULL, variant_id TEXT NOT NULL, location TEXT NOT NULL, \
             version BIGINT NOT NULL, on_hand BIGINT NOT NULL, reserved BIGINT NOT NULL, \
             reason TEXT NOT NULL, ref TEXT, at BIGINT NOT NULL, \
             UNIQUE (product_id, variant_id, location, version))",
            ),
            both(
                "CREATE TABLE stock_requests (scope TEXT NOT NULL, key TEXT NOT NULL, \
             question TEXT NOT NULL, answer TEXT NOT NULL, at BIGINT NOT NULL, \
             PRIMARY KEY (scope, key))",
            ),
            both("CREATE INDEX stock_requests_at ON stock_requests (at)"),
        ],
        &[both("CREATE INDEX reservations_made ON reservations (created_at)")],
        &[
            // Reservations that were made on a day, of those that are forgotten.
            both("CREATE TABLE reservation_days (day BIGINT PRIMARY KEY, made BIGINT NOT NULL)"),
            both(
                "CREATE INDEX reservations_unsold ON reservations (created_at) \
             WHERE status IN ('released', 'expired')",
            ),
            both("CREATE INDEX stock_movements_held ON stock_movements (at) WHERE on_hand = 0"),
        ],
    ],
};
