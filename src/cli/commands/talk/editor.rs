//! Editing and history of typed lines; received data is printed above the line.

#[cfg(unix)]
use std::io;
use std::thread;
use std::time::Duration;

#[cfg(unix)]
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
pub(super) use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use rustyline::{Config, ExternalPrinter};

use super::format::LineFormat;
use super::input::execute;
use super::show::Printer;
use crate::talk::{InputSender, TalkEnd, TalkInput};

/// What stands before the line.
const PROMPT: &str = "> ";
/// Time for the editor's thread to show its last line. Arbitrary: a hundred times what it takes.
const GRACE: Duration = Duration::from_millis(20);

/// An editor, with the printer that prints above its line; `None` if the terminal has no editing.
pub(super) fn open() -> Option<(DefaultEditor, Option<Printer>)> {
    // Terminals without editing, as in rustyline.
    if matches!(std::env::var("TERM").as_deref(), Ok("dumb" | "cons25" | "emacs")) {
        return None;
    }
    let config = Config::builder().auto_add_history(true).bracketed_paste(false).build();
    let mut editor = DefaultEditor::with_config(config).ok()?;
    let printer = editor.create_external_printer().ok().map(|mut printer| -> Printer {
        // It fails only after the editor ended, and then the conversation ends, too.
        Box::new(move |text| {
            let _ = printer.print(text);
            Ok(())
        })
    });
    Some((editor, printer))
}

pub(super) fn run(mut editor: DefaultEditor, input_sender: &InputSender, format: &LineFormat) {
    let end = loop {
        match editor.readline(PROMPT) {
            Ok(line) if execute(&line, input_sender, format) => {}
            Ok(_) => return,
            Err(ReadlineError::Interrupted) => break TalkEnd::Interrupted,
            Err(_) => break TalkEnd::Done,
        }
    };
    // The printer waits for the editor.
    drop(editor);
    let _ = input_sender.send(TalkInput::Quit(end));
}

/// Whether this process may read the terminal; one in the background would be stopped.
pub(super) fn in_foreground() -> bool {
    #[cfg(unix)]
    return tcgetpgrp(io::stdin()).is_ok_and(|group| group == rustix::process::getpgrp());
    #[cfg(not(unix))]
    true
}

/// Restores the terminal when dropped: the editor may be waiting for a key.
pub(super) struct Restore {
    #[cfg(unix)]
    before: Option<Termios>,
}

impl Restore {
    pub(super) fn new() -> Self {
        Self {
            #[cfg(unix)]
            before: tcgetattr(io::stdin()).ok(),
        }
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        thread::sleep(GRACE);
        #[cfg(unix)]
        if let Some(before) = &self.before
            && tcgetattr(io::stdin()).is_ok_and(|now| now.local_modes != before.local_modes)
        {
            let _ = tcsetattr(io::stdin(), OptionalActions::Drain, before);
            // Past the prompt, which is still on the line.
            println!();
        }
    }
}
