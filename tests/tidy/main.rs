//! Architecture rules over the repository's own files. They are absences, so only a test shows them.

mod documents;
mod rules;
mod tree;

use tree::{Source, shipped, sources};

type Rule = fn(&[Source]) -> Vec<String>;

macro_rules! rules {
    ($($module:ident: $($rule:ident)*;)*) => {
        $($(#[test]
        fn $rule() {
            let found = $module::$rule(&sources());
            assert!(found.is_empty(), "\n{}\n", found.join("\n"));
        })*)*
    };
}

rules! {
    rules:
        pure_crates_name_no_world
        dependencies_are_named_at_their_doors
        public_signatures_show_no_dependency
        every_file_says_what_it_owns
        modules_have_names_that_say_something
        nothing_is_left_unfinished
        floors_of_dependencies_are_ranges;
    documents:
        every_document_has_one_title
        every_relative_link_leads_somewhere
        no_sentence_stands_in_two_documents
        every_invariant_names_the_test_that_holds_it
        every_defect_names_the_tests_that_show_it_gone
        every_request_to_a_service_is_typed_in_both_clients;
}

/// What one rule finds in one file; the file stands beside a manifest that depends on tokio.
fn findings(rule: Rule, path: &str, text: &str) -> usize {
    let manifest = |folder| Source::new(folder, "[dependencies]\nbytes = \"1\"\nquinn = \"1\"\n");
    let baseline = [manifest("sdk/rust/Cargo.toml")];
    let before = rule(&baseline).len();
    let [manifest] = baseline;
    rule(&[manifest, Source::new(path, text)]).len().abs_diff(before)
}

#[test]
fn every_rule_finds_what_it_forbids_and_nothing_else() {
    let long = "A sentence that is long enough to be noticed when it stands twice.";
    let cases: &[(Rule, &str, &str, usize)] = &[
        (rules::pure_crates_name_no_world, "broker/core/src/a.rs", "let a = Instant::now();", 1),
        (rules::pure_crates_name_no_world, "broker/core/src/a.rs", "a: HashMap<u64, (u8, u8)>", 1),
        (rules::pure_crates_name_no_world, "broker/core/src/a.rs", "a: HashSet<u64>", 1),
        (rules::pure_crates_name_no_world, "broker/core/src/a.rs", "a: HashMap<u64, A, IdHash>", 0),
        (rules::pure_crates_name_no_world, "broker/core/src/a.rs", "use tokio::net::UdpSocket;", 2),
        (rules::pure_crates_name_no_world, "protocol/Cargo.toml", "[dependencies]\nmio = 1", 1),
        (rules::pure_crates_name_no_world, "broker/src/a.rs", "let a = Instant::now();", 0),
        (rules::pure_crates_name_no_world, "protocol/src/a.rs", "// Instant::now, \"tokio\"", 0),
        (rules::dependencies_are_named_at_their_doors, "broker/src/a.rs", "use quinn::A;", 1),
        (rules::dependencies_are_named_at_their_doors, "sdk/rust/src/quic.rs", "quinn::A", 1),
        (rules::dependencies_are_named_at_their_doors, "broker/src/a.rs", "use sequinn::A;", 0),
        (rules::public_signatures_show_no_dependency, API, "pub fn a(b: quinn::B) {}", 1),
        (rules::public_signatures_show_no_dependency, API, "use quinn::B;\npub type A = B;", 1),
        (rules::public_signatures_show_no_dependency, API, "pub enum A {\n    B(quinn::C),\n}", 1),
        (rules::public_signatures_show_no_dependency, API, "pub use quinn::{B, C};", 1),
        (
            rules::public_signatures_show_no_dependency,
            API,
            "pub async fn a(\n    b: B,\n    c: quinn::C,\n) {}",
            1,
        ),
        (rules::public_signatures_show_no_dependency, API, "pub struct A(pub quinn::B);", 1),
        (rules::public_signatures_show_no_dependency, API, "pub struct A(quinn::B);", 0),
        (
            rules::public_signatures_show_no_dependency,
            API,
            "pub struct A {\n    pub b: quinn::B,\n}",
            1,
        ),
        (rules::public_signatures_show_no_dependency, API, "pub fn a(b: Bytes) { quinn::c() }", 0),
        (rules::public_signatures_show_no_dependency, API, "pub(crate) fn a(b: quinn::B) {}", 0),
        (rules::every_file_says_what_it_owns, API, "#![no_main]\nuse a::b;", 1),
        (rules::every_file_says_what_it_owns, API, "//! Owns the acks.", 0),
        (rules::modules_have_names_that_say_something, "broker/src/utils/mod.rs", "", 1),
        (rules::modules_have_names_that_say_something, "broker/src/misc.rs", "", 1),
        (rules::modules_have_names_that_say_something, API, "mod common {}", 1),
        (rules::nothing_is_left_unfinished, API, "a.unwrap(); todo!()", 2),
        (rules::nothing_is_left_unfinished, API, "#[cfg(test)]\nmod tests { a.unwrap() }", 0),
        (rules::nothing_is_left_unfinished, "a/tests/a.rs", "#[ignore]\nfn a() { a.unwrap() }", 1),
        (rules::nothing_is_left_unfinished, "a.md", "See /home/me, FIXME.", 2),
        (rules::floors_of_dependencies_are_ranges, "deny.toml", "crate = \"a@<1\"", 1),
        (documents::every_document_has_one_title, "a.md", "# A\n\n# B\n", 1),
        (documents::every_document_has_one_title, "a.md", "A\n", 1),
        (documents::every_document_has_one_title, "a.md", "# A\n\n```\n# B\n```\n", 0),
        (documents::every_relative_link_leads_somewhere, "a.md", "[a](spec/none.md#b)", 1),
        (documents::every_relative_link_leads_somewhere, "spec/a.md", "[a](../Cargo.toml)", 0),
        (documents::every_relative_link_leads_somewhere, "a.md", "[a](https://a.example)", 0),
        (documents::every_invariant_names_the_test_that_holds_it, "ARCHITECTURE.md", "# A", 0),
        (documents::every_defect_names_the_tests_that_show_it_gone, "spec/defects.md", "# D", 0),
        (
            documents::every_request_to_a_service_is_typed_in_both_clients,
            "spec/services.md",
            "| request | by |\n| --- | --- |\n| `orders.fly`, `fly.high` | all |",
            // Less the one of a document that is missing.
            2,
        ),
    ];
    for (rule, path, text, expected) in cases {
        assert_eq!(findings(*rule, path, text), *expected, "{path}: {text}");
    }
    let twice = [Source::new("a.md", long), Source::new("b.md", &format!("# B\n\n{long}\n"))];
    assert_eq!(documents::no_sentence_stands_in_two_documents(&twice).len(), 1);
}

