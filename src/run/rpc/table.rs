//! The server's sessions, and for a while those that ended.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;

use super::token::COOKIE_LIFE;
use crate::unit::Nanos;

/// Ended sessions that are remembered. Arbitrary: with more, new ones wait, at most 10 s, rather
/// than that a recorded message could open one a second time.
const ENDED: usize = 1_024;

/// What a session's last request has come to.
#[derive(Debug)]
pub(super) enum Work {
    Idle,
    AtIt,
    Answered(Vec<u8>),
}

/// A session whose client has proved its address.
#[derive(Debug)]
pub(super) struct Session<A> {
    pub(super) from: A,
    nonce: u64,
    pub(super) heard: Nanos,
    /// Number of the last request taken.
    pub(super) taken: u32,
    pub(super) work: Work,
    /// Number of the last note applied.
    pub(super) noted: u32,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Table<A> {
    open: BTreeMap<u64, Session<A>>,
    /// Open ones and ended ones, so that a repeated Open starts nothing anew.
    by_client: HashMap<(A, u64), u64>,
    /// When each may be forgotten, in that order.
    ended: VecDeque<(Nanos, A, u64)>,
}

impl<A: Copy + Eq + Hash> Table<A> {
    pub(super) fn new() -> Self {
        Self { open: BTreeMap::new(), by_client: HashMap::new(), ended: VecDeque::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Entries kept for ended sessions.
    pub(super) fn ended(&self) -> usize {
        self.ended.len()
    }

    pub(super) fn is_full(&self, sessions: usize) -> bool {
        self.open.len() >= sessions || self.ended.len() >= ENDED
    }

    /// The session of this client and nonce, open or ended.
    pub(super) fn of_client(&self, from: A, nonce: u64) -> Option<u64> {
        self.by_client.get(&(from, nonce)).copied()
    }

    pub(super) fn get(&mut self, id: u64) -> Option<&mut Session<A>> {
        self.open.get_mut(&id)
    }

    /// When this one's client was heard last.
    pub(super) fn heard(&self, id: u64) -> Option<Nanos> {
        self.open.get(&id).map(|session| session.heard)
    }

    pub(super) fn insert(&mut self, id: u64, from: A, nonce: u64, now: Nanos) {
        let session = Session { from, nonce, heard: now, taken: 0, work: Work::Idle, noted: 0 };
        self.open.insert(id, session);
        self.by_client.insert((from, nonce), id);
    }

    /// Ends a session; until no cookie of its time is good any more it can't be opened again.
    pub(super) fn remove(&mut self, id: u64, now: Nanos) -> Option<A> {
        let session = self.open.remove(&id)?;
        self.ended.push_back((now + COOKIE_LIFE, session.from, session.nonce));
        Some(session.from)
    }

    /// Forgets what ended long ago.
    pub(super) fn forget(&mut self, now: Nanos) {
        while let Some(&(until, from, nonce)) = self.ended.front()
            && until <= now
        {
            self.ended.pop_front();
            self.by_client.remove(&(from, nonce));
        }
    }

    /// Sessions that have been silent for so long.
    pub(super) fn silent(&self, idle: Nanos, now: Nanos) -> Vec<u64> {
        let silent = |session: &Session<A>| now >= session.heard + idle;
        self.open.iter().filter(|(_, session)| silent(session)).map(|(id, _)| *id).collect()
    }

    pub(super) fn ids(&self) -> Vec<u64> {
        self.open.keys().copied().collect()
    }

    /// When something of the above happens next.
    pub(super) fn deadline(&self, idle: Nanos) -> Option<Nanos> {
        let silent = self.open.values().map(|session| session.heard + idle).min();
        let forgotten = self.ended.front().map(|(until, ..)| *until);
        silent.into_iter().chain(forgotten).min()
    }
}
