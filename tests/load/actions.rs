//! What a server does to each request, and what a client must count after it.

use std::collections::BTreeMap;

use crate::protocols::Protocol;

/// What is done to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is answered.
    Answer,
    /// It is not.
    Silent,
    /// It is answered so many times.
    Times(u32),
    /// It is answered when later requests prove that its time is over.
    Late,
    /// Bytes that are no reply, and no other.
    Garbage,
    /// The first bytes of the answer.
    Cut,
    /// The answer to what was never asked.
    OtherId,
    /// The answer to another question.
    OtherQuestion,
    /// The answer, from another port.
    OtherPort,
    /// The answer, in upper case (RFC 4343).
    OtherCase,
    /// An error of the protocol.
    Error(u8),
    /// The answer, and so many datagrams that continue it.
    Parts(u16),
    /// The same from the last one to the first, the last one twice.
    PartsBackwards(u16),
    /// The same but for the last one.
    PartsButLast(u16),
    /// The same but for the first one.
    PartsButFirst(u16),
    /// The first of two datagrams of the answer, then the answer in one.
    PartThenWhole,
    /// Garbage first, then the answer.
    GarbageFirst,
}

use Action::{
    Answer, Cut, Error, Garbage, GarbageFirst, Late, OtherCase, OtherId, OtherPort, OtherQuestion,
    PartThenWhole, Parts, PartsBackwards, PartsButFirst, PartsButLast, Silent, Times,
};

/// One of these actions for every `every`-th of `count` requests, in turn; the others, and the last
/// `tail`, are answered.
pub fn list(count: usize, tail: usize, every: usize, actions: &[Action]) -> Vec<Action> {
    let of = |at: usize| {
        let bad = at + tail < count && at % every == every - 1;
        if bad { actions[at / every % actions.len()] } else { Answer }
    };
    let list: Vec<_> = (0..count).map(of).collect();
    let missing = actions.iter().find(|action| !list.contains(action));
    assert_eq!(missing, None, "the list has no room for it");
    list
}

/// What a client must count.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts {
    pub requests: u64,
    pub replies: u64,
    pub matched: u64,
    pub unmatched: u64,
    pub duplicate: u64,
    pub late: u64,
    pub continued: u64,
    pub timeouts: u64,
    pub incomplete: u64,
    pub errors: BTreeMap<String, u64>,
}

/// What follows from a list.
pub fn follows(list: &[Action], protocol: Protocol) -> Counts {
    let mut counts = Counts { requests: list.len() as u64, ..Counts::default() };
    for action in list {
        match *action {
            Answer | OtherCase => counts.matched += 1,
            Silent | OtherPort => counts.timeouts += 1,
            Garbage | Cut | OtherId | OtherQuestion => {
                counts.unmatched += 1;
                counts.timeouts += 1;
            }
            Late => {
                counts.late += 1;
                counts.timeouts += 1;
            }
            Times(times) => {
                counts.matched += 1;
                counts.duplicate += u64::from(times) - 1;
            }
            GarbageFirst => {
                counts.matched += 1;
                counts.unmatched += 1;
            }
            Parts(more) => {
                counts.matched += 1;
                counts.continued += u64::from(more);
            }
            PartThenWhole => {
                counts.matched += 1;
                counts.continued += 1;
            }
            PartsBackwards(more) => {
                counts.matched += 1;
                counts.continued += u64::from(more);
                counts.duplicate += 1;
            }
            PartsButLast(more) | PartsButFirst(more) => {
                counts.timeouts += 1;
                counts.incomplete += 1;
                counts.continued += u64::from(more);
            }
            Error(code) => {
                counts.matched += 1;
                *counts.errors.entry(protocol.error_name(code).to_owned()).or_insert(0) += 1;
            }
        }
    }
    let Counts { matched, unmatched, duplicate, late, continued, .. } = counts;
    Counts { replies: matched + unmatched + duplicate + late + continued, ..counts }
}
