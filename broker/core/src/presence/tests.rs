//! Members, graces and watchers, also against a naive model.

use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn now() -> Now {
    Now { mono: Instant::now(), unix_ms: 1_000_000 }
}

fn presence(names_max: usize) -> Presence<u8> {
    Presence::new(Config { names_max, ..Config::default() })
}

fn user(name: &str) -> Arc<str> {
    Arc::from(name)
}

/// Lets customer `name` enter with `session`.
fn enter(presence: &mut Presence<u8>, now: Now, session: u8, name: &str) {
    presence.enter(now, session, user(name), Role::Customer).expect("room");
}

/// `user:sessions` of each joined, `-user` of each left.
fn told(change: Option<Change>) -> Vec<String> {
    let Some(change) = change else { return Vec::new() };
    let joined = change.joined.iter().map(|m| format!("{}:{}", m.user, m.sessions));
    joined.chain(change.left.iter().map(|user| format!("-{user}"))).collect()
}

/// All members, read page by page.
fn pages(presence: &Presence<u8>) -> Vec<Member> {
    let mut all: Vec<Member> = Vec::new();
    loop {
        let last = all.last().map(|member| member.user.clone()).unwrap_or_default();
        let page = presence.page(&last);
        assert!(page.members.len() <= presence.config.names_max);
        if page.members.is_empty() {
            return all;
        }
        all.extend(page.members);
    }
}

#[test]
fn changes_are_gathered_for_a_quarter_second_and_only_their_net_effect_is_told() {
    let (mut p, start) = (presence(9), now());
    enter(&mut p, start, 1, "ann");
    p.watch(9);
    assert_eq!((p.snapshot().count, p.deadline()), (1, None));
    enter(&mut p, start, 2, "bob");
    let due = start.after(250 * MS);
    assert_eq!(p.deadline(), Some(due.mono));
    let later = start.after(100 * MS);
    enter(&mut p, later, 3, "cid");
    p.leave(later, 3, false);
    enter(&mut p, later, 4, "ann");
    assert_eq!(p.time(start.after(249 * MS)), None);
    assert_eq!(p.snapshot().members.len(), 1, "what is gathered comes as the change");
    let change = p.time(due).expect("due");
    assert_eq!((change.sequence, change.count), (p.snapshot().sequence, 2));
    assert_eq!(told(Some(change)), ["ann:2", "bob:1"]);
    assert_eq!((p.deadline(), p.time(due.after(MS))), (None, None));
}

#[test]
fn leaving_and_coming_back_shows_as_a_change() {
    let (mut p, start) = (presence(9), now());
    enter(&mut p, start, 1, "ann");
    p.watch(9);
    p.leave(start.after(10 * MS), 1, false);
    enter(&mut p, start.after(20 * MS), 1, "ann");
    let change = p.time(start.after(300 * MS)).expect("due");
    assert_eq!(change.joined[0].since_ms, start.unix_ms + 20);
    assert_eq!(told(Some(change)), ["ann:1"]);
    p.leave(start.after(400 * MS), 1, true);
    enter(&mut p, start.after(410 * MS), 2, "ann");
    assert_eq!(p.time(start.after(700 * MS)), None, "a broken session that is back is no change");
    assert_eq!(p.deadline(), None);
}

#[test]
fn a_broken_session_leaves_its_user_until_the_grace_of_its_role_is_over() {
    for (role, seconds) in
        [(Role::Customer, 30), (Role::Agent, 60), (Role::Admin, 30), (Role::Service, 30)]
    {
        let (mut p, start) = (presence(9), now());
        p.watch(9);
        p.enter(start, 1, user("ann"), role).expect("room");
        p.enter(start, 2, user("ann"), role).expect("room");
        p.time(start.after(250 * MS)).expect("due");
        let broken = start.after(MS * 1000);
        p.leave(broken, 1, true);
        p.leave(broken, 2, true);
        assert_eq!(told(p.time(broken.after(250 * MS))), ["ann:0"]);
        let over = broken.after(Duration::from_secs(seconds));
        assert_eq!(p.deadline(), Some(over.mono));
        assert_eq!((p.time(over), p.snapshot().count), (None, 1));
        let change = p.time(over.after(250 * MS)).expect("due");
        assert_eq!((change.count, told(Some(change))), (0, vec!["-ann".to_owned()]));
        assert!(!p.is_empty(), "someone watches");
        p.unwatch(9);
        assert!(p.is_empty());
    }
}

