//! `udperf talk`: by hand.

mod commands;
#[cfg(feature = "line-editing")]
mod editor;
mod input;
mod manner;
mod pieces;
mod scenario;
mod show;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use self::manner::Manner;
use self::show::{Printer, Show};
use crate::cli::args::TalkArgs;
use crate::cli::commands::measure::stop_on_signals;
use crate::cli::error::{CliError, Exit};
use crate::cli::target::is_near;
use crate::run::RunError;
use crate::talk::{
    InputSender, InputSource, Talk, TalkEnd, TalkError, TalkEvent, TalkInput, TalkOptions,
};
use crate::unit::Nanos;

/// Pause between lines that a program sends to public addresses. Arbitrary: too slow to flood.
const PAUSE: Nanos = Nanos::from_millis(20);

pub(crate) fn run(args: &TalkArgs) -> Result<Exit, CliError> {
    // With --once, a line is data even if a person types it.
    let by_hand = io::stdin().is_terminal();
    let commands = by_hand && !args.once;
    let via = scenario::via(args, by_hand && args.file.is_none())?;
    let manner = Manner::new(args.encoding, args.hex, via.is_stream());
    let public = by_hand || args.allow_public;
    // An unreadable file is an error before the conversation starts.
    if let Some(path) = &args.file {
        let cannot = |error| TalkError::Input(input::cannot_read(path, &error));
        std::fs::File::open(path).map_err(cannot)?;
    }
    let options = TalkOptions {
        via: via.clone(),
        once: args.once,
        linger: args.linger,
        pause: if args.allow_public && !by_hand { PAUSE } else { Nanos::ZERO },
        by_line: !args.raw && !args.hex && manner.one_byte_newline(),
        unattended: !commands,
        answers: if public { |_| true } else { is_near },
    };
    let stop = stop_on_signals()?;
    let source = if commands { InputSource::Person } else { InputSource::Program };
    let (talk, input_sender) = Talk::open(options, source)?;
    let source = match (&args.file, commands) {
        (Some(_), false) => Source::Nothing,
        (None, false) => Source::Lines,
        (_, true) => Source::Typed,
    };
    #[cfg(feature = "line-editing")]
    let (source, printer, restore) = edited(source, args);
    #[cfg(not(feature = "line-editing"))]
    let printer: Option<Printer> = None;
    let mut show = Show::new(args, &via, manner.clone(), printer, Arc::clone(&stop));
    let reader = Reader { source, file: args.file.clone(), once: args.once, input_sender, manner };
    // Without PEER, --once reads the answer after the first datagram.
    let later = args.once && !via.has_peer();
    let mut reader = Some(reader);
    if !later {
        reader.take().map_or(Ok(()), Reader::start)?;
    }
    let mut tell = |event: TalkEvent<'_>| {
        show.tell(&event)?;
        match event {
            TalkEvent::Received(..) => reader.take().map_or(Ok(()), Reader::start).map_err(other),
            _ => Ok(()),
        }
    };
    let end = talk.run(&stop, &mut tell);
    let shown = show.finish();
    #[cfg(feature = "line-editing")]
    drop(restore);
    let end = end?;
    use io::ErrorKind::{BrokenPipe, Interrupted};
    match shown {
        Err(error) if !matches!(error.kind(), BrokenPipe | Interrupted) => {
            return Err(TalkError::Output(error).into());
        }
        _ => {}
    }
    Ok(match end {
        TalkEnd::Done => Exit::Well,
        TalkEnd::Interrupted => Exit::Interrupted,
    })
}

fn other(error: CliError) -> io::Error {
    io::Error::other(error.to_string())
}

enum Source {
    Nothing,
    Lines,
    Typed,
    #[cfg(feature = "line-editing")]
    Edited(Box<editor::Editor>),
}

/// Uses the line editor if the terminal supports it.
#[cfg(feature = "line-editing")]
fn edited(source: Source, args: &TalkArgs) -> (Source, Option<Printer>, Option<editor::Restore>) {
    if !matches!(source, Source::Typed) || args.raw || !io::stdout().is_terminal() {
        return (source, None, None);
    }
    let Some(mut editor) = editor::Editor::new() else { return (source, None, None) };
    let (printer, restore) = (editor.printer(), editor.restore());
    (Source::Edited(Box::new(editor)), printer, Some(restore))
}

struct Reader {
    source: Source,
    file: Option<PathBuf>,
    once: bool,
    input_sender: InputSender,
    manner: Manner,
}

impl Reader {
    fn start(self) -> Result<(), CliError> {
        let thread = thread::Builder::new().name("udperf-lines".to_owned());
        let started = thread.spawn(move || self.read());
        // It ends with the process: nothing can call it back from reading.
        started.map(|_| ()).map_err(|source| RunError::Spawn { source }.into())
    }

    fn read(self) {
        let Self { source, file, once, input_sender, manner } = self;
        if let Some(path) = file {
            match input::file(&path, &input_sender, &manner, once) {
                Ok(true) => {}
                Ok(false) => return,
                Err(why) => {
                    let _ = input_sender.send(TalkInput::Fail(TalkError::Input(why)));
                    return;
                }
            }
        }
        match source {
            #[cfg(feature = "line-editing")]
            Source::Lines if io::stdin().is_terminal() && !editor::in_foreground() => {
                let _ = input_sender.send(TalkInput::End);
            }
            Source::Nothing => {
                let _ = input_sender.send(TalkInput::End);
            }
            Source::Lines => input::lines(&input_sender, &manner, once),
            Source::Typed => commands::typed(&input_sender, &manner),
            #[cfg(feature = "line-editing")]
            Source::Edited(editor) => editor.run(&input_sender, &manner),
        }
    }
}
