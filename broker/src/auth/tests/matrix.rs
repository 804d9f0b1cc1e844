//! The token matrix: one way in, and a reason for everything else.

use serde_json::{Value, json};

use super::{
    EC, ED, Fixture, HMAC, NOW, NOW_S, RSA, SECRET, Signer, claims, claims_with, open_revocations,
};
use crate::auth::{
    Algorithm, Config, Identity, PublicKeyFile, Refused, Role, Secret, Target, Verifier,
};

/// All four kinds of key, an issuer and two audiences.
fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let key = |name: &str, signer: &Signer, algorithm| {
        let file = directory.path().join(name);
        std::fs::write(&file, signer.public_pem()).unwrap();
        PublicKeyFile { file, algorithm, kid: Some(name.to_owned()) }
    };
    let config = Config {
        keys: vec![
            key("rsa", &RSA, Algorithm::RS256),
            key("ec", &EC, Algorithm::ES256),
            key("ed", &ED, Algorithm::EdDSA),
        ],
        issuer: Some("https://issuer.example".to_owned()),
        audience: vec!["sampan".to_owned(), "authenticated".to_owned()],
        ..Config::default()
    };
    Fixture::new(directory, &config, Some(Secret::from_text(SECRET).unwrap()))
}

fn good() -> Value {
    claims_with(json!({ "iss": "https://issuer.example", "aud": "sampan" }))
}

fn good_with(changes: Value) -> Value {
    let mut all = json!({ "iss": "https://issuer.example", "aud": "sampan" });
    all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    claims_with(all)
}

/// The outcome of one row, by label.
fn outcome(verifier: &Verifier, token: &str) -> &'static str {
    verifier.verify(token, NOW).map_or_else(Refused::label, |_| "accepted")
}

fn check(verifier: &Verifier, rows: &[(&str, &str, String)]) {
    let wrong: Vec<_> = rows
        .iter()
        .map(|(name, expected, token)| (name, expected, outcome(verifier, token)))
        .filter(|(_, expected, actual)| *expected != actual)
        .collect();
    assert!(wrong.is_empty(), "{} of {} rows: {wrong:?}", wrong.len(), rows.len());
}