#[test]
fn who_asks_to_leave_is_absent_at_once_and_a_session_counts_once() {
    let (mut p, start) = (presence(9), now());
    enter(&mut p, start, 1, "ann");
    enter(&mut p, start, 1, "ann");
    enter(&mut p, start, 2, "ann");
    assert_eq!(p.snapshot().members[0].sessions, 2);
    p.leave(start, 2, true);
    p.leave(start, 7, false);
    p.leave(start, 1, false);
    assert!(p.is_empty() && p.deadline().is_none());
    enter(&mut p, start, 1, "ann");
    enter(&mut p, start, 1, "bob");
    assert_eq!(p.snapshot().members[0].user, "bob", "a session has one user");
    assert_eq!(p.snapshot().count, 1);
}

#[test]
fn an_ended_session_no_longer_watches() {
    let (mut p, start) = (presence(9), now());
    p.watch(1);
    p.watch(2);
    p.leave(start, 1, true);
    p.leave(start, 2, false);
    assert_eq!(p.watchers().collect::<Vec<_>>(), [2]);
}

#[test]
fn above_the_size_only_counts_are_told_and_below_it_all_names_again() {
    let (mut p, start) = (presence(2), now());
    p.watch(9);
    let mut at = start;
    let mut step = |p: &mut Presence<u8>, session: u8, name: Option<&str>| {
        match name {
            Some(name) => enter(p, at, session, name),
            None => p.leave(at, session, false),
        }
        at = at.after(250 * MS);
        p.time(at).map(|change| (change.count, told(Some(change))))
    };
    assert_eq!(step(&mut p, 1, Some("a")), Some((1, vec!["a:1".to_owned()])));
    assert_eq!(step(&mut p, 2, Some("b")), Some((2, vec!["b:1".to_owned()])));
    assert_eq!(step(&mut p, 3, Some("c")), Some((3, vec![])));
    assert_eq!((p.snapshot().count, p.snapshot().members.len()), (3, 0));
    assert_eq!(step(&mut p, 4, Some("a")), None, "the count is the same");
    assert_eq!(step(&mut p, 2, None), Some((2, vec!["a:2".to_owned(), "c:1".to_owned()])));
    assert_eq!(p.snapshot().sequence, 4);
}

#[test]
fn members_are_bounded() {
    let mut p = Presence::new(Config { members_max: 1, ..Config::default() });
    let start = now();
    assert_eq!(p.enter(start, 1, user("a"), Role::Agent), Ok(()));
    assert_eq!(p.enter(start, 2, user("b"), Role::Agent), Err(Full));
    assert_eq!(p.enter(start, 2, user("a"), Role::Agent), Ok(()));
}

#[derive(Clone, Debug)]
enum Step {
    Enter(u8, u8),
    Leave(u8, bool),
    Watch(u8),
    Unwatch(u8),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0u8..8, 0u8..5).prop_map(|(session, user)| Step::Enter(session, user)),
        4 => (0u8..8, any::<bool>()).prop_map(|(session, ended)| Step::Leave(session, ended)),
        2 => (0u8..8).prop_map(Step::Watch),
        1 => (0u8..8).prop_map(Step::Unwatch),
        4 => (0u64..400).prop_map(Step::Wait),
        1 => (10_000u64..70_000).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..120)
}

/// The same rules, written for reading: a list of sessions and a list of graces.
#[derive(Default)]
struct Model {
    sessions: BTreeMap<u8, u8>,
    graces: BTreeMap<u8, Instant>,
}

impl Model {
    fn role(user: u8) -> Role {
        if user.is_multiple_of(2) { Role::Customer } else { Role::Agent }
    }

