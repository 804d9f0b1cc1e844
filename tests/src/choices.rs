//! Choices: every way to choose, one after the other, or some ways by lot.

use crate::chance::Chance;

/// Goes through all sequences of choices that a procedure can be led through: it asks for one of so
/// many possibilities as often as it likes, and is played again until nothing is left to choose.
#[derive(Clone, Debug, Default)]
pub struct Every {
    /// What is chosen, and of how many.
    digits: Vec<(u64, u64)>,
    at: usize,
    played: bool,
}

impl Every {
    /// Starts the next play; `false` if all have been.
    pub fn again(&mut self) -> bool {
        if !std::mem::replace(&mut self.played, true) {
            return true;
        }
        self.digits.truncate(self.at);
        self.at = 0;
        while self.digits.pop_if(|(choice, bound)| *choice + 1 >= *bound).is_some() {}
        match self.digits.last_mut() {
            Some((choice, _)) => *choice += 1,
            None => return false,
        }
        true
    }

    /// Chooses one of `bound`, counted from 0.
    pub fn choose(&mut self, bound: u64) -> u64 {
        if self.at == self.digits.len() {
            self.digits.push((0, bound));
        }
        self.at += 1;
        self.digits[self.at - 1].0
    }
}

/// Plays all ways if they are fewer than half of `limit`, and else as many and the rest by lot.
/// How many were played.
pub fn some(
    limit: u64,
    chance: &mut Chance,
    mut play: impl FnMut(&mut dyn FnMut(u64) -> u64),
) -> u64 {
    let mut every = Every::default();
    for played in 0..limit.div_ceil(2) {
        if !every.again() {
            return played;
        }
        play(&mut |bound| every.choose(bound));
    }
    for _ in 0..limit / 2 {
        play(&mut |bound| chance.below(bound));
    }
    limit
}

#[test]
fn every_way_to_choose_is_played_once() {
    let mut every = Every::default();
    let mut played = Vec::new();
    while every.again() {
        let first = every.choose(3);
        played.push((first, if first == 1 { every.choose(2) } else { 0 }));
    }
    assert_eq!(played, [(0, 0), (1, 0), (1, 1), (2, 0)]);
}

#[test]
fn too_many_ways_are_played_up_to_the_limit() {
    let mut chance = Chance::new(1);
    let mut play = |limit| {
        some(limit, &mut chance, |choose| {
            choose(4);
            choose(4);
        })
    };
    assert_eq!((play(100), play(16), play(10)), (16, 16, 10));
}