#[test]
fn valid_tokens_of_every_algorithm_are_accepted() {
    let fixture = fixture();
    let rows = [
        ("HS256", "accepted", HMAC.token(None, &good())),
        ("RS256", "accepted", RSA.token(Some("rsa"), &good())),
        ("ES256", "accepted", EC.token(Some("ec"), &good())),
        ("EdDSA", "accepted", ED.token(Some("ed"), &good())),
        ("RS256 without kid", "accepted", RSA.token(None, &good())),
        ("no typ", "accepted", HMAC.token_of(r#"{"alg":"HS256"}"#, &good().to_string())),
        ("aud as list", "accepted", HMAC.token(None, &good_with(json!({"aud": ["x", "sampan"]})))),
    ];
    check(&fixture.verifier, &rows);
    assert_eq!(
        fixture.verifier.verify(&HMAC.token(None, &good()), NOW),
        Ok(Identity {
            user: "u1".to_owned(),
            role: Role::Customer,
            expires_unix_ms: NOW + 3_600_000,
            issued_unix_ms: Some(NOW),
            token_id: Some("t1".to_owned()),
        })
    );
}

#[test]
fn texts_that_are_not_tokens_are_refused() {
    let fixture = fixture();
    let token = HMAC.token(None, &good());
    let (message, signature) = token.rsplit_once('.').unwrap();
    let payload = good().to_string();
    let header = r#"{"alg":"HS256"}"#;
    let twice = |text: &str| HMAC.token_of(header, &payload.replacen('{', text, 1));
    let rows = [
        ("missing", "missing", String::new()),
        ("garbage", "malformed", "garbage".to_owned()),
        ("three dots of garbage", "malformed", "a.b.c".to_owned()),
        ("one part less", "malformed", message.to_owned()),
        ("one part more", "malformed", format!("{token}.{signature}")),
        ("padding", "malformed", format!("{}=.x.x", message.split('.').next().unwrap())),
        ("white space", "malformed", format!(" {token}")),
        ("header is a list", "malformed", HMAC.token_of("[]", &payload)),
        ("payload is a list", "malformed", HMAC.token_of(header, "[]")),
        ("bytes after the payload", "malformed", HMAC.token_of(header, &format!("{payload} 1"))),
        ("no alg", "malformed", HMAC.token_of("{}", &payload)),
        ("duplicate alg", "malformed", HMAC.token_of(r#"{"alg":"none","alg":"HS256"}"#, &payload)),
        ("duplicate sub", "malformed", twice(r#"{"sub":"u2","#)),
        ("duplicate exp", "malformed", twice(r#"{"exp":9999999999,"#)),
        ("escaped duplicate", "malformed", twice(r#"{"s\u0075b":"u2","#)),
        ("nested duplicate", "malformed", twice(r#"{"app_metadata":{"role":"a","role":"b"},"#)),
        ("8 KiB and a byte", "too_long", "a".repeat(8 * 1024 + 1)),
        ("64 KB", "too_long", HMAC.token(None, &good_with(json!({"pad": "x".repeat(48_000)})))),
        ("deep", "malformed", twice(&format!("{{\"a\":{}{},", "[".repeat(500), "]".repeat(500)))),
    ];
    check(&fixture.verifier, &rows);
}

#[test]
fn signatures_count_only_with_the_right_key_and_algorithm() {
    let fixture = fixture();
    let payload = good().to_string();
    let of = |signer: &Signer, header: Value| signer.token_of(&header.to_string(), &payload);
    let token = HMAC.token(None, &good());
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let other = HMAC.token(None, &good_with(json!({"sub": "admin"})));
    let other_payload = other.split('.').nth(1).unwrap();
    let as_hmac = |bytes: Vec<u8>, kid: &str| {
        of(&Signer::Hmac(bytes), json!({"alg": "HS256", "typ": "JWT", "kid": kid}))
    };
    let named = |kid: Value| of(&HMAC, json!({"alg": "HS256", "kid": kid}));
    let with = |name: &str, value: Value| of(&HMAC, json!({"alg": "HS256", name: value}));
    let rows = [
        ("wrong secret", "signature", Signer::Hmac(vec![1; 32]).token(None, &good())),
        ("empty secret", "signature", Signer::Hmac(Vec::new()).token(None, &good())),
        ("other payload", "signature", format!("{header}.{other_payload}.{signature}")),
        ("no signature", "signature", format!("{message}.")),
        ("cut signature", "signature", token[..token.len() - 4].to_owned()),
        ("wrong EC key", "signature", super::new_ec().token(Some("ec"), &good())),
        ("alg none", "algorithm", of(&HMAC, json!({"alg": "none"}))),
        ("alg None", "algorithm", of(&HMAC, json!({"alg": "None"}))),
        ("alg none, no signature", "algorithm", {
            let token = of(&HMAC, json!({"alg": "none"}));
            token[..=token.rfind('.').unwrap()].to_owned()
        }),
        ("alg hs256", "algorithm", of(&HMAC, json!({"alg": "hs256"}))),
        ("alg HS384", "algorithm", of(&HMAC, json!({"alg": "HS384"}))),
        ("alg is a number", "malformed", of(&HMAC, json!({"alg": 1}))),
        ("HS256 by RSA public PEM", "algorithm", as_hmac(RSA.public_pem().into(), "rsa")),
        ("HS256 by RSA public DER", "algorithm", as_hmac(RSA.public_der(), "rsa")),
        ("HS256 by RSA public PEM, no kid", "signature", {
            Signer::Hmac(RSA.public_pem().into()).token(None, &good())
        }),
        ("RS256 asking for the EC key", "algorithm", RSA.token(Some("ec"), &good())),
        ("ES256 asking for the RSA key", "algorithm", EC.token(Some("rsa"), &good())),
        ("kid unknown", "unknown_key", named("nobody".into())),
        ("kid empty", "unknown_key", named("".into())),
        ("kid path-like", "unknown_key", named("../../../../dev/null".into())),
        ("kid SQL-like", "unknown_key", named("x' UNION SELECT 'secret' --".into())),
        ("kid is a list", "malformed", named(json!(["rsa"]))),
        ("jwk", "header", with("jwk", EC.jwk("mine"))),
        ("jku", "header", with("jku", "https://evil.example/jwks".into())),
        ("x5u", "header", with("x5u", "https://evil.example/cert".into())),
        ("x5c", "header", with("x5c", json!(["MIIB"]))),
        ("crit", "header", with("crit", json!(["exp"]))),
        ("typ of a logout token", "header", with("typ", "logout+jwt".into())),
    ];
    check(&fixture.verifier, &rows);
}

#[test]
fn times_are_whole_seconds_in_range() {
    let fixture = fixture();
    let with = |changes: Value| HMAC.token(None, &good_with(changes));
    let raw = |name: &str, number: &str| {
        let mut claims = good();
        claims.as_object_mut().unwrap().remove(name);
        let payload = claims.to_string().replacen('{', &format!("{{\"{name}\":{number},"), 1);
        HMAC.token_of(r#"{"alg":"HS256"}"#, &payload)
    };
    let mut rows = vec![("exp missing", "claims", with(json!({"exp": null})))];
    for name in ["exp", "nbf", "iat"] {
        rows.extend([
            ("string", "claims", with(json!({ name: (NOW_S + 60).to_string() }))),
            ("fraction", "claims", raw(name, "1800000060.5")),
            ("float", "claims", raw(name, "1.80000006e9")),
            ("negative", "claims", raw(name, "-1")),
            ("just above 2^53", "claims", raw(name, "9007199254740993")),
            ("above 64 bits", "claims", raw(name, "99999999999999999999")),
            ("infinite", "malformed", raw(name, "1e999")),
            ("null", "claims", raw(name, "null")),
            ("boolean", "claims", raw(name, "true")),
        ]);
    }
    rows.extend([
        ("exp is 2^53", "accepted", raw("exp", "9007199254740992")),
        ("exp zero", "expired", raw("exp", "0")),
        ("expired", "expired", with(json!({"exp": NOW_S - 3600}))),
        ("exp and leeway over", "expired", with(json!({"exp": NOW_S - 30}))),
        ("exp and leeway over by 1 s", "expired", with(json!({"exp": NOW_S - 31}))),
        ("exp and leeway 1 s to go", "accepted", with(json!({"exp": NOW_S - 29}))),
        ("not yet valid", "not_yet_valid", with(json!({"nbf": NOW_S + 3600}))),
        ("nbf beyond leeway by 1 s", "not_yet_valid", with(json!({"nbf": NOW_S + 31}))),
        ("nbf within leeway", "accepted", with(json!({"nbf": NOW_S + 30}))),
        ("iat in the future", "not_yet_valid", with(json!({"iat": NOW_S + 31}))),
        ("iat within leeway", "accepted", with(json!({"iat": NOW_S + 30}))),
        ("no iat", "accepted", with(json!({"iat": null}))),
    ]);
    check(&fixture.verifier, &rows);
}

#[test]
fn the_last_millisecond_of_the_leeway_counts() {
    let fixture = fixture();
    let token = HMAC.token(None, &good_with(json!({"exp": NOW_S})));
    assert!(fixture.verifier.verify(&token, NOW + 29_999).is_ok());
    assert_eq!(fixture.verifier.verify(&token, NOW + 30_000), Err(Refused::Expired));
    assert_eq!(fixture.verifier.verify(&token, u64::MAX), Err(Refused::Expired));
}

#[test]
fn issuer_audience_and_subject_are_required_as_configured() {
    let fixture = fixture();
    let with = |changes: Value| HMAC.token(None, &good_with(changes));
    let rows = [
        ("wrong iss", "issuer", with(json!({"iss": "https://issuer.example/"}))),
        ("iss missing", "issuer", with(json!({"iss": null}))),
        ("iss as list", "issuer", with(json!({"iss": ["https://issuer.example"]}))),
        ("wrong aud", "audience", with(json!({"aud": "other"}))),
        ("aud missing", "audience", with(json!({"aud": null}))),
        ("aud list without ours", "audience", with(json!({"aud": ["a", "b"]}))),
        ("aud list with a number", "audience", with(json!({"aud": ["sampan", 1]}))),
        ("aud empty list", "audience", with(json!({"aud": []}))),
        ("aud as object", "audience", with(json!({"aud": {"sampan": true}}))),
        ("second audience", "accepted", with(json!({"aud": "authenticated"}))),
        ("sub missing", "claims", with(json!({"sub": null}))),
        ("sub empty", "claims", with(json!({"sub": ""}))),
        ("sub a number", "claims", with(json!({"sub": 7}))),
        ("sub of 128 bytes", "accepted", with(json!({"sub": "x".repeat(128)}))),
        ("sub of 129 bytes", "claims", with(json!({"sub": "x".repeat(129)}))),
        ("sub with a line break", "claims", with(json!({"sub": "u1\nadmin"}))),
        ("jti a number", "claims", with(json!({"jti": 7}))),
    ];
    check(&fixture.verifier, &rows);
    let open = Fixture::with_secret(&Config::default());
    let rows = [
        ("iss not configured", "accepted", HMAC.token(None, &claims())),
        ("aud not configured", "accepted", HMAC.token(None, &claims_with(json!({"aud": "any"})))),
    ];
    check(&open.verifier, &rows);
}

#[test]
fn the_first_role_claim_present_decides() {
    let fixture = Fixture::with_secret(&Config::default());
    let role = |changes: Value| {
        let token = HMAC.token(None, &claims_with(changes));
        fixture.verifier.verify(&token, NOW).map(|identity| identity.role)
    };
    let rows = [
        (json!({}), Ok(Role::Customer)),
        (json!({"role": "authenticated"}), Ok(Role::Customer)),
        (json!({"role": "service"}), Ok(Role::Service)),
        (json!({"type": "agent", "role": "authenticated"}), Ok(Role::Agent)),
        (json!({"app_metadata": {"role": "admin"}, "type": "agent"}), Ok(Role::Admin)),
        (json!({"app_metadata": {"provider": "email"}}), Ok(Role::Customer)),
        (json!({"user_role": "agent", "app_metadata": {"role": "admin"}}), Ok(Role::Agent)),
        (json!({"user_metadata": {"role": "admin"}}), Ok(Role::Customer)),
        (json!({"user_metadata": {"role": "admin"}, "role": null}), Err(Refused::Role)),
        (json!({"user_role": "root"}), Err(Refused::Role)),
        (json!({"user_role": ["admin"]}), Err(Refused::Role)),
        (json!({"role": "anon"}), Err(Refused::Role)),
        (json!({"role": "Admin"}), Err(Refused::Role)),
        (json!({"role": ""}), Err(Refused::Role)),
        (json!({"role": null}), Err(Refused::Role)),
    ];
    for (changes, expected) in rows {
        assert_eq!(role(changes.clone()), expected, "{changes}");
    }
    // `claims_with` drops nulls, and Supabase's hook writes one for users without a role.
    let null = claims().to_string().replacen('{', r#"{"user_role":null,"#, 1);
    let token = HMAC.token_of(r#"{"alg":"HS256"}"#, &null);
    assert!(fixture.verifier.verify(&token, NOW).is_ok());
}

#[test]
fn a_namespaced_role_claim_is_found_by_its_whole_name() {
    let claim = "https://shop.example/role";
    let config = Config { role_claims: vec![claim.to_owned()], ..Config::default() };
    let fixture = Fixture::with_secret(&config);
    let token = HMAC.token(None, &claims_with(json!({ claim: "admin" })));
    assert_eq!(fixture.verifier.verify(&token, NOW).map(|i| i.role), Ok(Role::Admin));
}

#[test]
fn an_algorithm_off_the_list_is_refused_before_its_key_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("set");
    let set = json!({ "keys": [RSA.jwk("rsa"), EC.jwk("ec"), HMAC.jwk("oct")] });
    std::fs::write(&file, set.to_string()).unwrap();
    let config =
        Config { jwks_file: Some(file), algorithms: vec![Algorithm::ES256], ..Config::default() };
    let fixture = Fixture::new(directory, &config, None);
    let rows = [
        ("allowed", "accepted", EC.token(Some("ec"), &claims())),
        ("RS256", "algorithm", RSA.token(Some("rsa"), &claims())),
        ("HS256 by a published secret", "algorithm", HMAC.token(Some("oct"), &claims())),
    ];
    check(&fixture.verifier, &rows);
    assert_eq!(fixture.verifier.key_counts().keys, 1);
}

#[test]
fn hs256_tokens_may_carry_the_configured_kid_only() {
    let config = Config { secret_kid: Some("supabase".to_owned()), ..Config::default() };
    let fixture = Fixture::with_secret(&config);
    let rows = [
        ("its kid", "accepted", HMAC.token(Some("supabase"), &claims())),
        ("no kid", "accepted", HMAC.token(None, &claims())),
        ("another kid", "unknown_key", HMAC.token(Some("other"), &claims())),
    ];
    check(&fixture.verifier, &rows);
}

#[test]
fn a_revoked_token_is_refused_at_once() {
    let fixture = fixture();
    let token = HMAC.token(None, &good());
    assert_eq!(outcome(&fixture.verifier, &token), "accepted");
    let target = Target::Token("t1".to_owned());
    fixture.verifier.revocations().revoke(target, NOW).unwrap();
    assert_eq!(outcome(&fixture.verifier, &token), "revoked");
    let reopened = open_revocations(&fixture.directory);
    assert_eq!(reopened.count(), 1);
}

#[test]
fn every_refusal_reads_the_same_and_labels_are_distinct() {
    let labels: std::collections::HashSet<_> = Refused::ALL.iter().map(|r| r.label()).collect();
    assert_eq!(labels.len(), Refused::ALL.len());
    assert!(Refused::ALL.iter().all(|refused| refused.to_string() == Refused::MESSAGE));
}
