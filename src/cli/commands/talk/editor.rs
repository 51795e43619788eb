//! Lines that can be edited and called back, and what arrives meanwhile above them.

#[cfg(unix)]
use std::io;
use std::thread;
use std::time::Duration;

use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor, ExternalPrinter};

use super::commands;
use super::manner::Manner;
use super::show::Printer;
use crate::talk::{InputSender, TalkEnd, TalkInput};

/// What stands before the line.
const PROMPT: &str = "> ";

/// Time for the editor's thread to show its last line. Arbitrary: a hundred times what it takes.
const GRACE: Duration = Duration::from_millis(20);

pub(super) struct Editor {
    editor: DefaultEditor,
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
}

/// Restores the terminal when dropped: the editor may be waiting for a key.
pub(super) struct Restore {
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
}

impl Editor {
    pub(super) fn new() -> Option<Self> {
        #[cfg(unix)]
        let before = rustix::termios::tcgetattr(io::stdin()).ok();
        // Terminals without editing, as in rustyline.
        if matches!(std::env::var("TERM").as_deref(), Ok("dumb" | "cons25" | "emacs")) {
            return None;
        }
        let config = Config::builder().auto_add_history(true).bracketed_paste(false).build();
        let editor = DefaultEditor::with_config(config).ok()?;
        Some(Self {
            editor,
            #[cfg(unix)]
            before,
        })
    }

    /// A printer that prints above the line.
    pub(super) fn printer(&mut self) -> Option<Printer> {
        let mut printer = self.editor.create_external_printer().ok()?;
        // It fails only after the editor ended, and then the conversation ends, too.
        Some(Box::new(move |text| {
            let _ = printer.print(text);
            Ok(())
        }))
    }

    pub(super) fn restore(&self) -> Restore {
        Restore {
            #[cfg(unix)]
            before: self.before.clone(),
        }
    }

    pub(super) fn run(mut self, input_sender: &InputSender, manner: &Manner) {
        let end = loop {
            match self.editor.readline(PROMPT) {
                Ok(line) => {
                    if !commands::line(&line, input_sender, manner) {
                        return;
                    }
                }
                Err(ReadlineError::Interrupted) => break TalkEnd::Interrupted,
                Err(_) => break TalkEnd::Done,
            }
        };
        // The printer waits for the editor.
        drop(self.editor);
        let _ = input_sender.send(TalkInput::Quit(end));
    }
}

/// Whether this process may read the terminal; one in the background would be stopped.
#[cfg(unix)]
pub(super) fn in_foreground() -> bool {
    let group = rustix::termios::tcgetpgrp(io::stdin());
    group.is_ok_and(|group| group == rustix::process::getpgrp())
}

#[cfg(not(unix))]
pub(super) fn in_foreground() -> bool {
    true
}

impl Drop for Restore {
    fn drop(&mut self) {
        thread::sleep(GRACE);
        #[cfg(unix)]
        if let Some(before) = &self.before {
            use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
            let raw = |now: &rustix::termios::Termios| now.local_modes != before.local_modes;
            if tcgetattr(io::stdin()).is_ok_and(|now| raw(&now)) {
                let _ = tcsetattr(io::stdin(), OptionalActions::Drain, before);
                // Past the prompt, which is still on the line.
                println!();
            }
        }
    }
}
