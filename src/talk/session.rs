//! The event loop of a conversation.

mod input;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};

use super::datagrams::Datagrams;
use super::error::{SocketEvent, TalkError};
use super::peers::{PeerAddr, Peers, TalkPeer};
use super::streams::Streams;
use super::{InputSender, TalkEnd, TalkEvent, TalkInput, TalkOptions, Transport};
use crate::clock::Clock;
use crate::unit::Nanos;

/// Maximum sleep, after which signals and timeouts are checked. Arbitrary: people do not notice.
const TICK: Duration = Duration::from_millis(20);
/// Sleep before a datagram is sent again after a full buffer: the shortest of mio.
const RETRY: Duration = Duration::from_millis(1);
/// Maximum messages shown between lines, and lines sent between messages. Arbitrary.
const MAX_EVENTS: usize = 64;
/// The most events of one poll; others stay for the next. Arbitrary.
const EVENTS: usize = 64;
/// SO_SNDBUF of an AF_UNIX socket in bytes, which limits its datagrams. The default of Linux.
const UNIX_BUFFER: usize = 212_992;
/// The waker's mio token.
const WAKER: Token = Token(usize::MAX - 1);

#[derive(Debug)]
enum Sockets {
    Datagrams(Datagrams),
    Streams(Streams),
}

