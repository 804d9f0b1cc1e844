//! What the services tell by themselves.

use super::{Carriers, Counters};
use crate::moment::Moment;
use crate::orders::model::Source;
use crate::orders::rules::tracking::{Provider, read};
use crate::orders::store::Orders;
use crate::refusal::Refusal;
use crate::service::Problem;

impl Carriers {
    /// The service of this name, if its webhooks are taken.
    pub(crate) fn teller(&self, name: &str) -> Option<Provider> {
        let takes = |provider: &Provider| {
            self.trackers.iter().any(|it| it.provider == *provider && it.webhook_secret.is_some())
        };
        Provider::named(name).filter(takes)
    }

    /// Takes a webhook; of how many parcels it told that there are orders of.
    ///
    /// # Errors
    /// `NOT_GRANTED` if its service has not signed it; `BAD_FIELD` if it tells of no parcel; those of
    /// the database, after which the service tells it again.
    pub(crate) async fn told(
        &self,
        orders: &Orders,
        provider: Provider,
        signature: &str,
        body: &[u8],
    ) -> Result<usize, Problem> {
        let taken = self.take(orders, provider, signature, body).await;
        Counters::add(match taken {
            Ok(_) => &self.counters.webhooks,
            Err(_) => &self.counters.webhooks_refused,
        });
        taken
    }

    async fn take(
        &self,
        orders: &Orders,
        provider: Provider,
        signature: &str,
        body: &[u8],
    ) -> Result<usize, Problem> {
        let secrets = self.trackers.iter().filter(|it| it.provider == provider);
        let mut secrets = secrets.filter_map(|it| it.webhook_secret.as_ref());
        let now = Moment::now();
        if !secrets.any(|secret| provider.check(&secret.0, signature, body, now).is_ok()) {
            return Err(Refusal::NotAllowed("the webhook is not signed by its service").into());
        }
        let told = read(provider, Source::Webhook, body);
        let told = told.map_err(|why| Problem::field("body", &why))?;
        let mut heard = 0;
        for parcel in told {
            let (carrier, number) = (parcel.carrier.clone(), parcel.number.clone());
            let points = parcel.points_of(&carrier, &number);
            let Some(of) = orders.hear_of(&carrier, &number, points).await? else { continue };
            heard += 1;
            self.counters.heard(of.changed);
        }
        Ok(heard)
    }
}
