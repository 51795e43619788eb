//! Lines from standard input: data, or at a terminal also commands.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::Path;

use super::format::LineFormat;
use super::scenario::peer_addr;
use crate::net::message_of;
use crate::payload::{Encoding, hex};
use crate::talk::{InputSender, TalkEnd, TalkError, TalkInput};

/// Maximum bytes of a line; over streams, of one read. Arbitrary: more than any datagram holds.
const MAX_LINE: u64 = 1 << 20;
/// Bytes of a file that are taken at once over streams. Arbitrary.
const PIECE: usize = 64 << 10;
/// Maximum bytes of a file sent as one datagram (RFC 768), and one more to see that it is larger.
const ONE_DATAGRAM: u64 = 65_536;

/// Reads lines that a program writes, byte for byte, until there are no more or, with `once`, one.
pub(super) fn lines(input_sender: &InputSender, format: &LineFormat, once: bool) {
    let mut stdin = io::stdin().lock();
    let unchanged = format.newline && !format.hex && format.encoding().is_none();
    for number in 1_u64.. {
        let input = match piece(&mut stdin, once || !unchanged) {
            Err(error) => Err(format!("cannot read standard input: {error}")),
            Ok(read) if read.is_empty() => break,
            Ok(read) if unchanged => Ok(read),
            Ok(read) => in_bytes(&read, format)
                .map_err(|why| format!("line {number} of standard input: {why}")),
        };
        let failed = input.is_err();
        let input =
            input.map_or_else(|why| TalkInput::Fail(TalkError::Input(why)), TalkInput::Line);
        if !input_sender.send(input) || once || failed {
            return;
        }
    }
    let _ = input_sender.send(TalkInput::End);
}

/// A line with its newline, or all available bytes: over a stream, ends of lines mean nothing.
fn piece(stdin: &mut impl BufRead, is_line: bool) -> io::Result<Vec<u8>> {
    let mut piece = Vec::new();
    if is_line {
        stdin.take(MAX_LINE).read_until(b'\n', &mut piece)?;
    } else {
        piece = stdin.fill_buf()?.to_vec();
        stdin.consume(piece.len());
    }
    Ok(piece)
}

fn in_bytes(line: &[u8], format: &LineFormat) -> Result<Vec<u8>, String> {
    let ended = line.last() == Some(&b'\n');
    if line.len() as u64 == MAX_LINE && !ended {
        return Err(format!("longer than {MAX_LINE} bytes; send it in parts, or by --file"));
    }
    format.bytes(line.strip_suffix(b"\n").unwrap_or(line), ended)
}

/// Sends a file, over streams in pieces unless `at_once`; returns whether the conversation goes on.
pub(super) fn file(
    path: &Path,
    input_sender: &InputSender,
    format: &LineFormat,
    at_once: bool,
) -> Result<bool, String> {
    let cannot = |error: io::Error| cannot_read(path, &error);
    let mut file = File::open(path).map_err(cannot)?;
    if format.newline && !at_once {
        loop {
            let mut piece = vec![0; PIECE];
            let count = file.read(&mut piece).map_err(cannot)?;
            piece.truncate(count);
            if count == 0 || !input_sender.send(TalkInput::Line(piece)) {
                return Ok(count == 0);
            }
        }
    }
    let max = if format.newline { u64::MAX } else { ONE_DATAGRAM };
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 == max {
        let path = path.display();
        return Err(format!(
            "{path} is larger than a datagram can be; send it in parts, or over a stream"
        ));
    }
    Ok(input_sender.send(TalkInput::Line(bytes)))
}

pub(super) fn cannot_read(path: &Path, error: &io::Error) -> String {
    format!("cannot read {}: {}; check the path", path.display(), message_of(error))
}

/// What `/help` shows.
const HELP: &str = "\
lines are sent as they are; those that begin with / are commands:
  /peers                 list the senders
  /to 2   /to ADDR:PORT  send to this one from now on
  /to                    send to PEER, or to the last sender
  /hex 0a 0b ff          send these bytes
  /file PATH             send the bytes of a file
  /encoding LABEL        of sent and shown text: utf-8, gbk, latin1, …
  /quit                  end, as Ctrl-D does
  //text                 send /text";

pub(super) fn execute(line: &str, input_sender: &InputSender, format: &LineFormat) -> bool {
    let result = match line.strip_prefix('/') {
        Some(rest) if !rest.starts_with('/') => command(rest, input_sender, format),
        Some(text) => send(text, input_sender, format),
        None => send(line, input_sender, format),
    };
    result.unwrap_or_else(|why| input_sender.send(TalkInput::Invalid(why)))
}

fn send(text: &str, input_sender: &InputSender, format: &LineFormat) -> Result<bool, String> {
    let bytes = format.bytes(text.as_bytes(), true)?;
    Ok(input_sender.send(TalkInput::Line(bytes)))
}

fn command(text: &str, input_sender: &InputSender, format: &LineFormat) -> Result<bool, String> {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    let input = match word {
        "help" | "?" => TalkInput::Invalid(HELP.to_owned()),
        "peers" => TalkInput::Peers,
        "quit" | "q" => TalkInput::Quit(TalkEnd::Done),
        "to" if rest.is_empty() => TalkInput::Choose(None),
        "to" => match rest.trim_start_matches('#').parse() {
            Ok(number) => TalkInput::Choose(Some(number)),
            Err(_) => TalkInput::ChooseAddr(peer_addr(rest).map_err(|error| error.to_string())?),
        },
        "hex" => TalkInput::Line(hex::parse(rest).map_err(|error| error.to_string())?),
        "file" => return file(Path::new(rest), input_sender, format, false),
        "encoding" => {
            let encoding = rest.parse::<Encoding>().map_err(|error| error.to_string())?;
            format.set(encoding);
            TalkInput::Invalid(format!("text is {} from now on", encoding.name()))
        }
        _ => {
            return Err(format!(
                "unknown command /{word}; see /help, or use //{word} to send it as text"
            ));
        }
    };
    let goes_on = !matches!(input, TalkInput::Quit(_));
    Ok(input_sender.send(input) && goes_on)
}

pub(super) fn typed(input_sender: &InputSender, format: &LineFormat) {
    for line in io::stdin().lock().split(b'\n') {
        let goes_on = match line.map(String::from_utf8) {
            Ok(Ok(line)) => execute(&line, input_sender, format),
            Ok(Err(_)) => {
                input_sender.send(TalkInput::Invalid("that line is not UTF-8".to_owned()))
            }
            Err(error) => {
                let why = format!("cannot read standard input: {error}");
                let _ = input_sender.send(TalkInput::Fail(TalkError::Input(why)));
                false
            }
        };
        if !goes_on {
            return;
        }
    }
    let _ = input_sender.send(TalkInput::Quit(TalkEnd::Done));
}
