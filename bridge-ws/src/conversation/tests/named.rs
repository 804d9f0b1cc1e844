//! Named events, as the requests that they stand for.

use super::*;

#[test]
fn a_named_event_is_the_request_that_it_stands_for() {
    let mut talk = Talk::live();
    for (text, kind) in [
        (r#"{"id":1,"emit":{"event":"order:track","payload":"42"}}"#, Kind::Subscribe),
        (r#"{"id":2,"emit":{"event":"message:send","payload":{"text":"hi"}}}"#, Kind::Request),
        (r#"{"id":3,"emit":{"event":"auth:refresh","payload":"t"}}"#, Kind::Refresh),
    ] {
        talk.says(text);
        assert_eq!(talk.kinds(), [kind], "{text}");
    }
    for (text, code) in [
        (r#"{"id":4,"emit":{"event":"constructor"}}"#, Code::UNKNOWN_KIND),
        (r#"{"id":4,"emit":{"event":"order:track","payload":{}}}"#, Code::BAD_FIELD),
        (r#"{"id":4,"emit":{"event":"auth:refresh"}}"#, Code::BAD_FIELD),
        (r#"{"emit":{"event":"order:untrack","payload":1}}"#, Code::BAD_FIELD),
    ] {
        talk.says(text);
        assert_eq!(talk.hears()[0]["error"]["code"], code.0, "{text}");
        assert_eq!(talk.kinds(), [], "{text}");
    }
}

#[test]
fn who_joins_a_conversation_by_its_event_is_present_until_it_leaves() {
    let mut talk = Talk::live();
    let done = |number| Header::new(Kind::Done).number(number).bare();
    let subscribed = |number| {
        let body = control::Subscribed { joined_ms: 5, positions: Vec::new() };
        control::encode(&body, number).expect("valid")
    };
    for id in [1, 2] {
        talk.says(&format!(r#"{{"id":{id},"emit":{{"event":"conversation:join","payload":7}}}}"#));
        assert_eq!(talk.kinds(), [Kind::Subscribe]);
        talk.broker(&subscribed(id));
        assert_eq!(talk.hears()[0]["subscribed"]["joined_ms"], 5);
        assert_eq!(talk.kinds(), [Kind::Presence], "it enters");
        talk.broker(&done(id));
        assert!(talk.hears().is_empty(), "nobody has asked for that");
    }
    talk.says(r#"{"id":2,"unsubscribe":{}}"#);
    assert_eq!(talk.kinds(), [Kind::Unsubscribe], "it is still there by the first join");
    talk.broker(&done(2));
    assert_eq!(talk.hears(), [serde_json::json!({"id":2,"done":{}})]);
    talk.says(r#"{"id":9,"emit":{"event":"conversation:leave","payload":7}}"#);
    assert_eq!(talk.kinds(), [Kind::Unsubscribe, Kind::Presence]);
    talk.broker(&done(1));
    talk.broker(&done(1));
    assert_eq!(talk.hears(), [serde_json::json!({"id":9,"done":{}})]);
}

#[test]
fn a_room_that_is_refused_is_not_joined() {
    let mut talk = Talk::live();
    talk.says(r#"{"id":1,"emit":{"event":"order:track","payload":7}}"#);
    let refused = control::Refused { code: 201, retry_after_ms: 0, reason: "no".to_owned() };
    talk.broker(&control::encode(&refused, 1).expect("valid"));
    assert_eq!(talk.hears()[0]["error"]["code"], 201);
    talk.kinds();
    talk.says(r#"{"id":2,"emit":{"event":"order:untrack","payload":7}}"#);
    assert_eq!(talk.hears(), [serde_json::json!({"id":2,"done":{}})]);
    assert_eq!(talk.kinds(), [], "there is nothing to end");
}
