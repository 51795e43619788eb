//! Lines from standard input.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::Path;

use super::manner::Manner;
use crate::net::message_of;
use crate::talk::{InputSender, TalkError, TalkInput};

/// Maximum bytes of a line; over streams, of one read. Arbitrary: more than any datagram holds.
const LONGEST: u64 = 1 << 20;

/// Bytes of a file that are taken at once over streams. Arbitrary.
const PIECE: usize = 64 << 10;

/// Maximum bytes of a file sent as one datagram (RFC 768), and one more to see that it is larger.
const ONE_DATAGRAM: u64 = 65_536;

/// Reads lines that a program writes, byte for byte, until there are no more or, with `once`, one.
pub(super) fn lines(input_sender: &InputSender, manner: &Manner, once: bool) {
    let mut stdin = io::stdin().lock();
    let as_it_is = manner.newline && !manner.hex && manner.encoding().is_none();
    for number in 1_u64.. {
        let read = if as_it_is && !once { piece(&mut stdin) } else { line(&mut stdin) };
        let input = match read {
            Err(error) => Err(format!("cannot read standard input: {error}")),
            Ok(read) if read.is_empty() => break,
            Ok(read) if as_it_is => Ok(read),
            Ok(read) => in_bytes(&read, manner)
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

/// What there is now, or nothing at the end: over a stream, ends of lines mean nothing.
fn piece(stdin: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let piece = stdin.fill_buf()?.to_vec();
    stdin.consume(piece.len());
    Ok(piece)
}

/// A line with its newline, if any; empty at the end.
fn line(stdin: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    stdin.take(LONGEST).read_until(b'\n', &mut line)?;
    Ok(line)
}

fn in_bytes(line: &[u8], manner: &Manner) -> Result<Vec<u8>, String> {
    let ended = line.last() == Some(&b'\n');
    if line.len() as u64 == LONGEST && !ended {
        return Err(format!("longer than {LONGEST} bytes; send it in parts, or by --file"));
    }
    manner.bytes(line.strip_suffix(b"\n").unwrap_or(line), ended)
}

/// Sends a file, over streams in pieces unless `whole`; returns whether the conversation goes on.
pub(super) fn file(
    path: &Path,
    input_sender: &InputSender,
    manner: &Manner,
    whole: bool,
) -> Result<bool, String> {
    let cannot = |error: io::Error| cannot_read(path, &error);
    let mut file = File::open(path).map_err(cannot)?;
    if whole && manner.newline {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(cannot)?;
        return Ok(input_sender.send(TalkInput::Line(bytes)));
    }
    if !manner.newline {
        let mut bytes = Vec::new();
        file.take(ONE_DATAGRAM).read_to_end(&mut bytes).map_err(cannot)?;
        if bytes.len() as u64 == ONE_DATAGRAM {
            let path = path.display();
            return Err(format!(
                "{path} is larger than a datagram can be; send it in parts, or over a stream"
            ));
        }
        return Ok(input_sender.send(TalkInput::Line(bytes)));
    }
    loop {
        let mut piece = vec![0; PIECE];
        let count = file.read(&mut piece).map_err(cannot)?;
        piece.truncate(count);
        if count == 0 || !input_sender.send(TalkInput::Line(piece)) {
            return Ok(count == 0);
        }
    }
}

pub(super) fn cannot_read(path: &Path, error: &io::Error) -> String {
    format!("cannot read {}: {}; check the path", path.display(), message_of(error))
}
