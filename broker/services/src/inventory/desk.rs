//! Each request about stock: who may ask it, what of it makes sense, what is answered.

use std::sync::Arc;

use sampan_client::inventory::{
    Adjust, AdjustLine, Commit, Levels, Line, Location, LocationStock, OfCustomer, ProductStock,
    Reservations, Reserve, Reserved, Restock, RestockLine, Set, Short, Tell, Threshold,
    WantedProduct, WantedReservation,
};

use super::counters::Counters;
use super::model::{Key, Level, ONLINE, Reason, Reservation};
use super::rules::allocation;
use super::rules::edge;
use super::rules::hold::{self, Event};
use super::store::{Change, Outcome, Stock, Wanted};
use crate::id::check_id;
use crate::role::Role;
use crate::service::{Asker, Problem};
use crate::store;

/// Lines that a customer may hold at the same time.
const HELD_MAX: i64 = 200;

/// Where requests about stock are answered.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    pub(super) stock: Stock,
    pub(super) counters: Arc<Counters>,
}

impl Desk {
    pub(super) async fn reserve(self, asker: Asker, ask: Reserve) -> Result<Reserved, Problem> {
        let customer_id = customer(&asker, ask.customer_id.clone())?;
        if let Some(key) = &ask.idempotency_key {
            check_id("idempotency_key", key)?;
        }
        let idempotency_key = ask.idempotency_key.clone();
        let held_max = (asker.role == Role::Customer).then_some(HELD_MAX);
        let wanted = Wanted { customer_id, lines: lines(ask)?, idempotency_key, held_max };
        match self.stock.reserve(&wanted).await? {
            Outcome::Held(reservation) => {
                Counters::add(&self.counters.reserved, 1);
                Ok(held(reservation))
            }
            Outcome::Known(reservation) => Ok(held(reservation)),
            Outcome::Short { key, available } => {
                Counters::add(&self.counters.short, 1);
                let short = Some(Short { key, available: available.max(0) });
                Ok(Reserved { success: false, reservation: None, short })
            }
        }
    }

    pub(super) async fn step(
        self,
        asker: Asker,
        WantedReservation { reservation_id }: WantedReservation,
        event: Event,
    ) -> Result<Reservation, Problem> {
        self.own(&asker, &reservation_id).await?;
        Ok(self.stock.step(&reservation_id, &event).await?)
    }

    pub(super) async fn commit(self, _: Asker, ask: Commit) -> Result<Reservation, Problem> {
        check_id("order_id", &ask.order_id)?;
        let (sold, is_new) = self.stock.commit(&ask.reservation_id, &ask.order_id).await?;
        Counters::add(&self.counters.committed, u64::from(is_new));
        Ok(sold)
    }

    pub(super) async fn reservation(
        self,
        asker: Asker,
        WantedReservation { reservation_id }: WantedReservation,
    ) -> Result<Reservation, Problem> {
        self.own(&asker, &reservation_id).await
    }

    pub(super) async fn reservations(
        self,
        asker: Asker,
        OfCustomer { customer_id }: OfCustomer,
    ) -> Result<Reservations, Problem> {
        let customer = customer(&asker, customer_id)?;
        Ok(Reservations { reservations: self.stock.reservations(&customer).await? })
    }

    pub(super) async fn product(
        self,
        asker: Asker,
        WantedProduct { product_id }: WantedProduct,
    ) -> Result<ProductStock, Problem> {
        let stocked = self.stock.product(&product_id).await?;
        if stocked.is_empty() {
            return Err(Problem::not_found("there is no such product"));
        }
        let (mut variants, mut locations) = (Vec::new(), Vec::new());
        for it in stocked {
            variants.push(edge::view(&it.item, allocation::online(&it.places), it.version));
            if asker.role != Role::Customer {
                let places = it.places.iter();
                locations.extend(places.map(|at| shown(it.item.at(&at.location), &at.level)));
            }
        }
        Ok(ProductStock { product_id, variants, locations })
    }

    pub(super) async fn restock(self, _: Asker, ask: Restock) -> Result<Levels, Problem> {
        let change = |line: RestockLine| {
            let RestockLine { product_id, variant_id, location, quantity } = line;
            if quantity < 1 {
                return Err(Problem::field("quantity", "at least 1"));
            }
            let key = Key { product_id, variant_id, location };
            Ok(Change { key, by: quantity, ..Change::default() })
        };
        let changes = ask.lines.into_iter().map(change).collect::<Result<Vec<_>, _>>()?;
        self.change(changes, Reason::Restocked, ask.idempotency_key).await
    }

    pub(super) async fn adjust(self, _: Asker, ask: Adjust) -> Result<Levels, Problem> {
        let change = |line: AdjustLine| {
            let AdjustLine { product_id, variant_id, location, on_hand, by, safety_stock } = line;
            if on_hand.is_none() && by.is_none() && safety_stock.is_none() {
                return Err(Problem::field("lines", "one without on_hand, by and safety_stock"));
            }
            let key = Key { product_id, variant_id, location };
            Ok(Change { key, by: by.unwrap_or(0), counted: on_hand, safety_stock })
        };
        let changes = ask.lines.into_iter().map(change).collect::<Result<Vec<_>, _>>()?;
        self.change(changes, Reason::Adjusted, ask.idempotency_key).await
    }