impl Sockets {
    fn end_streams(&mut self) {
        if let Self::Streams(streams) = self {
            streams.end();
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Free,
    /// The input has ended; replies may still arrive.
    Lingering,
    /// Once: this end sends its line next.
    SendFirst,
    /// Once: the reply is due by then.
    AwaitReply(Nanos),
    /// Once: the first message is awaited.
    Listen,
    /// Once: the reply of this end is read from the input until then.
    Reply(Nanos),
    Flushing,
}

/// Handles an event; an error ends the conversation.
type Emit<'a> = &'a mut dyn FnMut(TalkEvent<'_>) -> Result<(), TalkError>;

type StepResult = Result<Step, TalkError>;

/// A conversation.
#[derive(Debug)]
pub struct Talk {
    options: TalkOptions,
    poll: Poll,
    sockets: Sockets,
    peers: Peers,
    inputs: Receiver<TalkInput>,
    /// Datagrams for which the socket buffer was full.
    waiting: VecDeque<(PeerAddr, Vec<u8>)>,
    /// Datagrams sent to the peer, kept while it has other addresses to try.
    unanswered: Vec<Vec<u8>>,
    stage: Stage,
    now: Nanos,
    /// When data was last sent or received.
    active_at: Nanos,
    sent_at: Nanos,
}

impl Talk {
    /// Opens the sockets; returns the sender of input lines, too.
    pub fn open(options: TalkOptions) -> Result<(Self, InputSender), TalkError> {
        let poll = Poll::new().map_err(TalkError::Wait)?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(TalkError::Wait)?;
        let (input_sender, inputs) = InputSender::new(options.unattended, waker);
        let mut peers = Peers::answering(options.answers);
        let mut sockets = match &options.via {
            Transport::Udp { sockets, peer, .. } => {
                peer.map(|peer| peers.add(PeerAddr::Ip(peer)));
                Sockets::Datagrams(Datagrams::udp(sockets)?)
            }
            Transport::UnixDatagrams { name, peer } => {
                peer.clone().map(|peer| peers.add(PeerAddr::Unix(peer)));
                Sockets::Datagrams(Datagrams::unix(name, UNIX_BUFFER)?)
            }
            _ => Sockets::Streams(Streams::open(&options, &mut peers)?),
        };
        peers.first = peers.peers.first().map(|peer| peer.number);
        match &mut sockets {
            Sockets::Datagrams(datagrams) => datagrams.register(poll.registry()),
            Sockets::Streams(streams) => streams.register(poll.registry()),
        }
        .map_err(TalkError::Wait)?;
        let stage = match (options.once, options.via.has_peer()) {
            (false, _) => Stage::Free,
            (true, true) => Stage::SendFirst,
            (true, false) => Stage::Listen,
        };
        let talk = Self {
            options,
            poll,
            sockets,
            peers,
            inputs,
            waiting: VecDeque::new(),
            unanswered: Vec::new(),
            stage,
            now: Nanos::ZERO,
            active_at: Nanos::ZERO,
            sent_at: Nanos::ZERO,
        };
        Ok((talk, input_sender))
    }

    /// Runs the conversation until one side or `stop` ends it. `show` handles each event; its error
    /// ends the conversation, quietly if the output was closed.
    pub fn run(
        mut self,
        stop: &AtomicBool,
        show: &mut dyn FnMut(TalkEvent<'_>) -> io::Result<()>,
    ) -> Result<TalkEnd, TalkError> {
        let ending = self.run_loop(stop, &mut |event| show(event).map_err(TalkError::Output));
        let Err(TalkError::Output(error)) = ending else { return ending };
        match error.kind() {
            io::ErrorKind::BrokenPipe => Ok(TalkEnd::Done),
            io::ErrorKind::Interrupted => Ok(TalkEnd::Interrupted),
            _ => Err(TalkError::Output(error)),
        }
    }

    fn run_loop(&mut self, stop: &AtomicBool, emit: Emit<'_>) -> Result<TalkEnd, TalkError> {
        let mut events = Events::with_capacity(EVENTS);
        let locals = match (&self.sockets, &self.options.via) {
            (_, Transport::UnixDatagrams { name, .. }) => vec![PeerAddr::Unix(name.clone())],
            (Sockets::Datagrams(datagrams), _) => datagrams.locals(),
            (Sockets::Streams(streams), _) => streams.locals.clone(),
        };
        for local in locals {
            emit(TalkEvent::Listening(local))?;
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
                    return Err(TalkError::Wait(error));
                }
                _ => {}
            }
            self.now = Clock::Monotonic.now();
            more = false;
            for read in [true, false] {
                for turn in 0..MAX_EVENTS {
                    let step = if read { self.poll_sockets(emit) } else { self.take_input(emit) };
                    match step? {
                        Step::End(end) => return Ok(end),
                        Step::Idle => break,
                        Step::Progress => more |= turn + 1 == MAX_EVENTS,
                    }
                }
                self.flush(emit)?;
            }
            if let Some(end) = self.overdue(emit)? {
                return Ok(end);
            }
        }
        Ok(TalkEnd::Interrupted)
    }

    /// Whether data must be written before more input is taken.
    fn busy(&self) -> bool {
        !self.waiting.is_empty()
            || matches!(&self.sockets, Sockets::Streams(streams) if streams.busy())
    }

    fn poll_sockets(&mut self, emit: Emit<'_>) -> StepResult {
        let reading = !matches!(self.stage, Stage::SendFirst | Stage::Reply(_) | Stage::Flushing);
        let event = match &mut self.sockets {
            Sockets::Datagrams(_) if !reading => None,
            Sockets::Datagrams(datagrams) => datagrams.next(&mut self.peers),
            Sockets::Streams(streams) => {
                streams.next(&mut self.peers, self.poll.registry(), self.now, reading)
            }
        };
        match event {
            None => return Ok(Step::Idle),
            Some(SocketEvent::Connected(peer)) => {
                self.active_at = self.now;
                if self.peers.target().is_none() {
                    self.peers.record_received(&peer);
                }
                emit(TalkEvent::Connected(&peer))?;
            }
            Some(SocketEvent::Received(peer, bytes)) => {
                return self.handle_received(&peer, &bytes, emit);
            }
            Some(SocketEvent::Disconnected { peer, why, unsent }) => {
                return self.disconnected(peer, why, unsent, emit);
            }
            Some(SocketEvent::SendFailed(error)) if self.try_next_addr(&error) => {
                emit(TalkEvent::SendFailed(&error))?;
                emit(TalkEvent::Chosen(self.peers.target()))?;
            }
            Some(SocketEvent::SendFailed(error)) if self.options.once => return Err(error),
            Some(SocketEvent::SendFailed(error)) => emit(TalkEvent::SendFailed(&error))?,
            Some(SocketEvent::ConnectFailed(error)) => return Err(error),
        }
        Ok(Step::Progress)
    }

    fn handle_received(&mut self, peer: &TalkPeer, bytes: &[u8], emit: Emit<'_>) -> StepResult {
        if matches!(self.stage, Stage::AwaitReply(_)) && !self.is_answer(peer) {
            emit(TalkEvent::Unsolicited(peer))?;
            return Ok(Step::Progress);
        }
        let TalkOptions { once, by_line, via, .. } = &self.options;
        let bytes = match bytes.iter().position(|byte| *byte == b'\n') {
            // On a stream, a reply is one line.
            Some(end) if *once && *by_line && via.is_stream() => &bytes[..=end],
            _ => bytes,
        };
        self.active_at = self.now;
        // The peer answered: no other address is tried.
        if let Transport::Udp { others, .. } = &mut self.options.via {
            others.clear();
            self.unanswered.clear();
        }
        let answerable = self.peers.record_received(peer);
        emit(TalkEvent::Received(peer, bytes))?;
        match self.stage {
            Stage::AwaitReply(_) => return Ok(Step::End(TalkEnd::Done)),
            Stage::Listen if !answerable => return Ok(Step::End(TalkEnd::Done)),
            Stage::Listen => {
                // Later senders get no reply.
                self.peers.choose(Some(peer.number));
                self.stage = Stage::Reply(self.now + self.options.linger);
            }
            _ => {}
        }
        Ok(Step::Progress)
    }

    fn disconnected(
        &mut self,
        peer: TalkPeer,
        why: Option<io::Error>,
        unsent: usize,
        emit: Emit<'_>,
    ) -> StepResult {
        let with = peer.addr.clone();
        if !self.options.via.has_peer() {
            emit(TalkEvent::Disconnected(&peer, why))?;
            // Once: only the reply is left to send, which a peer that finished sending can receive.
            let replying = matches!(self.stage, Stage::Reply(_) | Stage::Flushing);
            let over = replying && self.peers.chosen.is_none();
            return Ok(if over { Step::End(TalkEnd::Done) } else { Step::Progress });
        }
        match why {
            Some(error) => Err(TalkError::Broken(with, error)),
            None if unsent > 0 => Err(TalkError::Broken(with, io::ErrorKind::BrokenPipe.into())),
            None if self.options.once => Err(TalkError::Closed(with)),
            None => {
                emit(TalkEvent::Disconnected(&peer, why))?;
                Ok(Step::End(TalkEnd::Done))
            }
        }
    }

    /// Whether a datagram can be the reply: it comes from the host that was asked, or a group was
    /// asked.
    fn is_answer(&self, peer: &TalkPeer) -> bool {
        let named = match &self.options.via {
            Transport::Udp { peer: Some(named), .. } => named.ip().to_canonical(),
            _ => return true,
        };
        let is_group = match named {
            // A directed broadcast address is recognised by its last byte only.
            IpAddr::V4(v4) => v4.octets()[3] == u8::MAX || v4 == Ipv4Addr::UNSPECIFIED,
            IpAddr::V6(v6) => v6.is_unspecified(),
        };
        is_group
            || named.is_multicast()
            || matches!(&peer.addr, PeerAddr::Ip(addr) if addr.ip().to_canonical() == named)
    }

    fn overdue(&mut self, emit: Emit<'_>) -> Result<Option<TalkEnd>, TalkError> {
        let linger = self.options.linger;
        let is_over = match self.stage {
            // The wait starts once the line was sent; connecting has a timeout of its own.
            Stage::AwaitReply(_) if self.busy() => {
                self.stage = Stage::AwaitReply(self.now + linger);
                false
            }
            Stage::AwaitReply(until) if self.now >= until => {
                let streams = match &mut self.sockets {
                    Sockets::Streams(streams) => Some(streams),
                    Sockets::Datagrams(_) => None,
                };
                // An incomplete line is better than none.
                let Some((peer, bytes)) = streams.and_then(Streams::rest) else {
                    let from = self.peers.target().map(|peer| peer.addr.clone());
                    return Err(TalkError::Silent(from.unwrap_or(PeerAddr::Unnamed), linger));
                };
                emit(TalkEvent::Received(&peer, &bytes))?;
                true
            }
            Stage::Reply(until) => self.now >= until,
            Stage::Flushing => !self.busy(),
            Stage::Lingering if self.busy() => {
                self.active_at = self.now;
                false
            }
            Stage::Lingering => self.now.since(self.active_at) >= linger,
            _ => false,
        };
        Ok(is_over.then_some(TalkEnd::Done))
    }
}

enum Step {
    Idle,
    Progress,
    End(TalkEnd),
}
