//! What becomes of an attempt: acks, failures, time that runs out.

use super::*;

#[test]
fn an_ack_is_answered_when_it_is_stored_and_survives_a_crash() {
    let mut world = world();
    world.order("0 1 2 3 4 5");
    let (mut worker, got) = world.billing(1);
    assert_eq!(texts(&got), ["0", "1", "2", "3", "4", "5"]);
    let numbers: Vec<u64> =
        [0, 2].iter().map(|at: &usize| world.settle(&mut worker, &got[*at], ACK, &[])).collect();
    assert_eq!(settled(&world.receive(&mut worker)), [], "not before it is stored");
    world.sleep(SECOND);
    let answers = settled(&world.receive(&mut worker));
    assert_eq!(answers, numbers.iter().map(|number| (*number, false)).collect::<Vec<_>>());
    // This one is on its way when the power goes.
    world.settle(&mut worker, &got[1], ACK, &[]);
    world.crash();
    let (_, again) = world.billing(0);
    let texts = texts(&again);
    let left = texts.iter().filter(|text| **text != "1").collect::<Vec<_>>();
    assert_eq!(left, [&"3", &"4", &"5"]);
    assert!(again.iter().all(|job| job.attempt == 2), "attempts are remembered: {again:?}");
}

#[test]
fn a_failed_job_comes_again_with_backoff_and_becomes_a_dead_letter() {
    let mut world = world();
    world.order("poison good");
    let (mut worker, first) = world.billing(1);
    world.ack(&mut worker, &first[1..]);
    let mut job = first[0].clone();
    for attempt in 1..=10 {
        assert_eq!(job.attempt, attempt);
        let number = world.settle(&mut worker, &job, NAK, &[]);
        let mut came = Vec::new();
        for _ in 0..400 {
            world.sleep(SECOND);
            let frames = world.receive(&mut worker);
            assert!(settled(&frames).iter().all(|(n, late)| *n == number || !late));
            came.extend(jobs(&frames));
            if !came.is_empty() {
                break;
            }
        }
        match came.pop() {
            Some(next) => job = next,
            None => assert_eq!(attempt, 10),
        }
    }
    let letters = world.letters("billing");
    let (_, letter) = &letters[0];
    assert_eq!((letters.len(), &letter.payload[..], letter.attempts), (1, &b"poison"[..], 10));
    assert!(letter.failures.len() == 10 && letter.failures.iter().all(|f| *f.user == *"w"));
    let status = world.status("billing");
    assert_eq!((status.lag, status.dead), (0, 1));
}

#[test]
fn release_counts_nothing_extend_gives_time_and_silence_counts_as_failure() {
    let mut world = world();
    world.order("a");
    let (mut worker, given) = world.billing(0);
    let job = given[0].clone();
    world.settle(&mut worker, &job, RELEASE, &[]);
    let job = world.jobs(&mut worker).remove(0);
    assert_eq!(job.attempt, 1);
    world.settle(&mut worker, &job, EXTEND, &[(Tag::Delay, 100_000)]);
    world.sleep(90 * SECOND);
    assert_eq!(world.jobs(&mut worker), []);
    world.sleep(12 * SECOND);
    let again = world.jobs(&mut worker).remove(0);
    assert_eq!(again.attempt, 2);
    // What is said of the first attempt is late; an ack counts all the same.
    let number = world.settle(&mut worker, &job, ACK, &[]);
    world.sleep(SECOND);
    assert_eq!(settled(&world.receive(&mut worker)), [(number, true)]);
    let number = world.settle(&mut worker, &again, NAK, &[]);
    world.sleep(400 * SECOND);
    let frames = world.receive(&mut worker);
    assert_eq!((settled(&frames), jobs(&frames)), (vec![(number, true)], vec![]));
}

#[test]
fn what_is_said_of_an_attempt_that_is_over_changes_nothing_of_the_next_one() {
    let mut world = world();
    world.order("a");
    let (mut worker, given) = world.billing(0);
    let first = given[0].clone();
    world.sleep(35 * SECOND);
    let second = world.jobs(&mut worker).remove(0);
    assert_eq!((first.attempt, second.attempt), (1, 2));
    for settlement in [NAK, RELEASE, REJECT, EXTEND] {
        let number = world.settle(&mut worker, &first, settlement, &[]);
        world.sleep(SECOND);
        let frames = world.receive(&mut worker);
        assert_eq!((settled(&frames), jobs(&frames)), (vec![(number, true)], vec![]));
    }
    let number = world.settle(&mut worker, &second, ACK, &[]);
    world.sleep(400 * SECOND);
    let frames = world.receive(&mut worker);
    assert_eq!((settled(&frames), jobs(&frames)), (vec![(number, false)], vec![]));
    assert_eq!(world.letters("billing"), []);
}

/// Makes every append and put from now on fail, or none.
fn fail(world: &World, fail_ppm: u32) {
    let delay = Duration::from_millis(1)..=Duration::from_millis(5);
    for store in &world.stores {
        store.memory().set_faults(journal::Faults { delay: delay.clone(), fail_ppm });
    }
}

#[test]
fn a_settlement_that_cannot_be_stored_is_refused_and_stored_when_it_can_be() {
    let mut world = world();
    world.order("0 1 2");
    let (mut worker, got) = world.billing(1);
    fail(&world, 1_000_000);
    for job in &got[..2] {
        let number = world.settle(&mut worker, job, ACK, &[]);
        world.sleep(SECOND);
        let frames = world.receive(&mut worker);
        assert_eq!(refusal(&frames, number), Some(Code::STORAGE));
        assert_eq!(settled(&frames), []);
    }
    fail(&world, 0);
    world.sleep(SECOND);
    // Said again: nothing is left to be done, and all of it is stored.
    let number = world.settle(&mut worker, &got[0], ACK, &[]);
    world.sleep(SECOND);
    assert_eq!(settled(&world.receive(&mut worker)), [(number, true)]);
    world.crash();
    let (_, jobs) = world.billing(1);
    assert_eq!(texts(&jobs), ["2"]);
}
