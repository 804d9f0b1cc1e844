//! Requests, replies and presence, over several shards.

use sampan_protocol::Code;
use sampan_protocol::control::{Members, MembersChanged, Presence, PresenceAct, Serve};

use super::*;

fn serve(world: &mut World, client: &mut Client, pattern: &str) {
    let body = Serve { pattern: pattern.into(), role: 1 };
    world.ask(client, |number| control::encode(&body, number).expect("valid"));
    let frames = world.receive(client);
    assert_eq!(of_kind(&frames, Kind::Done).len(), 1, "{frames:?}");
}

fn request(world: &mut World, client: &mut Client, topic: &str, body: &str) -> u64 {
    let mut attributes = BytesMut::new();
    attribute::put(&mut attributes, Tag::Topic, topic.as_bytes());
    attribute::put_number(&mut attributes, Tag::Deadline, 1_000);
    world.ask(client, |number| {
        let header = Header::new(Kind::Request).number(number);
        header.to_frame(&attributes, body.as_bytes()).expect("small")
    })
}

fn reply(world: &mut World, responder: &mut Client, body: &str) -> Frame {
    let frames = world.receive(responder);
    let call = of_kind(&frames, Kind::Request).pop().expect("a call").clone();
    let header = Header::new(Kind::Reply).number(call.header.number);
    world.send(responder, header.to_frame(&[], body.as_bytes()).expect("small"));
    call
}

#[test]
fn a_request_is_answered_across_shards_and_names_who_asked() {
    let mut world = World::new(2);
    let mut service = world.client(1, "chat", Role::Service);
    serve(&mut world, &mut service, "chat.*");
    let mut customer = world.client(0, "anna", Role::Customer);
    let number = request(&mut world, &mut customer, "chat.send_message", "hello");
    let call = reply(&mut world, &mut service, "world");
    let asked = call.attributes().expect("valid");
    assert_eq!((asked.topic, asked.user), (Some("chat.send_message"), Some("anna")));
    assert_eq!((asked.role, call.body_bytes()), (Some("customer"), &b"hello"[..]));
    let frames = world.receive(&mut customer);
    assert_eq!((frames[0].header.kind, frames[0].header.number), (Kind::Reply, number));
    assert_eq!(frames[0].body_bytes(), b"world");
}

#[test]
fn requests_are_shared_among_responders() {
    let mut world = World::new(2);
    let mut services = [world.client(0, "a", Role::Service), world.client(1, "b", Role::Service)];
    for service in &mut services {
        serve(&mut world, service, "chat.*");
    }
    let mut asker = world.client(0, "asker", Role::Service);
    for _ in 0..10 {
        request(&mut world, &mut asker, "chat.x", "");
    }
    for service in &mut services {
        let frames = world.receive(service);
        assert_eq!(of_kind(&frames, Kind::Request).len(), 5);
    }
}

#[test]
fn a_request_ends_without_responder_at_its_deadline_and_when_its_responder_leaves() {
    let mut world = World::new(2);
    let mut asker = world.client(0, "asker", Role::Service);
    let nobody = request(&mut world, &mut asker, "chat.x", "");
    assert_eq!(refusal(&world.receive(&mut asker), nobody), Some(Code::NO_RESPONDER));
    let mut service = world.client(1, "s", Role::Service);
    serve(&mut world, &mut service, "chat.*");
    let silent = request(&mut world, &mut asker, "chat.x", "");
    world.sleep(Duration::from_secs(2));
    assert_eq!(refusal(&world.receive(&mut asker), silent), Some(Code::DEADLINE));
    let lost = request(&mut world, &mut asker, "chat.x", "");
    world.leave(&service);
    assert_eq!(refusal(&world.receive(&mut asker), lost), Some(Code::RESPONDER_LOST));
    let gone = request(&mut world, &mut asker, "chat.x", "");
    assert_eq!(refusal(&world.receive(&mut asker), gone), Some(Code::NO_RESPONDER));
}

#[test]
fn only_the_responder_that_was_asked_can_answer_and_only_once() {
    let mut world = World::new(2);
    let mut service = world.client(1, "s", Role::Service);
    serve(&mut world, &mut service, "chat.*");
    let mut asker = world.client(0, "asker", Role::Service);
    let mut thief = world.client(1, "thief", Role::Service);
    request(&mut world, &mut asker, "chat.x", "");
    let frames = world.receive(&mut service);
    let call = of_kind(&frames, Kind::Request)[0].header.number;
    let answer = |text: &str| {
        Header::new(Kind::Reply).number(call).to_frame(&[], text.as_bytes()).expect("small")
    };
    world.send(&mut thief, answer("forged"));
    assert!(world.receive(&mut asker).is_empty());
    world.send(&mut service, answer("true"));
    world.send(&mut service, answer("again"));
    let frames = world.receive(&mut asker);
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0].body_bytes(), b"true");
}

fn act(world: &mut World, client: &mut Client, act: PresenceAct) -> Vec<Frame> {
    let body = Presence::of("chat.conversation.1", act);
    world.ask(client, |number| control::encode(&body, number).expect("valid"));
    world.receive(client)
}

#[test]
fn a_watcher_sees_members_come_and_go_after_their_grace() {
    let mut world = World::new(2);
    let mut watcher = world.client(0, "watcher", Role::Service);
    let frames = act(&mut world, &mut watcher, PresenceAct::Watch);
    let members: Members = control::decode(&frames[0]).expect("valid");
    assert_eq!(members.count, 0);
    let mut agent = world.client(1, "agent", Role::Agent);
    let frames = act(&mut world, &mut agent, PresenceAct::Enter);
    assert_eq!(frames[0].header.kind, Kind::Done);
    world.sleep(Duration::from_secs(1));
    let frames = world.receive(&mut watcher);
    let change: MembersChanged = control::decode(&frames[0]).expect("valid");
    assert_eq!((change.count, change.joined[0].user.as_str()), (1, "agent"));
    assert_eq!(change.sequence, members.sequence + 1);
    world.leave(&agent);
    world.sleep(Duration::from_secs(59));
    let graced = world.receive(&mut watcher);
    let still: Vec<MembersChanged> =
        graced.iter().map(|frame| control::decode(frame).expect("valid")).collect();
    assert!(still.iter().all(|change| change.left.is_empty() && change.count == 1), "{still:?}");
    world.sleep(Duration::from_secs(3));
    let frames = world.receive(&mut watcher);
    let change: MembersChanged = control::decode(frames.last().expect("told")).expect("valid");
    assert_eq!((change.count, change.left), (0, vec!["agent".to_owned()]));
}
