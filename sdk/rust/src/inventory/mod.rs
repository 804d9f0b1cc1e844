//! Stock and what customers hold of it: the topics to ask on, questions and answers, JSON both ways.
//! [`Client::inventory`](crate::Client::inventory) has a method for each.
//!
//! Times are texts of UTC such as `2026-11-23T02:28:29.123Z`.

mod handle;
mod product;
mod reservation;

pub use handle::{Inventory, Viewer};
pub use product::{
    Adjust, AdjustLine, Item, Key, Levels, Location, LocationStock, ProductStock, Restock,
    RestockLine, Set, Tell, Threshold, ViewerUpdate, WantedProduct,
};
pub use reservation::{
    Commit, HoldStatus, Line, OfCustomer, Reservation, Reservations, Reserve, Reserved,
    ReservedLine, Short, WantedReservation,
};

/// The location that is all of them together: whoever reserves there is given what is anywhere.
pub const ONLINE: &str = "online";

/// Holds stock for a customer: [`Reserve`], answered by [`Reserved`].
pub const RESERVE: &str = "inventory.reserve";
/// Gives a reservation up: [`WantedReservation`], answered by [`Reservation`].
pub const RELEASE: &str = "inventory.release";
/// Makes a reservation longer, once: [`WantedReservation`], answered by [`Reservation`].
pub const EXTEND: &str = "inventory.extend";
/// A payment is under way: [`WantedReservation`], answered by [`Reservation`].
pub const PAYMENT_PENDING: &str = "inventory.payment_pending";
/// The payment came to nothing: [`WantedReservation`], answered by [`Reservation`].
pub const PAYMENT_FAILED: &str = "inventory.payment_failed";
/// A reservation is paid: [`Commit`], answered by [`Reservation`].
pub const COMMIT: &str = "inventory.commit";
/// One reservation: [`WantedReservation`], answered by [`Reservation`].
pub const GET_RESERVATION: &str = "inventory.get_reservation";
/// What a customer holds: [`OfCustomer`], answered by [`Reservations`].
pub const RESERVATIONS: &str = "inventory.reservations";
/// What there is of a product: [`WantedProduct`], answered by [`ProductStock`].
pub const GET: &str = "inventory.get";
/// Stock has come: [`Restock`], answered by [`Levels`].
pub const RESTOCK: &str = "inventory.restock";
/// Stock was counted, or is set right: [`Adjust`], answered by [`Levels`].
pub const ADJUST: &str = "inventory.adjust";
/// When stock is low: [`Threshold`], answered by [`Set`].
pub const SET_THRESHOLD: &str = "inventory.set_threshold";
/// What a location is for: [`Location`], answered by [`Set`].
pub const SET_LOCATION: &str = "inventory.set_location";
/// Has viewers told anew what is available: [`Tell`], answered by [`Set`].
pub const TELL: &str = "inventory.tell";
