//! What a request's query asks for.

use axum::http::Method;

use super::Refused;

/// How packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Polling,
    WebSocket,
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) transport: Transport,
    /// The connection that is meant; a new one without it.
    pub(super) sid: Option<String>,
}

impl Asked {
    /// What a method and a query ask for.
    ///
    /// # Errors
    /// In the order of the protocol: its version, the transport, the method.
    pub(super) fn parse(method: &Method, query: &str) -> Result<Self, Refused> {
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        // A token in an address ends up in logs.
        if value("token").is_some() {
            return Err(Refused::BadRequest);
        }
        if value("EIO") != Some("4") {
            return Err(Refused::UnsupportedVersion);
        }
        let transport = match value("transport") {
            Some("polling") => Transport::Polling,
            Some("websocket") => Transport::WebSocket,
            _ => return Err(Refused::UnknownTransport),
        };
        let sid = value("sid").map(str::to_owned);
        match (transport, method.as_str(), &sid) {
            (_, "GET", _) | (Transport::Polling, "POST", Some(_)) => Ok(Asked { transport, sid }),
            (_, _, None) => Err(Refused::BadHandshakeMethod),
            _ => Err(Refused::BadRequest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_version_transport_and_perhaps_the_connection() {
        let asked =
            |transport, sid: Option<&str>| Ok(Asked { transport, sid: sid.map(str::to_owned) });
        for (method, query, expected) in [
            (Method::GET, "EIO=4&transport=polling&t=x", asked(Transport::Polling, None)),
            (Method::GET, "transport=websocket&EIO=4", asked(Transport::WebSocket, None)),
            (Method::POST, "EIO=4&transport=polling&sid=a", asked(Transport::Polling, Some("a"))),
            (Method::GET, "", Err(Refused::UnsupportedVersion)),
            (Method::GET, "EIO=3&transport=polling", Err(Refused::UnsupportedVersion)),
            (Method::GET, "EIO=abc&transport=polling", Err(Refused::UnsupportedVersion)),
            (Method::GET, "EIO=4", Err(Refused::UnknownTransport)),
            (Method::GET, "EIO=4&transport=abc", Err(Refused::UnknownTransport)),
            (Method::POST, "EIO=4&transport=polling", Err(Refused::BadHandshakeMethod)),
            (Method::PUT, "EIO=4&transport=polling", Err(Refused::BadHandshakeMethod)),
            (Method::PUT, "EIO=4&transport=polling&sid=a", Err(Refused::BadRequest)),
            (Method::POST, "EIO=4&transport=websocket&sid=a", Err(Refused::BadRequest)),
            (Method::GET, "EIO=4&transport=polling&token=a", Err(Refused::BadRequest)),
        ] {
            assert_eq!(Asked::parse(&method, query), expected, "{method} {query}");
        }
    }
}