    pub(super) async fn set_threshold(self, _: Asker, ask: Threshold) -> Result<Set, Problem> {
        let Threshold { product_id, variant_id, location, threshold } = ask;
        let is_of_none = product_id.is_empty() && !(variant_id.is_empty() && location.is_empty());
        if is_of_none || location == ONLINE {
            return Err(Problem::field("location", "of a product at a place of its own"));
        }
        if threshold.is_some_and(|threshold| !(0..=hold::QUANTITY_MAX).contains(&threshold)) {
            return Err(Problem::field("threshold", "0 to 1,000,000"));
        }
        for (field, text) in
            [("product_id", &product_id), ("variant_id", &variant_id), ("location", &location)]
        {
            if !text.is_empty() {
                check_id(field, text)?;
            }
        }
        let key = Key { product_id, variant_id, location };
        self.stock.set_threshold(&key, threshold).await?;
        Ok(Set { success: true })
    }

    pub(super) async fn set_location(self, _: Asker, ask: Location) -> Result<Set, Problem> {
        check_id("location", &ask.location)?;
        if ask.location == ONLINE {
            return Err(Problem::field("location", "online is all locations together"));
        }
        self.stock.set_location(&ask.location, ask.is_sellable, ask.rank).await?;
        Ok(Set { success: true })
    }

    pub(super) async fn tell(self, _: Asker, Tell { product_id }: Tell) -> Result<Set, Problem> {
        if let Some(product_id) = &product_id {
            check_id("product_id", product_id)?;
        }
        self.stock.tell(product_id.as_deref()).await?;
        Ok(Set { success: true })
    }

    /// Ends what is over.
    pub(super) async fn sweep(self) -> Result<(), store::Error> {
        Counters::add(&self.counters.expired, self.stock.sweep().await?);
        Ok(())
    }

    /// Tells what a change of a location has left to tell.
    pub(super) async fn refresh(self) -> Result<(), store::Error> {
        self.stock.refresh().await
    }

    /// Compares counts with what they count, and forgets what is old.
    pub(super) async fn keep_up(self) -> Result<(), store::Error> {
        Counters::add(&self.counters.repaired, self.stock.reconcile().await?);
        self.stock.prune().await.map(|_| ())
    }

    async fn change(
        &self,
        changes: Vec<Change>,
        reason: Reason,
        idempotency_key: Option<String>,
    ) -> Result<Levels, Problem> {
        for Change { key, .. } in &changes {
            check(key)?;
        }
        if let Some(key) = &idempotency_key {
            check_id("idempotency_key", key)?;
        }
        let levels = self.stock.adjust(&changes, reason, idempotency_key.as_deref()).await?;
        let levels = levels.into_iter().map(|(key, level)| shown(key, &level)).collect();
        Ok(Levels { levels })
    }

    /// The reservation, if it is the asker's business.
    async fn own(&self, asker: &Asker, reservation_id: &str) -> Result<Reservation, Problem> {
        let found = self.stock.reservation(reservation_id).await?;
        let is_own =
            |it: &Reservation| asker.role != Role::Customer || it.customer_id == asker.user;
        let none = || Problem::not_found("there is no such reservation, or not for the asker");
        found.filter(is_own).ok_or_else(none)
    }
}

fn held(reservation: Reservation) -> Reserved {
    Reserved { success: true, reservation: Some(reservation), short: None }
}

/// The customer that is meant: the asker, or whoever another than a customer names.
fn customer(asker: &Asker, named: Option<String>) -> Result<String, Problem> {
    match (asker.role, named) {
        (Role::Customer, None) => Ok(asker.user.clone()),
        (Role::Customer, Some(named)) if named == asker.user => Ok(named),
        (Role::Customer, Some(_)) => {
            Err(Problem::not_allowed("customers reserve for themselves only"))
        }
        (_, Some(named)) => {
            check_id("customer_id", &named)?;
            Ok(named)
        }
        (_, None) => Err(Problem::field("customer_id", "say for whom")),
    }
}

/// The lines of a request, however it gives them.
fn lines(ask: Reserve) -> Result<Vec<hold::Line>, Problem> {
    let Reserve { product_id, variant_id, location, quantity, mut lines, .. } = ask;
    match (product_id, quantity) {
        (Some(product_id), Some(quantity)) => {
            let (variant_id, location) = (variant_id.unwrap_or_default(), location);
            let location = location.unwrap_or_else(|| ONLINE.to_owned());
            lines.push(Line { product_id, variant_id, location, quantity });
        }
        (None, None) if variant_id.is_none() && location.is_none() => {}
        _ => return Err(Problem::field("product_id", "goes with quantity")),
    }
    let line = |line: Line| {
        let Line { product_id, variant_id, location, quantity } = line;
        let key = Key { product_id, variant_id, location };
        check(&key)?;
        Ok(hold::Line { key, quantity })
    };
    lines.into_iter().map(line).collect()
}

fn check(key: &Key) -> Result<(), Problem> {
    check_id("product_id", &key.product_id)?;
    if !key.variant_id.is_empty() {
        check_id("variant_id", &key.variant_id)?;
    }
    Ok(check_id("location", &key.location)?)
}

fn shown(key: Key, level: &Level) -> LocationStock {
    LocationStock {
        key,
        on_hand: level.on_hand,
        reserved: level.reserved,
        safety_stock: level.safety_stock,
        available: level.available(),
        version: level.version,
    }
}
