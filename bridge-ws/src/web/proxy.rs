//! Who is behind the proxy: its peers, and not itself, are what limits and logs are about.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

/// Names the peer that the proxy names.
pub(super) async fn peer(mut request: Request, next: Next) -> Response {
    if let Some(address) = last_hop(request.headers()) {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(address, 0)));
    }
    next.run(request).await
}

/// The address that the proxy itself has seen: the last one, since clients write what they like
/// ahead of it.
fn last_hop(headers: &HeaderMap) -> Option<IpAddr> {
    let mut values = headers.get_all("x-forwarded-for").iter();
    let last = values.next_back().map(HeaderValue::to_str)?.ok()?;
    last.rsplit(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_hop_is_believed() {
        let hop = |values: &[&'static str]| {
            let value = |text: &&'static str| {
                (
                    axum::http::HeaderName::from_static("x-forwarded-for"),
                    HeaderValue::from_static(text),
                )
            };
            last_hop(&values.iter().map(value).fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(name, value);
                map
            }))
        };
        let known = Some(IpAddr::from([192, 0, 2, 1]));
        assert_eq!(hop(&["192.0.2.1"]), known);
        assert_eq!(hop(&["10.0.0.1, 192.0.2.1"]), known);
        assert_eq!(hop(&["10.0.0.1", "evil, 192.0.2.1"]), known);
        assert_eq!(hop(&["192.0.2.1, unknown"]), None);
        assert_eq!(hop(&[]), None);
    }
}
