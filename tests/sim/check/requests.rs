//! Whether every request has one end: its own answer, or a failure that tells the truth.

use std::collections::BTreeMap;

use crate::history::{History, Id, Outcome, What};

#[derive(Default)]
struct Request {
    asked: usize,
    served: usize,
    outcomes: Vec<Outcome>,
}

pub(super) fn check(history: &History) -> Vec<String> {
    let mut requests: BTreeMap<Id, Request> = BTreeMap::new();
    for record in &history.records {
        match &record.what {
            What::Asked { id } => requests.entry(*id).or_default().asked += 1,
            What::Served { id } => requests.entry(*id).or_default().served += 1,
            What::Answered { id, outcome } => {
                requests.entry(*id).or_default().outcomes.push(*outcome);
            }
            _ => {}
        }
    }
    requests.into_iter().filter_map(|(id, request)| request.wrong(id)).collect()
}

impl Request {
    fn wrong(&self, id: Id) -> Option<String> {
        let found = match self.outcomes[..] {
            _ if self.asked != 1 => "was never asked",
            _ if self.served > 1 => "was handed out more than once",
            [] => "has no end",
            [Outcome::Answer(of)] if of == id && self.served == 1 => return None,
            [Outcome::Failed { may_have_happened, .. }]
                if may_have_happened || self.served == 0 =>
            {
                return None;
            }
            [Outcome::Failed { .. }] => "happened, and was said not to have",
            [Outcome::Answer(_) | Outcome::Nonsense] => "has an answer that is not its own",
            _ => "has more than one end",
        };
        Some(format!("request {id:?} {found}: {:?}", self.outcomes))
    }
}
