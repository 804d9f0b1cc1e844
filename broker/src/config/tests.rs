//! Which source goes first, what is refused and how, and that the sample file is in sync.

use std::num::NonZeroU8;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::docs::{self, Key};
use super::*;

const SECRET: &str = "a secret of more than thirty-two bytes";

fn load(file: &str, variables: &[(&str, &str)], flags: Flags) -> Result<Config, Error> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("sampan.toml");
    std::fs::write(&path, file).expect("written");
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let environment = variables.iter().map(pair).collect();
    Config::load(&Sources { file: Some(path), environment, flags })
}

fn refused(file: &str, variables: &[(&str, &str)]) -> String {
    match load(file, variables, Flags::default()) {
        Ok(config) => panic!("taken: {:?}", config.written),
        Err(error) => error.to_string(),
    }
}

#[test]
fn nothing_is_needed_and_nothing_is_public() {
    let config = Config::load(&Sources::default()).expect("defaults are valid");
    assert_eq!(config.quic.to_string(), "127.0.0.1:3001");
    assert_eq!(config.http, config.quic);
    assert_eq!(config.data_dir, PathBuf::from("./sampan-data"));
    assert!(config.certificate.is_none() && !config.has_own_keys());
}

#[test]
fn a_flag_goes_ahead_of_a_variable_ahead_of_the_file() {
    let file = "[listen]\nquic = '127.0.0.1:1'\nhttp = '127.0.0.1:1'\n[data]\ndir = 'file'\n\
                [log]\nlevel = 'warn'\n";
    let variables = [
        ("SAMPAN_LISTEN_QUIC", "127.0.0.1:2"),
        ("SAMPAN_LISTEN_HTTP", "127.0.0.1:2"),
        ("SAMPAN_DATA", "variable"),
    ];
    let flags = Flags { quic: Some("127.0.0.1:3".parse().expect("valid")), ..Flags::default() };
    let config = load(file, &variables, flags).expect("valid");
    assert_eq!((config.quic.port(), config.http.port()), (3, 2));
    assert_eq!(config.data_dir, PathBuf::from("variable"));
    assert_eq!(config.log.filter, "warn");
}

