//! What is shown of a conversation, and where.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::manner::Manner;
use super::pieces::{Pieces, TextPiece};
use crate::cli::args::TalkArgs;
use crate::cli::output::{color, warn_stderr};
use crate::payload::hex;
use crate::sys;
use crate::talk::{TalkEvent, TalkPeer, Transport};
use crate::unit::{Nanos, show_bytes};

/// Bytes that are shown as hex on the line itself; more are dumped below it. A row of a dump.
const SHORT: usize = 16;

/// How soon the same refusal is no news: each datagram of many is refused by itself. Arbitrary.
const AGAIN: Duration = Duration::from_secs(1);

/// Bytes for which there is room in a pipe that has any: `PIPE_BUF` of Linux (pipe(7)).
const AT_ONCE: usize = 4_096;

/// How often it is looked for signals while nobody reads. Arbitrary: unnoticeable to people.
const TICK: Nanos = Nanos::from_millis(20);

/// Prints above the line that is being typed.
pub(super) type Printer = Box<dyn FnMut(String) -> io::Result<()>>;

pub(super) struct Show {
    manner: Manner,
    raw: bool,
    quiet: bool,
    once: bool,
    color: bool,
    /// Whether standard output is a terminal.
    terminal: bool,
    stream: bool,
    has_peer: bool,
    printer: Option<Printer>,
    refused: Option<(String, Instant)>,
    speaker: Option<u32>,
    pieces: Pieces,
    /// Peers with an incomplete character.
    begun: Vec<TalkPeer>,
    stop: Arc<AtomicBool>,
}

impl Show {
    pub(super) fn new(
        args: &TalkArgs,
        via: &Transport,
        manner: Manner,
        printer: Option<Printer>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self {
            manner,
            raw: args.raw,
            quiet: args.quiet,
            once: args.once,
            color: color(args.color),
            terminal: io::stdout().is_terminal(),
            stream: via.is_stream(),
            has_peer: via.has_peer(),
            printer,
            refused: None,
            speaker: None,
            pieces: Pieces::default(),
            begun: Vec::new(),
            stop,
        }
    }

