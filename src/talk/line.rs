//! One connection of a conversation.

use std::io::{self, Read, Write};

use mio::{Interest, Registry, Token};

use super::TalkOptions;
use super::book::TalkPeer;
use crate::net::stream::Stream;
use crate::unit::Nanos;

/// How long the beginning of a line waits for its end before it is shown without: a prompt has
/// none. Arbitrary: people do not notice it, and what is under way has arrived.
const PATIENCE: Nanos = Nanos::from_millis(100);

/// Bytes of a line that is shown in pieces. Arbitrary.
const LONGEST_LINE: usize = 64 << 10;

/// Bytes of a line that is all there is to show. Arbitrary: whoever never ends it shall not fill
/// the memory.
const LONGEST_ANSWER: usize = 4 << 20;

/// Where what was read is cut into pieces to show.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    /// Behind newlines, and not as it comes.
    by_line: bool,
    /// Bytes without a newline that are held back at most.
    longest: usize,
    /// How long they are held back.
    patience: Nanos,
}

impl Cut {
    /// As the options demand.
    pub(super) const fn new(options: &TalkOptions) -> Self {
        let TalkOptions { by_line, linger, .. } = *options;
        if options.once {
            // A line that is all there is to show is worth waiting for.
            return Self { by_line, longest: LONGEST_ANSWER, patience: linger };
        }
        Self { by_line, longest: LONGEST_LINE, patience: PATIENCE }
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct TextLine {
    pub(super) peer: TalkPeer,
    pub(super) stream: Box<dyn Stream>,
    pub(super) connected: bool,
    /// When connecting began.
    pub(super) began: Nanos,
    /// What is to be written, from `written` on.
    pub(super) out: Vec<u8>,
    pub(super) written: usize,
    /// No more will be.
    pub(super) ending: bool,
    /// What was read and not shown, and when that was.
    pub(super) held: Vec<u8>,
    pub(super) read_at: Nanos,
    /// The other end says no more, or the connection broke.
    pub(super) over: Option<Option<io::Error>>,
    /// When it was told that the other end says no more, or when there was still something to
    /// write after that.
    pub(super) told_at: Option<Nanos>,
}

impl TextLine {
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
                // What the other end said before is still to be read.
                Err(error) => self.over = Some(Some(error)),
            }
        }
        if !self.unsent() {
            self.out.clear();
            self.written = 0;
            if std::mem::take(&mut self.ending) {
                // One that is closed already needs no telling.
                let _ = self.stream.end();
            }
        }
    }

    /// The next piece to show, if there is one.
    pub(super) fn read(&mut self, slot: &mut [u8], now: Nanos, cut: Cut) -> Option<Vec<u8>> {
        let Cut { by_line, longest, patience } = cut;
        loop {
            if by_line && let Some(end) = self.held.iter().rposition(|byte| *byte == b'\n') {
                return Some(self.held.drain(..=end).collect());
            }
            let finished = !matches!(self.over, None | Some(Some(_)));
            let result = if finished { Ok(0) } else { self.stream.read(slot) };
            match result {
                Ok(0) => {
                    self.over.get_or_insert(None);
                    return self.rest();
                }
                Ok(count) => {
                    self.held.extend_from_slice(slot.get(..count).unwrap_or_default());
                    self.read_at = now;
                    if !by_line || self.held.len() > longest {
                        return self.rest();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let waited = now.since(self.read_at) >= patience || self.over.is_some();
                    return if waited { self.rest() } else { None };
                }
                Err(error) => {
                    self.over.get_or_insert(Some(error));
                    return self.rest();
                }
            }
        }
    }

    /// All that is held, if anything.
    pub(super) fn rest(&mut self) -> Option<Vec<u8>> {
        let held = std::mem::take(&mut self.held);
        (!held.is_empty()).then_some(held)
    }
}
