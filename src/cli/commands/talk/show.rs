//! Shows a conversation.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use super::format::{LineFormat, Pieces, TextPiece};
use crate::cli::args::TalkArgs;
use crate::cli::output::{color, warn_stderr};
use crate::cli::stop::StopFlag;
use crate::payload::hex;
use crate::sys;
use crate::talk::{TalkEvent, TalkPeer, Transport};
use crate::unit::{Nanos, show_bytes};

/// Bytes that are shown as hex on the line itself; more are dumped below it. A row of a dump.
const SHORT: usize = 16;
/// How long the same failure is not repeated: each datagram may be refused. Arbitrary.
const AGAIN: Duration = Duration::from_secs(1);
/// Bytes that a writable pipe accepts at once: `PIPE_BUF` of Linux (pipe(7)).
const AT_ONCE: usize = 4_096;
/// Interval between checks for signals while nobody reads. Arbitrary: unnoticeable to people.
const TICK: Nanos = Nanos::from_millis(20);

/// Prints above the line that is being typed.
pub(super) type Printer = Box<dyn FnMut(String) -> io::Result<()>>;

pub(super) struct Show<'a> {
    args: &'a TalkArgs,
    format: LineFormat,
    color: bool,
    terminal: bool,
    transport: &'a Transport,
    printer: Option<Printer>,
    stop: StopFlag,
    /// The last failed send, and when.
    refused: Option<(String, Instant)>,
    speaker: Option<u32>,
    pieces: Pieces,
    incomplete: Vec<TalkPeer>,
}

impl<'a> Show<'a> {
    pub(super) fn new(
        args: &'a TalkArgs,
        transport: &'a Transport,
        format: LineFormat,
        printer: Option<Printer>,
        stop: StopFlag,
    ) -> Self {
        Self {
            args,
            format,
            color: color(args.color),
            terminal: io::stdout().is_terminal(),
            transport,
            printer,
            stop,
            refused: None,
            speaker: None,
            pieces: Pieces::default(),
            incomplete: Vec::new(),
        }
    }

    pub(super) fn tell(&mut self, event: &TalkEvent<'_>) -> io::Result<()> {
        if let TalkEvent::Disconnected(peer, _) = event {
            self.end(peer)?;
        }
        let text = match event {
            TalkEvent::Received(from, bytes) => return self.received(from, bytes),
            TalkEvent::InvalidInput(text) => return self.answer(text),
            TalkEvent::Peers(peers, target) => return self.answer(&list(peers, *target)),
            TalkEvent::NoSuchPeer => {
                return self.answer("no peer has that name or number; see /peers");
            }
            TalkEvent::NoPeer => return self.answer("no peer yet; use /to ADDR:PORT, or wait"),
            TalkEvent::Chosen(Some(peer)) => format!("to {} from now on", self.name(peer)),
            TalkEvent::Chosen(None) => "to the next sender".to_owned(),
            // A client of datagrams does not need it.
            TalkEvent::Listening(_) if self.transport.has_peer() => return Ok(()),
            TalkEvent::Listening(at) => format!("talk on {at}"),
            TalkEvent::Connected(peer) if self.transport.has_peer() => {
                format!("connected to {}", peer.addr)
            }
            TalkEvent::Connected(peer) => format!("{} connected", self.name(peer)),
            TalkEvent::Disconnected(peer, None) => format!("{} has closed", self.name(peer)),
            TalkEvent::Disconnected(peer, Some(why)) => {
                format!("{} left: {why}", self.name(peer))
            }
            TalkEvent::Unsolicited(peer) => {
                format!("ignored a datagram of {}, which is not the peer", peer.addr)
            }
            TalkEvent::SendFailed(error) => {
                let text = error.to_string();
                let again = self.refused.replace((text.clone(), Instant::now()));
                if again.is_some_and(|(old, at)| old == text && at.elapsed() < AGAIN) {
                    return Ok(());
                }
                text
            }
        };
        if self.args.quiet { Ok(()) } else { self.notice(&text) }
    }

    fn name(&self, peer: &TalkPeer) -> String {
        if self.transport.has_peer() {
            peer.addr.to_string()
        } else {
            format!("#{} {}", peer.number, peer.addr)
        }
    }

    fn answer(&mut self, text: &str) -> io::Result<()> {
        if self.terminal { self.print(format!("{text}\n").as_bytes()) } else { self.notice(text) }
    }

    fn notice(&mut self, text: &str) -> io::Result<()> {
        match &mut self.printer {
            Some(printer) if io::stderr().is_terminal() => printer(format!("udperf: {text}\n")),
            _ => {
                warn_stderr(text);
                Ok(())
            }
        }
    }

