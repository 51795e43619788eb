//! Handles input and sends lines.

use std::io;

use super::{Emit, Sockets, Stage, Step, StepResult, Talk};
use crate::talk::error::is_unreachable;
use crate::talk::{PeerAddr, TalkError, TalkEvent, TalkInput, Transport};

/// Maximum datagrams kept for another address. Arbitrary: few lines are typed until a refusal.
const MAX_UNANSWERED: usize = 64;

impl Talk {
    pub(super) fn take_input(&mut self, emit: Emit<'_>) -> StepResult {
        let pending = self.options.unattended && (self.busy() || self.peers.target().is_none());
        let at_a_stage = matches!(self.stage, Stage::Free | Stage::SendFirst | Stage::Reply(_));
        let soon = self.now.since(self.sent_at) < self.options.pause;
        if pending || soon || !at_a_stage {
            return Ok(Step::Idle);
        }
        let Ok(input) = self.inputs.try_recv() else { return Ok(Step::Idle) };
        match input {
            TalkInput::Line(bytes) => self.line(bytes, emit)?,
            TalkInput::Quit(end) => return Ok(Step::End(end)),
            TalkInput::Fail(error) => return Err(error),
            TalkInput::End => return self.end_of_input(),
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
            TalkInput::ChooseAddr(addr) => {
                let number = self.peers.find_or_add(addr).number;
                emit(TalkEvent::Chosen(self.peers.choose(Some(number))))?;
            }
        }
        Ok(Step::Progress)
    }

    fn end_of_input(&mut self) -> StepResult {
        match self.stage {
            Stage::SendFirst => return Err(TalkError::NoLine),
            Stage::Reply(_) => self.stage = Stage::Flushing,
            // A listener waits without a limit.
            _ if !self.options.via.has_peer() => {}
            _ => {
                self.stage = Stage::Lingering;
                self.active_at = self.now;
            }
        }
        if matches!(self.stage, Stage::Lingering | Stage::Flushing) {
            self.sockets.end_streams();
        }
        Ok(Step::Progress)
    }

    fn line(&mut self, bytes: Vec<u8>, emit: Emit<'_>) -> Result<(), TalkError> {
        let Some(peer) = self.peers.target().cloned() else {
            return emit(TalkEvent::NoPeer);
        };
        self.active_at = self.now;
        self.sent_at = self.now;
        match &mut self.sockets {
            Sockets::Datagrams(_) => {
                let via = &self.options.via;
                let others = matches!(via, Transport::Udp { others, .. } if !others.is_empty());
                if others && self.unanswered.len() < MAX_UNANSWERED {
                    self.unanswered.push(bytes.clone());
                }
                self.waiting.push_back((peer.addr, bytes));
            }
            Sockets::Streams(streams) => match streams.send(&peer, &bytes) {
                true => {}
                false if self.options.unattended => {
                    return Err(TalkError::Broken(peer.addr, io::ErrorKind::NotConnected.into()));
                }
                false => return emit(TalkEvent::NoSuchPeer),
            },
        }
        match self.stage {
            Stage::SendFirst => self.stage = Stage::AwaitReply(self.now + self.options.linger),
            Stage::Reply(_) => {
                self.stage = Stage::Flushing;
                self.sockets.end_streams();
            }
            _ => {}
        }
        self.flush(emit)
    }

    /// Whether refused data goes to another address of the peer's name.
    pub(super) fn try_next_addr(&mut self, error: &TalkError) -> bool {
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
        let addr = PeerAddr::Ip(*peer);
        let number = self.peers.find_or_add(refused.clone()).number;
        self.peers.rename(number, addr.clone());
        self.waiting.retain(|(to, _)| *to != refused);
        self.waiting.extend(self.unanswered.iter().map(|bytes| (addr.clone(), bytes.clone())));
        if let Stage::AwaitReply(until) = &mut self.stage {
            *until = self.now + self.options.linger;
        }
        self.active_at = self.now;
        true
    }

    pub(super) fn flush(&mut self, emit: Emit<'_>) -> Result<(), TalkError> {
        while let (Sockets::Datagrams(datagrams), Some((to, bytes))) =
            (&mut self.sockets, self.waiting.front())
        {
            match datagrams.send(to, bytes) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) if self.try_next_addr(&error) => {
                    emit(TalkEvent::SendFailed(&error))?;
                    emit(TalkEvent::Chosen(self.peers.target()))?;
                    continue;
                }
                Err(error)
                    if self.options.once || self.options.unattended && !error.is_absence() =>
                {
                    return Err(error);
                }
                Err(error) => emit(TalkEvent::SendFailed(&error))?,
            }
            self.waiting.pop_front();
        }
        if let Sockets::Streams(streams) = &mut self.sockets {
            streams.flush();
        }
        Ok(())
    }
}
