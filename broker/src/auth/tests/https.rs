//! Fetching over TLS: certificates count.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use ureq::tls::{Certificate, RootCerts};

use crate::auth::jwks::{Endpoint, FetchError, Fetcher};

/// An HTTPS server with a certificate of its own making for localhost: its port and certificate.
fn serve(body: &'static str) -> (u16, Certificate<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            let lines = BufReader::new(&mut stream).lines().map_while(Result::ok);
            if lines.take_while(|line| !line.is_empty()).count() == 0 {
                continue;
            }
            let bytes = body.len();
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n{body}");
        }
    });
    (port, Certificate::from_der(made.cert.der()).to_owned())
}

#[test]
fn a_set_is_fetched_over_tls_from_a_trusted_certificate_only() {
    let (port, certificate) = serve(r#"{"keys":[]}"#);
    let (_, other) = serve("");
    let fetch = |host: &str, roots: RootCerts| {
        let endpoint = Endpoint::parse(&format!("https://{host}:{port}/jwks")).unwrap();
        Fetcher::trusting(&endpoint, roots).fetch()
    };
    let trusted = RootCerts::new_with_certs(&[certificate]);
    let body = fetch("localhost", trusted.clone()).unwrap();
    assert_eq!(body, br#"{"keys":[]}"#);
    for (host, roots) in [
        ("localhost", RootCerts::WebPki),
        ("localhost", RootCerts::new_with_certs(&[other])),
        ("127.0.0.1", trusted),
    ] {
        assert!(matches!(fetch(host, roots), Err(FetchError::Http(_))), "{host}");
    }
}
