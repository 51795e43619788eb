//! What a person types: lines to send, and commands.

use std::io::{self, BufRead};
use std::path::Path;

use super::input;
use super::manner::Manner;
use crate::cli::commands::talk::scenario;
use crate::payload::{Encoding, hex};
use crate::talk::{Inlet, TalkEnd, TalkError, TalkInput};

/// What `/help` shows.
const HELP: &str = "\
lines are sent as they are; those that begin with / are commands:
  /peers                 who is there
  /to 2   /to ADDR:PORT  send to this one from now on
  /to                    send to PEER, or to who was heard last
  /hex 0a 0b ff          send these bytes
  /file PATH             send the bytes of a file
  /encoding LABEL        of what is sent and shown: utf-8, gbk, latin1, …
  /quit                  end, as Ctrl-D does
  //text                 send /text";

/// Hands over what a line means; whether the conversation still goes on.
pub(super) fn line(line: &str, inlet: &Inlet, manner: &Manner) -> bool {
    let result = match line.strip_prefix('/') {
        Some(rest) if !rest.starts_with('/') => command(rest, inlet, manner),
        Some(text) => send(text, inlet, manner),
        None => send(line, inlet, manner),
    };
    result.unwrap_or_else(|why| inlet.put(TalkInput::Complain(why)))
}

fn send(text: &str, inlet: &Inlet, manner: &Manner) -> Result<bool, String> {
    let bytes = manner.bytes(text.as_bytes(), true)?;
    Ok(inlet.put(TalkInput::Line(bytes)))
}

fn command(text: &str, inlet: &Inlet, manner: &Manner) -> Result<bool, String> {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    let input = match word {
        "help" | "?" => TalkInput::Complain(HELP.to_owned()),
        "peers" => TalkInput::Peers,
        "quit" | "q" => TalkInput::Quit(TalkEnd::Done),
        "to" if rest.is_empty() => TalkInput::Choose(None),
        "to" => match rest.trim_start_matches('#').parse() {
            Ok(number) => TalkInput::Choose(Some(number)),
            Err(_) => {
                let who = scenario::place(rest).map_err(|error| error.to_string())?;
                TalkInput::ChoosePlace(who)
            }
        },
        "hex" => TalkInput::Line(hex::parse(rest).map_err(|error| error.to_string())?),
        "file" => return input::file(Path::new(rest), inlet, manner, false),
        "encoding" => {
            let encoding = Encoding::parse(rest).map_err(|error| error.to_string())?;
            manner.set(encoding);
            TalkInput::Complain(format!("text is {encoding} from now on"))
        }
        _ => {
            return Err(format!(
                "/{word} is no command; /help shows them, and //{word} sends it as text"
            ));
        }
    };
    let goes_on = !matches!(input, TalkInput::Quit(_));
    Ok(inlet.put(input) && goes_on)
}

/// Reads lines that a person types, where they cannot be edited.
pub(super) fn typed(inlet: &Inlet, manner: &Manner) {
    for line in io::stdin().lock().split(b'\n') {
        let line = match line {
            Ok(line) => line,
            Err(error) => {
                let why = format!("cannot read standard input: {error}");
                let _ = inlet.put(TalkInput::Fail(TalkError::Input(why)));
                return;
            }
        };
        let goes_on = match std::str::from_utf8(&line) {
            Ok(line) => self::line(line, inlet, manner),
            Err(_) => inlet.put(TalkInput::Complain("that line is not UTF-8".to_owned())),
        };
        if !goes_on {
            return;
        }
    }
    let _ = inlet.put(TalkInput::Quit(TalkEnd::Done));
}
