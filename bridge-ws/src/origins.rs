//! Which web pages may use the bridge.

/// Origins that are allowed, such as `http://localhost:3000`. Without any, a page may reach the
/// bridge only on the host that it came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(Vec<String>);

/// A text that is no origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAnOrigin(pub String);

impl std::fmt::Display for NotAnOrigin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} is no origin; one looks like https://shop.example or http://x:3000", self.0)
    }
}

impl std::error::Error for NotAnOrigin {}

impl Origins {
    /// These origins.
    ///
    /// # Errors
    /// The first text that is not `http` or `https`, a host and perhaps a port.
    pub fn new<T: AsRef<str>>(origins: impl IntoIterator<Item = T>) -> Result<Self, NotAnOrigin> {
        let parse = |origin: T| {
            let text = origin.as_ref().trim().trim_end_matches('/').to_ascii_lowercase();
            let host = host(&text).filter(|host| {
                !host.is_empty()
                    && host.bytes().all(|b| b.is_ascii_graphic())
                    && !host.contains(['/', '?', '#', '@', '*', '\\', ','])
            });
            host.is_some().then_some(text.clone()).ok_or(NotAnOrigin(text))
        };
        origins.into_iter().map(parse).collect::<Result<_, _>>().map(Origins)
    }

    /// Whether a page of this origin may use a bridge that it reached as `host`.
    #[must_use]
    pub fn allow(&self, origin: &str, own: Option<&str>) -> bool {
        if self.0.is_empty() {
            return own.zip(host(origin)).is_some_and(|(own, host)| own.eq_ignore_ascii_case(host));
        }
        self.0.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }
}

/// Host and port of an origin.
fn host(origin: &str) -> Option<&str> {
    origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_origins_are_allowed() {
        let origins = Origins::new(["http://localhost:3000", "https://Shop.example/"]);
        let origins = origins.expect("valid");
        assert!(origins.allow("http://localhost:3000", None));
        assert!(origins.allow("https://shop.example", Some("other")));
        for other in [
            "null",
            "",
            "http://localhost:3001",
            "http://localhost:30000",
            "https://localhost:3000",
            "https://shop.example.evil",
            "https://evil-shop.example",
            "http://127.0.0.1:3001",
        ] {
            assert!(!origins.allow(other, Some("127.0.0.1:3001")), "{other}");
        }
    }

    #[test]
    fn without_a_list_only_the_same_host_is_allowed() {
        let origins = Origins::default();
        assert!(origins.allow("http://127.0.0.1:3001", Some("127.0.0.1:3001")));
        assert!(!origins.allow("http://127.0.0.1:3000", Some("127.0.0.1:3001")));
        assert!(!origins.allow("null", Some("null")));
        assert!(!origins.allow("http://x", None));
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for bad in
            ["*", "", "null", "localhost:3000", "https://", "https://a/b", "ftp://a", "http://u@h"]
        {
            assert!(Origins::new([bad]).is_err(), "{bad}");
        }
    }
}
