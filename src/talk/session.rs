//! The event loop of a conversation.

mod lines;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};

use super::book::{Book, TalkPeer, Who};
use super::datagrams::Datagrams;
use super::error::TalkError;
use super::inlet::{Hasty, Inlet, News};
use super::streams::Streams;
use super::{TalkEnd, TalkEvent, TalkInput, TalkOptions, Via};
use crate::clock::Clock;
use crate::unit::Nanos;

/// The longest sleep: after it, the loop looks for signals and for what has been waiting long
/// enough. Arbitrary: unnoticeable to people.
const TICK: Duration = Duration::from_millis(20);

/// The sleep before a datagram is offered again that there was no room for. The shortest that mio
/// knows.
const RETRY: Duration = Duration::from_millis(1);

/// Messages that are shown before the loop looks at its lines, and lines that are sent before it
/// looks at its messages. Arbitrary: neither shall starve the other.
const AT_ONCE: usize = 64;

/// How many events one poll takes; what is not taken stays for the next. Arbitrary.
const EVENTS: usize = 64;

/// SO_SNDBUF of an AF_UNIX socket, in bytes, which limits its datagrams. Arbitrary: the default of
/// Linux, `net.core.wmem_default`.
const UNIX_BUFFER: usize = 212_992;

/// The waker's place among mio's tokens.
const WAKER: Token = Token(usize::MAX - 1);

#[derive(Debug)]
enum Carrier {
    Datagrams(Datagrams),
    Streams(Streams),
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Lines go both ways.
    Free,
    /// Until no answer has come for a while.
    Lingering,
    /// Once: our line is to be sent.
    Ask,
    /// Once: the answer is to come until then.
    Await(Nanos),
    /// Once: something is to come.
    Listen,
    /// Once: our answer is to be read until then.
    Reply(Nanos),
    /// All has been said, and is to be written.
    Last,
}