    fn received(&mut self, from: &TalkPeer, bytes: &[u8]) -> io::Result<()> {
        if self.args.raw {
            self.about(from, bytes, "")?;
            return self.print(bytes);
        }
        if !self.transport.is_stream() {
            let text = self.format.text(bytes);
            return self.piece(from, &TextPiece { bytes: bytes.to_vec(), text });
        }
        let pieces = self.pieces.next(from.number, bytes, &self.format);
        self.incomplete.retain(|peer| peer.number != from.number);
        if self.pieces.holds(from.number) {
            self.incomplete.push(from.clone());
        }
        pieces.iter().try_for_each(|piece| self.piece(from, piece))
    }

    fn end(&mut self, peer: &TalkPeer) -> io::Result<()> {
        let pieces = self.pieces.rest(peer.number, &self.format);
        pieces.iter().try_for_each(|piece| self.piece(peer, piece))
    }

    pub(super) fn finish(&mut self) -> io::Result<()> {
        std::mem::take(&mut self.incomplete).iter().try_for_each(|peer| self.end(peer))
    }

    fn piece(&mut self, from: &TalkPeer, TextPiece { bytes, text }: &TextPiece) -> io::Result<()> {
        if self.terminal && !self.args.once {
            let shown = match text {
                Some(text) => self.line(from, bytes, text),
                None if bytes.len() <= SHORT => {
                    self.line(from, bytes, &format!("hex {}", hex::show(bytes)))
                }
                None => self.line(from, bytes, &format!("hex\n{}", hex::dump(bytes))),
            };
            return self.print(shown.as_bytes());
        }
        let how = if text.is_none() && !self.format.hex { ", no text: shown as hex" } else { "" };
        self.about(from, bytes, how)?;
        let ends = !self.transport.is_stream() || self.args.once || text.is_none();
        let mut shown = match text {
            Some(text) if self.terminal => clean(text),
            Some(text) => text.clone(),
            None => hex::show(bytes),
        };
        if ends && !shown.ends_with('\n') {
            shown.push('\n');
        }
        self.print(shown.as_bytes())
    }

    fn about(&mut self, from: &TalkPeer, bytes: &[u8], how: &str) -> io::Result<()> {
        if self.args.quiet {
            return Ok(());
        }
        let name = self.name(from);
        if !self.transport.is_stream() {
            let size = show_bytes(bytes.len() as u64);
            return self.notice(&format!("{} {size} from {name}{how}", time()));
        }
        // Over streams, the sender is named when it changes.
        let is_other =
            self.speaker.replace(from.number) != Some(from.number) && !self.transport.has_peer();
        if is_other || !how.is_empty() {
            self.notice(&format!("{} from {name}{how}", time()))?;
        }
        Ok(())
    }

    /// The lines of a datagram; no line of a peer looks like a line of udperf.
    fn line(&self, from: &TalkPeer, bytes: &[u8], text: &str) -> String {
        let text = clean(text);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let mut about = format!("{}  {}", time(), self.name(from));
        if !self.transport.is_stream() {
            let _ = write!(about, "  {}", show_bytes(bytes.len() as u64));
        }
        let (dim, plain) = if self.color { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        let mut shown = format!("{dim}{about}{plain}  ");
        for (number, line) in text.split('\n').enumerate() {
            let indent = if number > 0 { "  | " } else { "" };
            let _ = writeln!(shown, "{indent}{line}");
        }
        shown
    }

    fn print(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(printer) = &mut self.printer {
            return printer(String::from_utf8_lossy(bytes).into_owned());
        }
        let mut out = io::stdout().lock();
        bytes.chunks(AT_ONCE).try_for_each(|chunk| {
            // A signal ends it even if nobody reads the output.
            while !sys::wait_writable(&out, TICK.0) {
                if self.stop.load(Ordering::Relaxed) {
                    return Err(io::ErrorKind::Interrupted.into());
                }
            }
            out.write_all(chunk)?;
            out.flush()
        })
    }
}

/// Escapes characters that would move or reorder other text of a terminal: carriage returns,
/// separators, and marks of direction (`Bidi_Control` of the Unicode Character Database).
fn clean(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.replace("\r\n", "\n").chars() {
        match character {
            '\r' => shown.push_str("\\r"),
            '\u{61C}'
            | '\u{200E}'
            | '\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2066}'..='\u{2069}' => shown.extend(character.escape_unicode()),
            _ => shown.push(character),
        }
    }
    shown
}

fn list(peers: &[TalkPeer], target: Option<u32>) -> String {
    if peers.is_empty() {
        return "no peer yet".to_owned();
    }
    let row = |peer: &TalkPeer| {
        let mark = if target == Some(peer.number) { "  <- gets your lines" } else { "" };
        format!("#{} {}{mark}", peer.number, peer.addr)
    };
    peers.iter().map(row).collect::<Vec<_>>().join("\n")
}

fn time() -> String {
    let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    // Of 2026-01-31T12:00:00.000Z, what is behind the T.
    now.split_once('T').map_or_else(String::new, |(_, time)| time.to_owned())
}
