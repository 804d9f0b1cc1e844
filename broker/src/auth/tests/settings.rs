//! Configurations that must not start, and minted tokens.

use std::time::Duration;

use serde_json::json;

use super::{EC, Fixture, HMAC, NOW, RSA, SECRET, claims, open_revocations};
use crate::auth::{
    Algorithm, Config, Error, NewToken, PublicKeyFile, Refused, Role, Secret, Verifier, mint,
};

fn refusal(config: &Config) -> Option<Error> {
    let directory = tempfile::tempdir().unwrap();
    let secret = Secret::from_text(SECRET).unwrap();
    Verifier::new(config, Some(secret), open_revocations(&directory)).err()
}

#[test]
fn a_verifier_without_keys_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let verifier = Verifier::new(&Config::default(), None, open_revocations(&directory));
    assert!(matches!(verifier, Err(Error::NoKeys)));
}

#[test]
fn unsound_settings_are_refused() {
    let base = Config::default;
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let url = |url: &str| Config { jwks_url: Some(url.to_owned()), ..base() };
    let rows = [
        Config { leeway_s: 31, ..base() },
        Config { jwks_refresh_s: 9, ..base() },
        Config { jwks_refresh_s: 86_401, ..base() },
        Config { algorithms: vec![], ..base() },
        Config { algorithms: vec![Algorithm::ES256], ..base() },
        Config { issuer: Some(String::new()), ..base() },
        Config { audience: texts(&["a", ""]), ..base() },
        Config { secret_kid: Some(String::new()), ..base() },
        Config { role_claims: vec![], ..base() },
        Config { role_claims: texts(&["role", ""]), ..base() },
        Config { role_claims: texts(&["role", "user_metadata"]), ..base() },
        Config { role_claims: texts(&["user_metadata.role"]), ..base() },
        Config { jwks_file: Some("no/such/file".into()), ..base() },
        url("http://issuer.example/jwks"),
        url("http://127.0.0.1.evil.example/jwks"),
        url("http://localhost.evil.example/jwks"),
        url("http://127.0.0.1@evil.example/jwks"),
        url("https://user:password@issuer.example/jwks"),
        url("ftp://issuer.example/jwks"),
        url("file:///etc/jwks"),
        url("/jwks"),
    ];
    for config in rows {
        assert!(refusal(&config).is_some(), "{config:?}");
    }
    for good in ["https://issuer.example/jwks", "http://127.0.0.1:9/", "http://[::1]:9/jwks"] {
        assert!(refusal(&url(good)).is_none(), "{good}");
    }
}

#[test]
fn a_key_file_must_hold_a_key_for_its_algorithm() {
    let directory = tempfile::tempdir().unwrap();
    let refused = |text: &str, algorithm| {
        let file = directory.path().join("key");
        std::fs::write(&file, text).unwrap();
        let keys = vec![PublicKeyFile { file, algorithm, kid: None }];
        refusal(&Config { keys, ..Config::default() }).is_some()
    };
    assert!(!refused(&RSA.public_pem(), Algorithm::RS256));
    assert!(!refused(&EC.public_pem(), Algorithm::ES256));
    assert!(refused(&RSA.public_pem(), Algorithm::HS256));
    assert!(refused(&RSA.public_pem(), Algorithm::ES256));
    assert!(refused(&EC.public_pem(), Algorithm::EdDSA));
    assert!(refused(&EC.public_pem(), Algorithm::RS256));
    assert!(refused(
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        Algorithm::RS256
    ));
    assert!(refused("not PEM", Algorithm::EdDSA));
}

#[test]
fn unknown_settings_are_refused_and_known_ones_read() {
    let read = |value| serde_json::from_value::<Config>(value);
    assert!(read(json!({ "isuer": "x" })).is_err());
    assert!(read(json!({ "algorithms": ["none"] })).is_err());
    assert!(read(json!({ "keys": [{ "file": "k", "algorithm": "RS256", "kty": "x" }] })).is_err());
    let config = read(json!({ "keys": [{ "file": "k", "algorithm": "EdDSA" }] })).unwrap();
    assert_eq!(config.keys[0].algorithm, Algorithm::EdDSA);
    assert_eq!(config.leeway_s, 30);
}

#[test]
fn a_minted_token_is_accepted_by_the_verifier_it_is_for() {
    let configs = [
        Config::default(),
        Config {
            issuer: Some("https://issuer.example".to_owned()),
            audience: vec!["a".to_owned(), "b".to_owned()],
            role_claims: vec!["app_metadata.role".to_owned()],
            ..Config::default()
        },
    ];
    for config in configs {
        let fixture = Fixture::with_secret(&config);
        let secret = Secret::from_text(SECRET).unwrap();
        let ttl = Duration::from_millis(1500);
        let token = NewToken::new(&config, "u7", Role::Agent, ttl);
        let text = mint(&secret, &token, NOW + 999).unwrap();
        let identity = fixture.verifier.verify(&text, NOW).unwrap();
        assert_eq!((identity.user.as_str(), identity.role), ("u7", Role::Agent));
        assert_eq!(identity.issued_unix_ms, Some(NOW));
        assert_eq!(identity.expires_unix_ms, NOW + 2000);
        let again = mint(&secret, &token, NOW + 999).unwrap();
        assert_ne!(fixture.verifier.verify(&again, NOW).unwrap().token_id, identity.token_id);
    }
}

#[test]
fn what_could_not_be_verified_is_not_minted() {
    let config = Config::default();
    let secret = Secret::from_text(SECRET).unwrap();
    let minted = |user: &str, ttl| {
        mint(&secret, &NewToken::new(&config, user, Role::Customer, ttl), NOW).map(drop)
    };
    let hour = Duration::from_secs(3600);
    assert_eq!(minted("u1", hour), Ok(()));
    assert_eq!(minted("", hour), Err(mint::Error::User));
    assert_eq!(minted(&"x".repeat(129), hour), Err(mint::Error::User));
    assert_eq!(minted("a\nb", hour), Err(mint::Error::User));
    assert_eq!(minted("u1", Duration::ZERO), Err(mint::Error::Ttl));
    assert_eq!(minted("u1", Duration::MAX), Err(mint::Error::Ttl));
}

#[test]
fn nothing_secret_shows_in_debug_output() {
    let fixture = Fixture::with_secret(&Config::default());
    let shown = format!("{:?} {:?}", fixture.verifier, Secret::from_text(SECRET));
    assert!(!shown.contains("thirty-two"));
    let bytes = format!("{:?}", SECRET.as_bytes());
    assert!(!shown.contains(bytes.trim_matches(['[', ']'])));
    let token = HMAC.token(Some("nobody"), &claims());
    let refused = fixture.verifier.verify(&token, NOW).unwrap_err();
    assert_eq!(format!("{refused:?}"), "UnknownKey");
    assert!(refused.is_retryable() && !Refused::Signature.is_retryable());
}
