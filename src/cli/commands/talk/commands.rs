//! What a person types: lines to send, and commands.

use std::io::{self, BufRead};
use std::path::Path;

use super::input;
use super::manner::Manner;
use crate::cli::commands::talk::scenario;
use crate::payload::{Encoding, hex};
use crate::talk::{InputSender, TalkEnd, TalkError, TalkInput};

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

/// Executes a line; returns whether the conversation goes on.
pub(super) fn line(line: &str, input_sender: &InputSender, manner: &Manner) -> bool {
    let result = match line.strip_prefix('/') {
        Some(rest) if !rest.starts_with('/') => command(rest, input_sender, manner),
        Some(text) => send(text, input_sender, manner),
        None => send(line, input_sender, manner),
    };
    result.unwrap_or_else(|why| input_sender.send(TalkInput::Invalid(why)))
}

fn send(text: &str, input_sender: &InputSender, manner: &Manner) -> Result<bool, String> {
    let bytes = manner.bytes(text.as_bytes(), true)?;
    Ok(input_sender.send(TalkInput::Line(bytes)))
}

fn command(text: &str, input_sender: &InputSender, manner: &Manner) -> Result<bool, String> {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    let input = match word {
        "help" | "?" => TalkInput::Invalid(HELP.to_owned()),
        "peers" => TalkInput::Peers,
        "quit" | "q" => TalkInput::Quit(TalkEnd::Done),
        "to" if rest.is_empty() => TalkInput::Choose(None),
        "to" => match rest.trim_start_matches('#').parse() {
            Ok(number) => TalkInput::Choose(Some(number)),
            Err(_) => {
                let who = scenario::place(rest).map_err(|error| error.to_string())?;
                TalkInput::ChooseAddr(who)
            }
        },
        "hex" => TalkInput::Line(hex::parse(rest).map_err(|error| error.to_string())?),
        "file" => return input::file(Path::new(rest), input_sender, manner, false),
        "encoding" => {
            let encoding = Encoding::parse(rest).map_err(|error| error.to_string())?;
            manner.set(encoding);
            TalkInput::Invalid(format!("text is {encoding} from now on"))
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

/// Reads typed lines without editing.
pub(super) fn typed(input_sender: &InputSender, manner: &Manner) {
    for line in io::stdin().lock().split(b'\n') {
        let line = match line {
            Ok(line) => line,
            Err(error) => {
                let why = format!("cannot read standard input: {error}");
                let _ = input_sender.send(TalkInput::Fail(TalkError::Input(why)));
                return;
            }
        };
        let goes_on = match std::str::from_utf8(&line) {
            Ok(line) => self::line(line, input_sender, manner),
            Err(_) => input_sender.send(TalkInput::Invalid("that line is not UTF-8".to_owned())),
        };
        if !goes_on {
            return;
        }
    }
    let _ = input_sender.send(TalkInput::Quit(TalkEnd::Done));
}
