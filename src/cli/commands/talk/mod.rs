//! `udperf talk`: manual send and receive.

#[cfg(feature = "line-editing")]
mod editor;
mod format;
mod input;
mod scenario;
mod show;

use std::io::{self, ErrorKind, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use self::format::LineFormat;
use self::show::{Printer, Show};
use crate::cli::args::TalkArgs;
use crate::cli::error::{CliResult, Exit};
use crate::cli::stop::stop_on_signals;
use crate::cli::target::is_near;
use crate::run::RunError;
use crate::talk::{InputSender, Talk, TalkEnd, TalkError, TalkEvent, TalkInput, TalkOptions};
use crate::unit::Nanos;

/// Pause between lines that a program sends to public addresses. Arbitrary: too slow to flood.
const PAUSE: Nanos = Nanos::from_millis(20);

pub(crate) fn run(args: &TalkArgs) -> CliResult {
    // With --once, a line is data even if a person types it.
    let by_hand = io::stdin().is_terminal();
    let commands = by_hand && !args.once;
    let transport = scenario::transport(args, by_hand && args.file.is_none())?;
    let format = LineFormat::new(args.encoding, args.hex, transport.is_stream());
    let public = by_hand || args.allow_public;
    // An unreadable file is an error before the conversation starts.
    if let Some(path) = &args.file {
        let cannot = |error| TalkError::Input(input::cannot_read(path, &error));
        std::fs::File::open(path).map_err(cannot)?;
    }
    let options = TalkOptions {
        via: transport.clone(),
        once: args.once,
        linger: args.linger,
        pause: if args.allow_public && !by_hand { PAUSE } else { Nanos::ZERO },
        by_line: !args.raw && !args.hex && format.one_byte_newline(),
        unattended: !commands,
        answers: if public { |_| true } else { is_near },
    };
    let stop = stop_on_signals()?;
    let (talk, input_sender) = Talk::open(options)?;
    let source = match (&args.file, commands) {
        (Some(_), false) => Source::Nothing,
        (None, false) => Source::Lines,
        (_, true) => Source::Typed,
    };
    #[cfg(feature = "line-editing")]
    let (source, printer, restore) = edited(source, args);
    #[cfg(not(feature = "line-editing"))]
    let printer: Option<Printer> = None;
    let mut show = Show::new(args, &transport, format.clone(), printer, Arc::clone(&stop));
    let (file, once) = (args.file.clone(), args.once);
    let mut reader = Some(move || read(source, file, once, &input_sender, &format));
    let mut start_reader = || reader.take().map_or(Ok(()), start_thread);
    // Without PEER, --once reads the answer after the first datagram.
    if !args.once || transport.has_peer() {
        start_reader()?;
    }
    let end = talk.run(&stop, &mut |event| {
        show.tell(&event)?;
        match event {
            TalkEvent::Received(..) => start_reader().map_err(io::Error::other),
            _ => Ok(()),
        }
    });
    let shown = show.finish();
    #[cfg(feature = "line-editing")]
    drop(restore);
    let end = end?;
    match shown {
        Err(error) if !matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::Interrupted) => {
            return Err(TalkError::Output(error).into());
        }
        _ => {}
    }
    Ok(match end {
        TalkEnd::Done => Exit::Success,
        TalkEnd::Interrupted => Exit::Interrupted,
    })
}

enum Source {
    Nothing,
    Lines,
    Typed,
    #[cfg(feature = "line-editing")]
    Edited(Box<editor::DefaultEditor>),
}

#[cfg(feature = "line-editing")]
fn edited(source: Source, args: &TalkArgs) -> (Source, Option<Printer>, Option<editor::Restore>) {
    let is_edited = matches!(source, Source::Typed) && !args.raw && io::stdout().is_terminal();
    let restore = is_edited.then(editor::Restore::new);
    match restore.and_then(|restore| Some((editor::open()?, restore))) {
        Some(((editor, printer), restore)) => {
            (Source::Edited(Box::new(editor)), printer, Some(restore))
        }
        None => (source, None, None),
    }
}

fn start_thread(read: impl FnOnce() + Send + 'static) -> CliResult<()> {
    // It ends with the process: nothing can interrupt its reading.
    let started = thread::Builder::new().name("udperf-lines".to_owned()).spawn(read);
    started.map(drop).map_err(|source| RunError::Spawn { source }.into())
}

fn read(
    source: Source,
    file: Option<PathBuf>,
    once: bool,
    input_sender: &InputSender,
    format: &LineFormat,
) {
    match file.map_or(Ok(true), |path| input::file(&path, input_sender, format, once)) {
        Ok(true) => {}
        Ok(false) => return,
        Err(why) => {
            let _ = input_sender.send(TalkInput::Fail(TalkError::Input(why)));
            return;
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
        Source::Lines => input::lines(input_sender, format, once),
        Source::Typed => input::typed(input_sender, format),
        #[cfg(feature = "line-editing")]
        Source::Edited(editor) => editor::run(*editor, input_sender, format),
    }
}
