//! One connection of a conversation.

use std::io::{self, Read, Write};

use mio::{Interest, Registry, Token};

use super::TalkOptions;
use super::peers::TalkPeer;
use crate::net::stream::Stream;
use crate::unit::Nanos;

/// How long an incomplete line is held before it is shown: a prompt has no newline. Arbitrary:
/// people do not notice it, and the rest of a line in flight has arrived.
const HOLD_LINE: Nanos = Nanos::from_millis(100);

/// Bytes above which a line is shown in pieces. Arbitrary.
const MAX_LINE: usize = 64 << 10;

/// Maximum bytes of a single reply line. Arbitrary: a line without an end must not fill the memory.
const MAX_ANSWER: usize = 4 << 20;

/// How received bytes are divided into pieces to show.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShowRule {
    /// After newlines, instead of as they arrive.
    by_line: bool,
    /// Maximum bytes without a newline that are held.
    longest: usize,
    hold_for: Nanos,
}

impl ShowRule {
    /// The rule that the options ask for.
    pub(super) const fn new(options: &TalkOptions) -> Self {
        let TalkOptions { by_line, linger, .. } = *options;
        if options.once {
            // The only line is worth the wait.
            return Self { by_line, longest: MAX_ANSWER, hold_for: linger };
        }
        Self { by_line, longest: MAX_LINE, hold_for: HOLD_LINE }
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: TalkPeer,
    pub(super) stream: Box<dyn Stream>,
    pub(super) connected: bool,
    pub(super) began: Nanos,
    /// Bytes to write, from `written` on.
    pub(super) out: Vec<u8>,
    pub(super) written: usize,
    /// Whether no more bytes will be added.
    pub(super) ending: bool,
    /// Bytes read but not shown, and when they were read.
    pub(super) pending: Vec<u8>,
    pub(super) read_at: Nanos,
    /// Set once the peer has finished sending, or the connection broke.
    pub(super) over: Option<Option<io::Error>>,
    /// When its end was reported, or when bytes were last left to write after that.
    pub(super) reported_at: Option<Nanos>,
}

impl Connection {
    pub(super) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        let token = Token(self.peer.number as usize);
        registry.register(&mut self.stream, token, Interest::READABLE | Interest::WRITABLE)
    }

    pub(super) fn broken(&self) -> bool {
        matches!(self.over, Some(Some(_)))
    }

    pub(super) fn unsent(&self) -> bool {
        self.written < self.out.len()
    }

    pub(super) fn flush(&mut self) {
        while self.unsent() && !self.broken() {
            match self.stream.write(self.out.get(self.written..).unwrap_or_default()) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Data that the peer sent before is still to be read.
                Err(error) => self.over = Some(Some(error)),
            }
        }
        if !self.unsent() {
            self.out.clear();
            self.written = 0;
            if std::mem::take(&mut self.ending) {
                // A closed peer need not learn it.
                let _ = self.stream.end();
            }
        }
    }

    /// The next piece to show, if there is one.
    pub(super) fn read(
        &mut self,
        slot: &mut [u8],
        now: Nanos,
        show_rule: ShowRule,
    ) -> Option<Vec<u8>> {
        let ShowRule { by_line, longest, hold_for } = show_rule;
        loop {
            if by_line && let Some(end) = self.pending.iter().rposition(|byte| *byte == b'\n') {
                return Some(self.pending.drain(..=end).collect());
            }
            let finished = !matches!(self.over, None | Some(Some(_)));
            match if finished { Ok(0) } else { self.stream.read(slot) } {
                Ok(0) => {
                    self.over.get_or_insert(None);
                    return self.take_pending();
                }
                Ok(count) => {
                    self.pending.extend_from_slice(slot.get(..count).unwrap_or_default());
                    self.read_at = now;
                    if !by_line || self.pending.len() > longest {
                        return self.take_pending();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let waited = now.since(self.read_at) >= hold_for || self.over.is_some();
                    return if waited { self.take_pending() } else { None };
                }
                Err(error) => {
                    self.over.get_or_insert(Some(error));
                    return self.take_pending();
                }
            }
        }
    }

    /// All held bytes, if any.
    pub(super) fn take_pending(&mut self) -> Option<Vec<u8>> {
        let pending = std::mem::take(&mut self.pending);
        (!pending.is_empty()).then_some(pending)
    }
}