    fn leave(&mut self, now: Now, session: u8, ended: bool) {
        let Some(user) = self.sessions.remove(&session) else { return };
        if ended && !self.sessions.values().any(|other| *other == user) {
            let seconds = if Model::role(user) == Role::Agent { 60 } else { 30 };
            self.graces.insert(user, now.mono + Duration::from_secs(seconds));
        }
    }

    fn enter(&mut self, now: Now, session: u8, user: u8) {
        if self.sessions.get(&session) != Some(&user) {
            self.leave(now, session, false);
            self.sessions.insert(session, user);
            self.graces.remove(&user);
        }
    }

    /// Users present with their sessions.
    fn members(&self) -> BTreeMap<String, u32> {
        let mut members: BTreeMap<_, _> =
            self.graces.keys().map(|user| (user.to_string(), 0)).collect();
        for user in self.sessions.values() {
            *members.entry(user.to_string()).or_default() += 1;
        }
        members
    }
}

/// What one watcher knows from its snapshot and the changes since.
struct Watcher {
    sequence: u64,
    count: u32,
    members: BTreeMap<String, u32>,
}

fn names(members: Vec<Member>) -> impl Iterator<Item = (String, u32)> {
    members.into_iter().map(|member| (member.user, member.sessions))
}

proptest! {
    #[test]
    fn watchers_know_what_a_naive_model_knows(steps in steps(), names_max in 2usize..6) {
        let mut p = presence(names_max);
        let (mut model, mut at) = (Model::default(), now());
        let mut watchers: BTreeMap<u8, Watcher> = BTreeMap::new();
        for step in steps.into_iter().chain([Step::Wait(1000)]) {
            match step {
                Step::Enter(session, name) => {
                    let role = Model::role(name);
                    prop_assert!(p.enter(at, session, user(&name.to_string()), role).is_ok());
                    model.enter(at, session, name);
                }
                Step::Leave(session, ended) => {
                    p.leave(at, session, ended);
                    model.leave(at, session, ended);
                    if ended {
                        watchers.remove(&session);
                    }
                }
                Step::Watch(session) => {
                    p.watch(session);
                    let Snapshot { sequence, count, members } = p.snapshot();
                    if watchers.is_empty() {
                        prop_assert_eq!(count as usize, model.members().len());
                    }
                    let members = names(members).collect();
                    watchers.insert(session, Watcher { sequence, count, members });
                }
                Step::Unwatch(session) => {
                    p.unwatch(session);
                    watchers.remove(&session);
                }
                Step::Wait(ms) => {
                    let end = at.after(Duration::from_millis(ms));
                    while let Some(deadline) = p.deadline().filter(|at| *at <= end.mono) {
                        at = at.after(deadline - at.mono);
                        model.graces.retain(|_, until| *until > at.mono);
                        let Some(change) = p.time(at) else { continue };
                        let actual = model.members();
                        prop_assert_eq!(change.count as usize, actual.len());
                        prop_assert!(!watchers.is_empty());
                        for watcher in watchers.values_mut() {
                            prop_assert_eq!(change.sequence, watcher.sequence + 1);
                            watcher.sequence += 1;
                            watcher.count = change.count;
                            for gone in &change.left {
                                prop_assert!(watcher.members.remove(gone).is_some(), "{}", gone);
                            }
                            watcher.members.extend(names(change.joined.clone()));
                            if actual.len() > names_max {
                                prop_assert!(change.joined.is_empty() && change.left.is_empty());
                                watcher.members.clear();
                            } else {
                                prop_assert_eq!(&watcher.members, &actual);
                            }
                        }
                    }
                    at = end;
                }
            }
            prop_assert!(p.watchers().eq(watchers.keys().copied()));
            prop_assert_eq!(p.members.len(), model.members().len());
            prop_assert_eq!(names(pages(&p)).collect::<BTreeMap<_, _>>(), model.members());
            prop_assert_eq!(p.is_empty(), model.members().is_empty() && watchers.is_empty());
        }
        // A grace that ended in the last moment is still being gathered.
        for watcher in watchers.values().filter(|_| p.tell_at.is_none()) {
            prop_assert_eq!(watcher.count as usize, model.members().len());
            if watcher.count as usize <= names_max {
                prop_assert_eq!(&watcher.members, &model.members());
            }
        }
    }
}
