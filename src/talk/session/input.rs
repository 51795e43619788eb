//! Handles input and sends lines.

use std::io;

use super::{EventHandler, Sockets, Stage, Step, Talk};
use crate::talk::datagrams::SendOutcome;
use crate::talk::error::is_unreachable;
use crate::talk::{PeerAddr, TalkError, TalkEvent, TalkInput, Transport};
use crate::unit::Nanos;

/// Maximum number of datagrams kept for another address of the peer's name. Arbitrary: a refusal
/// arrives within one round trip, during which few lines are typed.
const MAX_UNANSWERED: usize = 64;

impl Talk {
    /// Handles the next input, if it can be sent.
    pub(super) fn take_input(
        &mut self,
        now: Nanos,
        emit: EventHandler<'_>,
    ) -> Result<Step, TalkError> {
        let pending = self.options.unattended && (self.busy() || self.peers.target().is_none());
        let at_a_stage = matches!(self.stage, Stage::Free | Stage::SendFirst | Stage::Reply(_));
        let soon = now.since(self.sent_at) < self.options.pause;
        if pending || soon || !at_a_stage {
            return Ok(Step::Idle);
        }
        let Ok(input) = self.inputs.try_recv() else { return Ok(Step::Idle) };
        match input {
            TalkInput::Line(bytes) => self.line(bytes, now, emit)?,
            TalkInput::Quit(end) => return Ok(Step::End(end)),
            TalkInput::Fail(error) => return Err(error),
            TalkInput::End => return self.end_of_input(now),
            TalkInput::Invalid(text) => emit(TalkEvent::InvalidInput(&text))?,
            TalkInput::Peers => {
                let target = self.peers.target().map(|peer| peer.number);
                emit(TalkEvent::Peers(&self.peers.peers, target))?;
            }
            TalkInput::Choose(number) => emit(match (self.peers.choose(number), number) {
                (None, Some(_)) => TalkEvent::NoSuchPeer,
                (known, _) => TalkEvent::Chosen(known),
            })?,
            TalkInput::ChooseAddr(_) if self.options.via.is_stream() => {
                emit(TalkEvent::NoSuchPeer)?;
            }
            TalkInput::ChooseAddr(who) => {
                let number = self.peers.find_or_add(who).number;
                emit(TalkEvent::Chosen(self.peers.choose(Some(number))))?;
            }
        }
        Ok(Step::Progress)
    }

    /// Handles the end of input.
    fn end_of_input(&mut self, now: Nanos) -> Result<Step, TalkError> {
        match self.stage {
            Stage::SendFirst => return Err(TalkError::NoLine),
            Stage::Reply(_) => self.stage = Stage::Flushing,
            // A listener waits without a limit.
            _ if !self.options.via.has_peer() => {}
            _ => {
                self.stage = Stage::Lingering;
                self.active_at = now;
            }
        }
        if matches!(self.stage, Stage::Lingering | Stage::Flushing)
            && let Sockets::Streams(streams) = &mut self.sockets
        {
            streams.end();
        }
        Ok(Step::Progress)
    }

    /// Sends a line.
    fn line(
        &mut self,
        bytes: Vec<u8>,
        now: Nanos,
        emit: EventHandler<'_>,
    ) -> Result<(), TalkError> {
        let Some(peer) = self.peers.target().cloned() else {
            return emit(TalkEvent::NoPeer);
        };
        self.active_at = now;
        self.sent_at = now;
        match &mut self.sockets {
            Sockets::Datagrams(_) => {
                let via = &self.options.via;
                let others = matches!(via, Transport::Udp { others, .. } if !others.is_empty());
                if others && self.unanswered.len() < MAX_UNANSWERED {
                    self.unanswered.push(bytes.clone());
                }
                self.waiting.push_back((peer.who, bytes));
            }
            Sockets::Streams(streams) => {
                if !streams.send(&peer, &bytes) {
                    if !self.options.unattended {
                        return emit(TalkEvent::NoSuchPeer);
                    }
                    return Err(TalkError::Broken(peer.who, io::ErrorKind::NotConnected.into()));
                }
            }
        }
        match self.stage {
            Stage::SendFirst => self.stage = Stage::AwaitReply(now + self.options.linger),
            Stage::Reply(_) => {
                self.stage = Stage::Flushing;
                if let Sockets::Streams(streams) = &mut self.sockets {
                    streams.end();
                }
            }
            _ => {}
        }
        self.flush(emit)
    }

    /// Whether refused data goes to another address of the peer's name.
    pub(super) fn try_next_addr(&mut self, error: &TalkError, now: Nanos) -> bool {
        let (peer, others) = match &mut self.options.via {
            Transport::TcpConnect(_) => return true,
            Transport::Udp { peer: Some(peer), others, .. } if !others.is_empty() => (peer, others),
            _ => return false,
        };
        let refused = PeerAddr::Ip(*peer);
        let retries = |kind| is_unreachable(kind) || kind == io::ErrorKind::AddrNotAvailable;
        match error {
            TalkError::Send { to, source, .. } if *to == refused && retries(source.kind()) => {}
            _ => return false,
        }
        *peer = others.remove(0);
        let who = PeerAddr::Ip(*peer);
        let number = self.peers.find_or_add(refused.clone()).number;
        self.peers.rename(number, who.clone());
        self.waiting.retain(|(to, _)| *to != refused);
        self.waiting.extend(self.unanswered.iter().map(|bytes| (who.clone(), bytes.clone())));
        if let Stage::AwaitReply(until) = &mut self.stage {
            *until = now + self.options.linger;
        }
        self.active_at = now;
        true
    }

    /// Sends queued data.
    pub(super) fn flush(&mut self, emit: EventHandler<'_>) -> Result<(), TalkError> {
        while let Some((to, bytes)) = self.waiting.front() {
            let Sockets::Datagrams(datagrams) = &mut self.sockets else { break };
            match datagrams.send(to, bytes) {
                SendOutcome::Full => return Ok(()),
                SendOutcome::Sent => {}
                SendOutcome::Failed(error) if self.try_next_addr(&error, self.sent_at) => {
                    emit(TalkEvent::SendFailed(&error))?;
                    emit(TalkEvent::Chosen(self.peers.target()))?;
                    return self.flush(emit);
                }
                SendOutcome::Failed(error) => {
                    let absent = error.is_absence();
                    if self.options.once || self.options.unattended && !absent {
                        return Err(error);
                    }
                    emit(TalkEvent::SendFailed(&error))?;
                }
            }
            self.waiting.pop_front();
        }
        if let Sockets::Streams(streams) = &mut self.sockets {
            streams.flush();
        }
        Ok(())
    }
}
