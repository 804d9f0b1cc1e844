//! What is asked about figures and promises, and answered, with the services' own sort of time.

use sampan_client::chat as told;
pub use sampan_client::chat::{
    FiguresDay as Day, FiguresShown, FiguresTold as Shown, FiguresWanted, Policies,
    PolicyApply as Apply, PolicyPut, PromiseWanted as SlaWanted,
};

use crate::chat::rules::hours::Hours;
use crate::moment::Moment;
use crate::service::Problem;

/// The promise to a conversation, and how it was kept.
pub type Promise = told::Promise<Moment>;

/// The hours that count.
///
/// # Errors
/// A problem of the field that is not valid.
pub(super) fn open(told: &PolicyPut) -> Result<Option<Hours>, Problem> {
    Ok(told.hours.as_ref().map(Hours::new).transpose()?)
}
