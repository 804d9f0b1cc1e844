//! Leases.

use sampan_services::store::{Lease, Leases};

use crate::sites::{Site, mongo};

#[tokio::test]
async fn a_lease_has_one_holder_until_it_ends_or_is_given_back() {
    for site in Site::each() {
        has_one_holder(&site.migrated().await).await;
    }
    has_one_holder(&mongo()).await;
}

async fn has_one_holder(leases: &impl Leases) {
    let lease = |ttl| Lease::new(leases, "work", ttl);
    let (one, two) = (lease(60_000), lease(60_000));
    assert_eq!(one.take().await, Ok(true));
    assert_eq!((two.take().await, one.take().await), (Ok(false), Ok(true)));
    two.give_back().await.expect("nothing to give");
    assert_eq!(two.take().await, Ok(false));
    one.give_back().await.expect("given back");
    assert_eq!((two.take().await, one.take().await), (Ok(true), Ok(false)));
    let other = Lease::new(leases, "other work", 0);
    assert_eq!((other.take().await, lease(0).take().await), (Ok(true), Ok(false)));
    let next = Lease::new(leases, "other work", 60_000);
    assert_eq!((next.take().await, other.take().await), (Ok(true), Ok(false)));
}