#[test]
fn a_variable_is_text_number_or_list_as_its_key_needs() {
    let variables = [
        ("SAMPAN_SHARDS_COUNT", "3"),
        ("SAMPAN_AUTH_AUDIENCE", "['shop', 'desk']"),
        ("SAMPAN_AUTH_ISSUER", "123"),
        ("SAMPAN_RATES_SERVICE_PER_S", "7"),
        ("SAMPAN_LOG_FORMAT", "json"),
        ("JWT_SECRET", SECRET),
        ("SAMPAN_PORT_3001_UDP", "from Kubernetes"),
        ("SAMPAN_AUTH_SERVICE_HOST", "from Kubernetes"),
        ("SAMPAN_URL", "for clients"),
    ];
    let config = load("", &variables, Flags::default()).expect("valid");
    assert_eq!(config.shards.map(NonZeroU8::get), Some(3));
    assert_eq!(config.auth.audience, ["shop", "desk"]);
    assert_eq!(config.auth.issuer.as_deref(), Some("123"));
    assert_eq!(config.core.limits.connection_rate.service.per_s, 7);
    assert_eq!(config.log.format, LogFormat::Json);
    assert!(config.jwt_secret.is_some());
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_name() {
    let cases = [
        ("[listen]\nquick = 'x'", "`listen.quick`; did you mean `listen.quic`?"),
        ("[lisen]\nquic = 'x'", "`lisen`; did you mean `listen`?"),
        ("[auth]\nissuers = 'x'", "`auth.issuers`; did you mean `auth.issuer`?"),
        ("[[auth.keys]]\nfiel = 'x'", "`auth.keys.fiel`; did you mean `auth.keys.file`?"),
        ("[roles.agent]\nsubscibe = []", "did you mean `roles.agent.subscribe`?"),
        ("[[classes]]\npatern = 'a.*'", "did you mean `classes.pattern`?"),
        ("zzz = 1", "there is no setting `zzz`; `sampan config` lists all of them"),
    ];
    for (file, expected) in cases {
        let error = refused(file, &[]);
        assert!(error.contains(expected), "{file}: {error}");
    }
    let error = refused("", &[("SAMPAN_LISTEN_QUIK", "127.0.0.1:1")]);
    assert!(error.contains("did you mean `SAMPAN_LISTEN_QUIC`?"), "{error}");
}

#[test]
fn origins_of_the_variable_go_first() {
    let file = "[bridge]\nallowed_origins = ['https://file.example']";
    let origins = |variables: &[(&str, &str)]| {
        load(file, variables, Flags::default()).expect("valid").bridge.origins
    };
    assert!(origins(&[]).allow("https://file.example", None));
    let named = origins(&[("ALLOWED_ORIGINS", "https://a.example, https://b.example:8443,")]);
    assert!(named.allow("https://a.example", None) && named.allow("https://b.example:8443", None));
    assert!(!named.allow("https://file.example", None));
    for bad in ["*", "a.example"] {
        let error = refused(file, &[("ALLOWED_ORIGINS", bad)]);
        assert!(error.contains("bridge.allowed_origins"), "{error}");
    }
}

#[test]
fn bad_values_are_refused_with_their_place() {
    let cases = [
        ("[listen]\nquic = 'here'", "line 2"),
        ("[listen\n", "line 1"),
        ("[shards]\ncount = 65", "shards.count: 65 is not from 0 to 64"),
        ("[limits]\npayload_bytes_max = 2000000", "limits.payload_bytes_max"),
        ("[log]\nlevel = 'a=b=c'", "log.level"),
        ("[tls]\nkey_file = 'k'", "tls.certificate_file: missing"),
        ("[[classes]]\npattern = 'a..b'\nclass = 'latest'", "pattern: the name has an empty token"),
        ("[[classes]]\npattern = 'a'\nclass = 'lates'", "not ephemeral, latest or durable"),
        (
            "[[classes]]\npattern = 'a'\nclass = 'latest'\ndatagrams = true",
            "datagrams is for class",
        ),
        ("[roles.agent]\npublish = ['a b']", "roles.agent"),
        ("[[groups]]\nname = 'g'\npattern = 'a..b'", "groups (name \"g\"): pattern: "),
        ("[[groups]]\nname = 'a b'\npattern = 'a'", "name: "),
        (
            "[[groups]]\nname = 'chat'\npattern = 'chat.>'",
            "groups (name \"chat\"): the services of this process read chat.conversation.* with it",
        ),
        (
            "[[groups]]\nname = 'g'\npattern = 'a'\n[[groups]]\nname = 'g'\npattern = 'b'",
            "is there twice",
        ),
    ];
    for (file, expected) in cases {
        let error = refused(file, &[]);
        assert!(error.contains(expected), "{file}: {error}");
    }
    let error = refused("", &[("SAMPAN_SHARDS_COUNT", "many")]);
    assert!(error.starts_with("variable SAMPAN_SHARDS_COUNT"), "{error}");
    let error = refused("", &[("JWT_SECRET", "short")]);
    assert!(error.contains("JWT_SECRET") && !error.contains("short\""), "{error}");
}

#[test]
fn a_public_address_needs_certificate_and_keys() {
    let tls = "[tls]\ncertificate_file = 'c'\nkey_file = 'k'\n";
    let public = |key: &str| format!("[listen]\n{key} = '0.0.0.0:3001'\n");
    for key in ["quic", "http"] {
        assert!(refused(&public(key), &[]).contains("tls.certificate_file and tls.key_file, and"));
        assert!(refused(&public(key), &[("JWT_SECRET", SECRET)]).contains("tls.certificate_file"));
        assert!(refused(&(tls.to_owned() + &public(key)), &[]).contains("JWT_SECRET"));
        let both =
            load(&(tls.to_owned() + &public(key)), &[("JWT_SECRET", SECRET)], Flags::default());
        assert!(both.is_ok(), "{both:?}");
    }
    for loopback in ["127.8.9.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        let file = format!("[listen]\nquic = '{loopback}'");
        assert!(load(&file, &[], Flags::default()).is_ok(), "{loopback}");
    }
}

#[test]
fn class_rules_are_added_and_replace_by_pattern() {
    let file = "[[classes]]\npattern = 'chat.typing.*'\nclass = 'latest'\nmax_hz = 5\n\
                [[classes]]\npattern = 'own.>'\nclass = 'durable'\nretention_count = 10\n";
    let config = load(file, &[], Flags::default()).expect("valid");
    let class = |name: &str| {
        let topic = sampan_protocol::Topic::parse(name).expect("valid");
        config.core.classes.rule(&topic).clone()
    };
    assert_eq!(class("chat.typing.1").max_hz, Some(5));
    assert_eq!(class("own.a.b").retention.count, Some(10));
    assert_eq!(class("bench.a").class, sampan_protocol::Class::Ephemeral);
}

#[test]
fn groups_are_added_and_replace_by_name() {
    let file = "[services]\nenabled = false\n\
                [[groups]]\nname = 'chat'\npattern = 'chat.>'\n\
                [[groups]]\nname = 'own'\npattern = 'own.*'\n";
    let config = load(file, &[], Flags::default()).expect("valid");
    let groups: Vec<_> =
        config.core.groups.iter().map(|g| (g.name.as_str(), g.pattern.as_str())).collect();
    let shipped = [("notifications", "notify.trigger"), ("inventory", "inventory.reservation")];
    assert_eq!(groups, [shipped[0], shipped[1], ("chat", "chat.>"), ("own", "own.*")]);
}

#[test]
fn a_list_of_a_role_replaces_what_ships_or_adds_to_it() {
    use sampan_core::grant::{Role, Verdict};
    use sampan_protocol::control::Action;
    let file = "[roles.customer]\nsubscribe = ['..', 'shop.news.>', 'deals.*?']\npublish = []\n";
    let config = load(file, &[], Flags::default()).expect("valid");
    let check = |action, pattern: &str| {
        let pattern = sampan_protocol::Pattern::parse(pattern).expect("valid");
        config.core.roles.grants(Role::Customer).check("ann", action, &pattern)
    };
    assert_eq!(check(Action::Subscribe, "user.ann"), Verdict::Yes, "as it ships");
    assert_eq!(check(Action::Subscribe, "shop.news.today"), Verdict::Yes, "added");
    assert_eq!(check(Action::Subscribe, "deals.1"), Verdict::Ask, "added");
    assert_eq!(check(Action::Publish, "chat.send_message"), Verdict::No, "replaced");
    assert_eq!(check(Action::History, "user.ann"), Verdict::Yes, "not touched");
    let printed = effective(&config);
    assert!(printed.contains("\"order.*?\", \"inventory.product.*\""), "{printed}");
}

#[test]
fn what_is_printed_can_be_read_and_means_the_same() {
    let file = "[auth]\nsecret_file = 's'\n[[auth.keys]]\nfile = 'f'\nalgorithm = 'ES256'\n\
                [roles.customer]\npublish = ['a.{user}?']\n[[classes]]\npattern = 'x.*'\n\
                class = 'latest'\nmax_hz = 2\n";
    let config = load(file, &[("JWT_SECRET", SECRET)], Flags::default()).expect("valid");
    let printed = effective(&config);
    assert!(!printed.contains(SECRET));
    let again = load(&printed, &[], Flags::default()).expect("what is printed is a file");
    assert_eq!(effective(&again), printed);
    assert_eq!(again.auth.keys.len(), 1);
}

#[test]
fn every_key_is_described_and_there_are_few() {
    fn walk(keys: &[Key], path: &str, count: &mut usize) {
        for key in keys {
            assert!(!key.docs.is_empty(), "{path}{} has no doc comment", key.name);
            match &key.value {
                docs::Value::Plain => *count += 1,
                docs::Value::Section(inner) | docs::Value::List(inner) => {
                    walk(inner, &format!("{path}{}.", key.name), count);
                }
            }
        }
    }
    let known = docs::settings();
    let scalar: Vec<Key> = known
        .iter()
        .filter(|key| !matches!(key.name, "roles" | "classes" | "groups"))
        .cloned()
        .collect();
    let (mut all, mut scalars) = (0, 0);
    walk(&known, "", &mut all);
    walk(&scalar, "", &mut scalars);
    assert!((30..=70).contains(&scalars), "{scalars} keys");
    assert!(all > scalars);
    let defaults = toml::Table::try_from(File::default()).expect("the defaults are TOML");
    for (section, keys) in &defaults {
        for key in keys.as_table().into_iter().flat_map(toml::Table::keys) {
            let inner = known.iter().find(|known| known.name == section).map(|key| &key.value);
            let Some(docs::Value::Section(inner)) = inner else { panic!("{section}") };
            assert!(inner.iter().any(|known| known.name == key), "{section}.{key}");
        }
    }
}

#[test]
fn chats_are_routed_as_the_file_says() {
    use sampan_services::chat::rules::routing::Mode;
    use sampan_services::chat::service::Settings;
    let chat = |text: &str| {
        let config = load(text, &[], Flags::default()).expect("valid");
        config.services.settings().expect("no other files").chat
    };
    assert_eq!(chat(""), Settings::default(), "the defaults are those of the rules");
    let own = chat(
        "[services.chat]\nmode = 'rotation'\nsticky = true\nrelax_skills_s = 60\n\
         vip_points = 7\nmax_wait_s = 120\nfirst_reply_s = 30\n",
    );
    assert_eq!((own.policy.mode, own.policy.is_sticky), (Mode::Rotation, true));
    assert_eq!(own.policy.relax_after, Some(Duration::from_secs(60)));
    assert_eq!((own.policy.ranking.vip, own.policy.ranking.per_minute), (7, 1));
    assert_eq!(own.policy.ranking.max_wait, Duration::from_secs(120));
    assert_eq!(own.patience.first_reply, Duration::from_secs(30));
    assert!(load("[services.chat]\nmode = 'random'\n", &[], Flags::default()).is_err());
}

#[test]
fn the_sample_file_is_in_sync() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sampan.example.toml");
    let fresh = sample();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &fresh).expect("written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == fresh, "sampan.example.toml is stale; UPDATE=1 rewrites it");
    let is_complete = |line: &&str| !line.ends_with('=') && !matches!(*line, "[[auth.keys]]");
    let uncommented: String = fresh
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(set) if !set.is_empty() && !set.starts_with(' ') => set,
            _ => line,
        })
        .filter(is_complete)
        .map(|line| format!("{line}\n"))
        .collect();
    load(&uncommented, &[], Flags::default()).expect("every line of the sample is valid");
}
