//! What the one who converses wants, and how it leaves.

use std::io;

use super::{Carrier, Stage, Step, Talk, Tell};
use crate::talk::datagrams::Said;
use crate::talk::{TalkError, TalkEvent, TalkInput, Via, Who};
use crate::unit::Nanos;

/// Maximum number of datagrams kept for another address of the peer's name. Arbitrary: a refusal
/// arrives within one round trip, during which few lines are typed.
const KEPT: usize = 64;

impl Talk {
    /// Takes the next line, if it can be sent.
    pub(super) fn take(&mut self, now: Nanos, tell: Tell<'_>) -> Result<Step, TalkError> {
        let held = self.options.unattended && (self.busy() || self.book.target().is_none());
        let at_a_stage = matches!(self.stage, Stage::Free | Stage::Ask | Stage::Reply(_));
        let soon = now.since(self.sent_at) < self.options.pause;
        if held || soon || !at_a_stage {
            return Ok(Step::Nothing);
        }
        let Ok(input) = self.inputs.try_recv() else { return Ok(Step::Nothing) };
        match input {
            TalkInput::Line(bytes) => self.line(bytes, now, tell)?,
            TalkInput::Quit(end) => return Ok(Step::End(end)),
            TalkInput::Fail(error) => return Err(error),
            TalkInput::End => return self.no_more(now),
            TalkInput::Complain(text) => {
                tell(TalkEvent::Complaint(&text)).map_err(TalkError::Output)?;
            }
            TalkInput::Peers => {
                let target = self.book.target().map(|peer| peer.number);
                let peers = TalkEvent::Peers(self.book.peers(), target);
                tell(peers).map_err(TalkError::Output)?;
            }
            TalkInput::Choose(number) => {
                let known = self.book.choose(number);
                let event = match (known, number) {
                    (None, Some(_)) => TalkEvent::NoSuchPeer,
                    (known, _) => TalkEvent::Chosen(known),
                };
                tell(event).map_err(TalkError::Output)?;
            }
            TalkInput::ChoosePlace(_) if self.options.via.is_stream() => {
                tell(TalkEvent::NoSuchPeer).map_err(TalkError::Output)?;
            }
            TalkInput::ChoosePlace(who) => {
                let number = self.book.meet(who).number;
                let chosen = TalkEvent::Chosen(self.book.choose(Some(number)));
                tell(chosen).map_err(TalkError::Output)?;
            }
        }
        Ok(Step::Something)
    }

    /// Standard input has ended.
    fn no_more(&mut self, now: Nanos) -> Result<Step, TalkError> {
        match self.stage {
            Stage::Ask => return Err(TalkError::NoLine),
            Stage::Reply(_) => self.stage = Stage::Last,
            // Whoever waits for others has all the time in the world.
            _ if !self.options.via.has_peer() => {}
            _ => {
                self.stage = Stage::Lingering;
                self.active_at = now;
            }
        }
        if matches!(self.stage, Stage::Lingering | Stage::Last)
            && let Carrier::Streams(streams) = &mut self.carrier
        {
            streams.end();
        }
        Ok(Step::Something)
    }

    /// Sends a line.
    fn line(&mut self, bytes: Vec<u8>, now: Nanos, tell: Tell<'_>) -> Result<(), TalkError> {
        let Some(peer) = self.book.target().cloned() else {
            return tell(TalkEvent::Nobody).map_err(TalkError::Output);
        };
        self.active_at = now;
        self.sent_at = now;
        match &mut self.carrier {
            Carrier::Datagrams(_) => {
                let others = matches!(&self.options.via, Via::Udp { others, .. }
                    if !others.is_empty());
                if others && self.unanswered.len() < KEPT {
                    self.unanswered.push(bytes.clone());
                }
                self.waiting.push_back((peer.who, bytes));
            }
            Carrier::Streams(streams) => {
                if !streams.say(&peer, &bytes) {
                    if !self.options.unattended {
                        return tell(TalkEvent::NoSuchPeer).map_err(TalkError::Output);
                    }
                    let (with, source) = (peer.who, io::ErrorKind::NotConnected.into());
                    return Err(TalkError::Broken { with, source });
                }
            }
        }
        match self.stage {
            Stage::Ask => self.stage = Stage::Await(now + self.options.linger),
            Stage::Reply(_) => {
                self.stage = Stage::Last;
                if let Carrier::Streams(streams) = &mut self.carrier {
                    streams.end();
                }
            }
            _ => {}
        }
        self.flush(tell)
    }

    /// Whether refused data is sent to another address of the peer's name, or, over TCP, will be
    /// sent once that accepts the connection.
    pub(super) fn goes_on_elsewhere(&mut self, error: &TalkError, now: Nanos) -> bool {
        let (peer, others) = match &mut self.options.via {
            Via::TcpTo { .. } => return true,
            Via::Udp { peer: Some(peer), others, .. } if !others.is_empty() => (peer, others),
            _ => return false,
        };
        let refused = Who::Ip(*peer);
        let kinds = [
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::HostUnreachable,
            io::ErrorKind::NetworkUnreachable,
            io::ErrorKind::AddrNotAvailable,
        ];
        match error {
            TalkError::Send { to, source, .. }
                if *to == refused && kinds.contains(&source.kind()) => {}
            _ => return false,
        }
        *peer = others.remove(0);
        let who = Who::Ip(*peer);
        let number = self.book.meet(refused.clone()).number;
        self.book.rename(number, who.clone());
        self.waiting.retain(|(to, _)| *to != refused);
        self.waiting.extend(self.unanswered.iter().map(|bytes| (who.clone(), bytes.clone())));
        if let Stage::Await(until) = &mut self.stage {
            *until = now + self.options.linger;
        }
        self.active_at = now;
        true
    }

    /// Writes what was kept.
    pub(super) fn flush(&mut self, tell: Tell<'_>) -> Result<(), TalkError> {
        while let Some((to, bytes)) = self.waiting.front() {
            let Carrier::Datagrams(datagrams) = &mut self.carrier else { break };
            match datagrams.say(to, bytes) {
                Said::Later => return Ok(()),
                Said::Done => {}
                Said::Refused(error) if self.goes_on_elsewhere(&error, self.sent_at) => {
                    tell(TalkEvent::Refused(&error)).map_err(TalkError::Output)?;
                    tell(TalkEvent::Chosen(self.book.target())).map_err(TalkError::Output)?;
                    return self.flush(tell);
                }
                Said::Refused(error) => {
                    let absent = error.is_absence();
                    if self.options.once || self.options.unattended && !absent {
                        return Err(error);
                    }
                    tell(TalkEvent::Refused(&error)).map_err(TalkError::Output)?;
                }
            }
            self.waiting.pop_front();
        }
        if let Carrier::Streams(streams) = &mut self.carrier {
            streams.flush();
        }
        Ok(())
    }
}