    pub(super) fn tell(&mut self, event: &TalkEvent<'_>) -> io::Result<()> {
        if let TalkEvent::Disconnected(peer, _) = event {
            self.end(peer)?;
        }
        let text = match event {
            TalkEvent::Received(from, bytes) => return self.heard(from, bytes),
            TalkEvent::InvalidInput(text) => return self.answer(text),
            TalkEvent::Peers(peers, target) => return self.answer(&list(peers, *target)),
            TalkEvent::NoSuchPeer => {
                return self.answer("no peer has that name or number; see /peers");
            }
            TalkEvent::NoPeer => {
                return self.answer("no peer yet; use /to ADDR:PORT, or wait");
            }
            TalkEvent::Chosen(Some(peer)) => format!("to {} from now on", self.name(peer)),
            TalkEvent::Chosen(None) => "to the next sender".to_owned(),
            // A client of datagrams does not need it.
            TalkEvent::Listening(_) if self.has_peer => return Ok(()),
            TalkEvent::Listening(at) => format!("talk on {at}"),
            TalkEvent::Connected(peer) if self.has_peer => format!("connected to {}", peer.who),
            TalkEvent::Connected(peer) => format!("{} has come", self.name(peer)),
            TalkEvent::Disconnected(peer, None) => {
                format!("{} has closed", self.name(peer))
            }
            TalkEvent::Disconnected(peer, Some(why)) => {
                format!("{} has broken off: {why}", self.name(peer))
            }
            TalkEvent::Unsolicited(peer) => {
                format!("a datagram of {}, who was not asked, was left aside", peer.who)
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
        if self.quiet { Ok(()) } else { self.notice(&text) }
    }

    fn name(&self, peer: &TalkPeer) -> String {
        if self.has_peer { peer.who.to_string() } else { format!("#{} {}", peer.number, peer.who) }
    }

    /// Prints the result of a command.
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

    fn heard(&mut self, from: &TalkPeer, bytes: &[u8]) -> io::Result<()> {
        if self.raw {
            self.about(from, bytes, "")?;
            return self.print(bytes);
        }
        if !self.stream {
            let text = self.manner.text(bytes);
            return self.piece(from, &TextPiece { bytes: bytes.to_vec(), text });
        }
        let pieces = self.pieces.next(from.number, bytes, &self.manner);
        self.begun.retain(|begun| begun.number != from.number);
        if self.pieces.holds(from.number) {
            self.begun.push(from.clone());
        }
        pieces.iter().try_for_each(|piece| self.piece(from, piece))
    }

    /// Shows the incomplete character of a peer that ended.
    fn end(&mut self, peer: &TalkPeer) -> io::Result<()> {
        let pieces = self.pieces.rest(peer.number, &self.manner);
        pieces.iter().try_for_each(|piece| self.piece(peer, piece))
    }

    pub(super) fn finish(&mut self) -> io::Result<()> {
        std::mem::take(&mut self.begun).iter().try_for_each(|peer| self.end(peer))
    }

    fn piece(&mut self, from: &TalkPeer, TextPiece { bytes, text }: &TextPiece) -> io::Result<()> {
        if self.terminal && !self.once {
            let shown = match text {
                Some(text) => self.line(from, bytes, text),
                None => self.line(from, bytes, &hex_of(bytes)),
            };
            return self.print(shown.as_bytes());
        }
        let how = if text.is_none() && !self.manner.hex { ", no text: shown as hex" } else { "" };
        self.about(from, bytes, how)?;
        let ends = !self.stream || self.once || text.is_none();
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

    /// Names the sender, as standard output has only the payload.
    fn about(&mut self, from: &TalkPeer, bytes: &[u8], how: &str) -> io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        let (name, size) = (self.name(from), show_bytes(bytes.len() as u64));
        if !self.stream {
            return self.notice(&format!("{} {size} from {name}{how}", time()));
        }
        // Over streams, the sender is named when it changes.
        let other = self.speaker.replace(from.number) != Some(from.number) && !self.has_peer;
        if !other && how.is_empty() {
            return Ok(());
        }
        self.notice(&format!("{} from {name}{how}", time()))
    }

    /// The lines of a datagram; no line of a peer looks like one of ours.
    fn line(&self, from: &TalkPeer, bytes: &[u8], text: &str) -> String {
        let text = clean(text);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let about = if self.stream {
            format!("{}  {}", time(), self.name(from))
        } else {
            let size = show_bytes(bytes.len() as u64);
            format!("{}  {}  {size}", time(), self.name(from))
        };
        let (dim, plain) = if self.color { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        let mut shown = format!("{dim}{about}{plain}  ");
        for (number, line) in text.split('\n').enumerate() {
            let indent = if number > 0 { "  | " } else { "" };
            // Writing to a string cannot fail.
            let _ = writeln!(shown, "{indent}{line}");
        }
        shown
    }

    fn print(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.printer {
            Some(printer) => printer(String::from_utf8_lossy(bytes).into_owned()),
            None => {
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
    }
}

/// Text for a terminal, with what would change the order or the place of other text made visible:
/// carriage returns within lines, the separators of lines and paragraphs, and the marks of
/// direction (`Bidi_Control` of the Unicode Character Database).
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

fn hex_of(bytes: &[u8]) -> String {
    if bytes.len() <= SHORT {
        format!("hex {}", hex::show(bytes))
    } else {
        format!("hex\n{}", hex::dump(bytes))
    }
}

/// The peers; the one that gets the next line is marked.
fn list(peers: &[TalkPeer], target: Option<u32>) -> String {
    if peers.is_empty() {
        return "no peer yet".to_owned();
    }
    let row = |peer: &TalkPeer| {
        let mark = if target == Some(peer.number) { "  <- gets your lines" } else { "" };
        format!("#{} {}{mark}", peer.number, peer.who)
    };
    peers.iter().map(row).collect::<Vec<_>>().join("\n")
}

/// The time of day, UTC.
fn time() -> String {
    let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    // Of 2026-01-31T12:00:00.000Z, what is behind the T.
    now.split_once('T').map_or_else(String::new, |(_, time)| time.to_owned())
}