/// Shows what happens; an error ends the conversation, quietly where the output was closed.
type Tell<'a> = &'a mut dyn FnMut(TalkEvent<'_>) -> io::Result<()>;

/// A conversation.
#[derive(Debug)]
pub struct Talk {
    options: TalkOptions,
    poll: Poll,
    carrier: Carrier,
    book: Book,
    inputs: Receiver<TalkInput>,
    /// Datagrams that there was no room for.
    waiting: VecDeque<(Who, Vec<u8>)>,
    /// Datagrams sent to the peer, kept while it has other addresses to try.
    unanswered: Vec<Vec<u8>>,
    stage: Stage,
    /// When something was sent or came.
    active_at: Nanos,
    /// When the latest line was sent.
    sent_at: Nanos,
}

/// Why the loop ends.
type Ending = Result<TalkEnd, TalkError>;

impl Talk {
    /// Opens the sockets; and the way in for lines.
    ///
    /// # Errors
    /// [`TalkError`].
    pub fn open(options: TalkOptions, hasty: Hasty) -> Result<(Self, Inlet), TalkError> {
        let wait = |source| TalkError::Wait { source };
        let poll = Poll::new().map_err(wait)?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(wait)?;
        let (inlet, inputs) = Inlet::new(hasty, waker);
        let mut book = Book::answering(options.answers);
        let mut carrier = match &options.via {
            Via::Udp { sockets, .. } => Carrier::Datagrams(Datagrams::udp(sockets)?),
            Via::UnixDatagrams { name, .. } => {
                Carrier::Datagrams(Datagrams::unix(name, UNIX_BUFFER)?)
            }
            _ => Carrier::Streams(Streams::open(&options, &mut book)?),
        };
        match &options.via {
            Via::Udp { peer: Some(peer), .. } => drop(book.enter(Who::Ip(*peer))),
            Via::UnixDatagrams { peer: Some(peer), .. } => {
                book.enter(Who::Unix(peer.clone()));
            }
            _ => {}
        }
        if let Some(first) = book.peers().first().map(|peer| peer.number) {
            book.set_first(first);
        }
        match &mut carrier {
            Carrier::Datagrams(datagrams) => datagrams.register(poll.registry()),
            Carrier::Streams(streams) => streams.register(poll.registry()),
        }
        .map_err(wait)?;
        let stage = match (options.once, options.via.has_peer()) {
            (false, _) => Stage::Free,
            (true, true) => Stage::Ask,
            (true, false) => Stage::Listen,
        };
        let (waiting, unanswered) = (VecDeque::new(), Vec::new());
        let (active_at, sent_at) = (Nanos::ZERO, Nanos::ZERO);
        let talk = Self {
            options,
            poll,
            carrier,
            book,
            inputs,
            waiting,
            unanswered,
            stage,
            active_at,
            sent_at,
        };
        Ok((talk, inlet))
    }

    /// Converses until one side or `stop` ends it.
    ///
    /// # Errors
    /// [`TalkError`].
    pub fn run(mut self, stop: &AtomicBool, tell: Tell<'_>) -> Result<TalkEnd, TalkError> {
        let ending = self.converse(stop, tell);
        match ending {
            Err(TalkError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Ok(TalkEnd::Done)
            }
            Err(TalkError::Output(error)) if error.kind() == io::ErrorKind::Interrupted => {
                Ok(TalkEnd::Interrupted)
            }
            ending => ending,
        }
    }

    fn converse(&mut self, stop: &AtomicBool, tell: Tell<'_>) -> Ending {
        let clock = Clock::Monotonic;
        let mut events = Events::with_capacity(EVENTS);
        let locals = match &self.carrier {
            Carrier::Datagrams(datagrams) => datagrams.locals(),
            Carrier::Streams(streams) => streams.locals(),
        };
        let locals = match &self.options.via {
            Via::UnixDatagrams { name, .. } => vec![Who::Unix(name.clone())],
            _ => locals,
        };
        for local in locals {
            tell(TalkEvent::Listening(local)).map_err(TalkError::Output)?;
        }
        let mut more = false;
        while !stop.load(Ordering::Relaxed) {
            let timeout = match (more, self.waiting.is_empty()) {
                (true, _) => Duration::ZERO,
                (_, false) => RETRY,
                _ => TICK,
            };
            match self.poll.poll(&mut events, Some(timeout)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(TalkError::Wait { source: error });
                }
                _ => {}
            }
            let now = clock.now();
            more = false;
            for read in [true, false] {
                for turn in 0..AT_ONCE {
                    let step = if read { self.hear(now, tell) } else { self.take(now, tell) };
                    match step? {
                        Step::End(end) => return Ok(end),
                        Step::Nothing => break,
                        Step::Something => more |= turn + 1 == AT_ONCE,
                    }
                }
                self.flush(tell)?;
            }
            if let Some(ending) = self.overdue(now, tell) {
                return ending;
            }
        }
        Ok(TalkEnd::Interrupted)
    }

    /// Whether there is something that has to be written before more lines are taken.
    fn busy(&self) -> bool {
        let lines = match &self.carrier {
            Carrier::Datagrams(_) => false,
            Carrier::Streams(streams) => streams.busy(),
        };
        lines || !self.waiting.is_empty()
    }

    /// Looks at the sockets.
    fn hear(&mut self, now: Nanos, tell: Tell<'_>) -> Result<Step, TalkError> {
        let reading = !matches!(self.stage, Stage::Ask | Stage::Reply(_) | Stage::Last);
        let news = match &mut self.carrier {
            Carrier::Datagrams(_) if !reading => None,
            Carrier::Datagrams(datagrams) => datagrams.next(&mut self.book),
            Carrier::Streams(streams) => {
                streams.next(&mut self.book, self.poll.registry(), now, reading)
            }
        };
        match news {
            None => return Ok(Step::Nothing),
            Some(News::Came(peer)) => {
                self.active_at = now;
                if self.book.target().is_none() {
                    self.book.heard(&peer);
                }
                tell(TalkEvent::Came(&peer)).map_err(TalkError::Output)?;
            }
            Some(News::Heard(peer, bytes)) => return self.heard(&peer, &bytes, now, tell),
            Some(News::Left { peer, why, unsent }) => return self.left(peer, why, unsent, tell),
            Some(News::Refused(error)) if self.goes_on_elsewhere(&error, now) => {
                tell(TalkEvent::Refused(&error)).map_err(TalkError::Output)?;
                tell(TalkEvent::Chosen(self.book.target())).map_err(TalkError::Output)?;
            }
            Some(News::Refused(error)) if self.options.once => return Err(error),
            Some(News::Refused(error)) => {
                tell(TalkEvent::Refused(&error)).map_err(TalkError::Output)?;
            }
            Some(News::Failed(error)) => return Err(error),
        }
        Ok(Step::Something)
    }

    fn heard(
        &mut self,
        peer: &TalkPeer,
        bytes: &[u8],
        now: Nanos,
        tell: Tell<'_>,
    ) -> Result<Step, TalkError> {
        if matches!(self.stage, Stage::Await(_)) && !self.is_answer(peer) {
            tell(TalkEvent::Stranger(peer)).map_err(TalkError::Output)?;
            return Ok(Step::Something);
        }
        let bytes = match bytes.iter().position(|byte| *byte == b'\n') {
            // Of a stream, one answer is one line.
            Some(end) if self.options.once && self.by_line() => &bytes[..=end],
            _ => bytes,
        };
        self.active_at = now;
        // The peer answered: no other address is tried.
        if let Via::Udp { others, .. } = &mut self.options.via {
            others.clear();
            self.unanswered.clear();
        }
        let answerable = self.book.heard(peer);
        tell(TalkEvent::Heard { from: peer, bytes }).map_err(TalkError::Output)?;
        match self.stage {
            Stage::Await(_) => return Ok(Step::End(TalkEnd::Done)),
            Stage::Listen if !answerable => return Ok(Step::End(TalkEnd::Done)),
            Stage::Listen => {
                // Whoever else comes now is not the one to answer.
                self.book.choose(Some(peer.number));
                self.stage = Stage::Reply(now + self.options.linger);
            }
            _ => {}
        }
        Ok(Step::Something)
    }

    fn by_line(&self) -> bool {
        self.options.by_line && self.options.via.is_stream()
    }

    fn left(
        &mut self,
        peer: TalkPeer,
        why: Option<io::Error>,
        unsent: usize,
        tell: Tell<'_>,
    ) -> Result<Step, TalkError> {
        let with = peer.who.clone();
        if !self.options.via.has_peer() {
            tell(TalkEvent::Left { peer: &peer, why }).map_err(TalkError::Output)?;
            // The line of the one who was heard, or the answer to it, is all there was to say; who
            // only says no more can still be answered.
            let replying = matches!(self.stage, Stage::Reply(_) | Stage::Last);
            let over = replying && !self.book.has_chosen();
            return Ok(if over { Step::End(TalkEnd::Done) } else { Step::Something });
        }
        match why {
            Some(source) => Err(TalkError::Broken { with, source }),
            None if unsent > 0 => {
                Err(TalkError::Broken { with, source: io::ErrorKind::BrokenPipe.into() })
            }
            None if self.options.once => Err(TalkError::Closed { from: with }),
            None => {
                tell(TalkEvent::Left { peer: &peer, why }).map_err(TalkError::Output)?;
                Ok(Step::End(TalkEnd::Done))
            }
        }
    }

    /// Whether a datagram can be the answer to ours: from the same host, by whichever port; from
    /// anybody where many were asked.
    fn is_answer(&self, peer: &TalkPeer) -> bool {
        let asked = match &self.options.via {
            Via::Udp { peer: Some(asked), .. } => asked.ip().to_canonical(),
            _ => return true,
        };
        let many = match asked {
            // Of a network's broadcast address, the end is all that shows.
            IpAddr::V4(v4) => v4.octets()[3] == u8::MAX || v4 == Ipv4Addr::UNSPECIFIED,
            IpAddr::V6(v6) => v6.is_unspecified(),
        };
        many || asked.is_multicast()
            || matches!(&peer.who, Who::Ip(addr) if addr.ip().to_canonical() == asked)
    }

    /// The end, where its time has come.
    fn overdue(&mut self, now: Nanos, tell: Tell<'_>) -> Option<Ending> {
        match self.stage {
            // Nobody can answer what has not left yet: connecting has the system's patience.
            Stage::Await(_) if self.busy() => {
                self.stage = Stage::Await(now + self.options.linger);
                None
            }
            Stage::Await(until) if now >= until => {
                if let Carrier::Streams(streams) = &mut self.carrier
                    && let Some((peer, bytes)) = streams.rest()
                {
                    // Better than nothing.
                    let told = tell(TalkEvent::Heard { from: &peer, bytes: &bytes });
                    return Some(told.map(|()| TalkEnd::Done).map_err(TalkError::Output));
                }
                let from = self.book.target().map_or(Who::Nameless, |peer| peer.who.clone());
                Some(Err(TalkError::Silent { from, waited: self.options.linger }))
            }
            Stage::Reply(until) if now >= until => Some(Ok(TalkEnd::Done)),
            Stage::Last if !self.busy() => Some(Ok(TalkEnd::Done)),
            Stage::Lingering if self.busy() => {
                self.active_at = now;
                None
            }
            Stage::Lingering if now.since(self.active_at) >= self.options.linger => {
                Some(Ok(TalkEnd::Done))
            }
            _ => None,
        }
    }
}

/// What one look brought.
enum Step {
    Nothing,
    Something,
    End(TalkEnd),
}