const API: &str = "sdk/rust/src/acks.rs";

#[test]
fn a_defect_without_an_existing_test_in_order_is_found() {
    let check = |rows: &str| {
        let page = Source::new("spec/defects.md", rows);
        let code = Source::new("a/tests/a.rs", "on_each_store! { kept: keep; }\nfn held() {}");
        let script = Source::new("a/b.test.js", "test(\"stays where it was\")");
        documents::every_defect_names_the_tests_that_show_it_gone(&[page, code, script]).len()
    };
    assert_eq!(check("| D1, D2 | a | `held`, `kept` |\n| D3 | b | `stays where it was` |"), 0);
    assert_eq!(check("| D1 | a | `gone` |"), 1);
    assert_eq!(check("| D1 | a | held |"), 1);
    assert_eq!(check("| D2 | a | `held` |"), 1);
    assert_eq!(check(""), 1);
}

#[test]
fn an_invariant_without_an_existing_test_in_order_is_found() {
    let check = |items: &str| {
        let page = Source::new("ARCHITECTURE.md", &format!("# A\n\n## Invariants\n\n{items}\n"));
        let code = Source::new("a.rs", "fn shipped() {}\n#[cfg(test)]\nmod tests { fn held() {} }");
        documents::every_invariant_names_the_test_that_holds_it(&[page, code]).len()
    };
    assert_eq!(
        check("1. No a.\n   Held by `a::tests::held`.\n2. No b. Held by `held`, `held`."),
        0
    );
    assert_eq!(check("1. No a. Held by `gone`."), 1);
    assert_eq!(check("1. No a. Held by `shipped`."), 1);
    assert_eq!(check("1. No a."), 1);
    assert_eq!(check("2. No a. Held by `held`."), 1);
    assert_eq!(check(""), 1);
}

#[test]
fn only_code_that_ships_is_looked_at() {
    let kept = |text: &str| shipped(text).split_whitespace().collect::<Vec<_>>().join(" ");
    for (text, code) in [
        ("a // b\nc /* d\n */ e", "a c e"),
        (r##"a(r#"b"c"#, "d\"e", 'f', '\'', '"')"##, "a( , , , , )"),
        ("fn a<'b>(c: &'b str) {}", "fn a<'b>(c: &'b str) {}"),
        ("\"\u{2192}\" a '\u{2192}' \u{2192}", "a \u{2192}"),
        ("#[cfg(test)]\nmod a;\nmod b; #[cfg(test)]\nmod c { d { } } e", "mod b; e"),
    ] {
        assert_eq!(kept(text), code);
    }
}
