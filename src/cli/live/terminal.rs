//! The terminal: its modes, its keys, and how it is given back however the view ends.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, Once, OnceLock, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp,
    tcsetattr,
};

use crate::cli::output::{hold_stderr, release_stderr};
use crate::cli::progress::has_terminal;

/// The alternate screen, without a cursor; xterm's control sequences, as the next.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[2J";
/// Styles off, the cursor shown, and the ordinary screen.
const LEAVE: &[u8] = b"\x1b[0m\x1b[?25h\x1b[?1049l";
/// Bytes of keys that are read at once. Arbitrary: people type slower.
const KEYS: usize = 64;

/// What gives the terminal back; `None` while it is not taken.
static TAKEN: Mutex<Option<Restore>> = Mutex::new(None);
/// The modes of the terminal before it was taken first.
static MODES: OnceLock<Termios> = OnceLock::new();

struct Restore {
    tty: File,
    modes: Termios,
    /// Standard error without the lock of the standard library: a terminal that does not read then
    /// holds up frames only.
    out: File,
}

fn lock() -> MutexGuard<'static, Option<Restore>> {
    // What is under the lock does not panic.
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A key that the view knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LiveKey {
    Quit,
    Freeze,
    Help,
    Next,
}

/// The terminal while the view has it; dropping gives it back.
#[derive(Debug)]
pub(super) struct Terminal {
    tty: File,
}

impl Terminal {
    /// Takes the terminal; an error says why there is none. Messages for standard error wait until
    /// it is given back.
    pub(super) fn take() -> Result<Self, String> {
        if !has_terminal() {
            return Err("standard error is not a terminal that can show it".to_owned());
        }
        let no_keys = |error: io::Error| format!("no terminal to read keys from ({error})");
        // Standard input may be a file of requests.
        let tty = match io::stdin() {
            stdin if stdin.is_terminal() => stdin.as_fd().try_clone_to_owned().map(File::from),
            _ => File::open("/dev/tty"),
        };
        let tty = tty.map_err(no_keys)?;
        if !is_in_foreground(&tty) {
            return Err("the program runs in the background".to_owned());
        }
        let modes = tcgetattr(&tty).map_err(|error| no_keys(error.into()))?;
        // A shell that continues the program may restore those of the view.
        let modes = MODES.get_or_init(|| modes).clone();
        let own = tty.try_clone().map_err(no_keys)?;
        let mut out = io::stderr().as_fd().try_clone_to_owned().map(File::from).map_err(no_keys)?;
        install_hook();
        let mut taken = lock();
        tcsetattr(&tty, OptionalActions::Now, &by_key(modes.clone()))
            .map_err(|error| no_keys(error.into()))?;
        hold_stderr();
        // A terminal that is gone ends the view with its first frame.
        let _ = out.write_all(ENTER);
        *taken = Some(Restore { tty: own, modes, out });
        Ok(Self { tty })
    }

    /// Writes a frame; an error if the terminal was given back or is gone.
    pub(super) fn write(&self, frame: &str) -> io::Result<()> {
        match &mut *lock() {
            Some(Restore { out, .. }) => out.write_all(frame.as_bytes()),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Keys that are pressed until then; an error if the terminal is gone.
    pub(super) fn keys(&mut self, most: Duration) -> io::Result<Vec<LiveKey>> {
        let mut fds = [PollFd::new(&self.tty, PollFlags::IN)];
        let time = Timespec::try_from(most).map_err(|_| io::ErrorKind::InvalidInput)?;
        match poll(&mut fds, Some(&time)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(Vec::new()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut bytes = [0; KEYS];
        match self.tty.read(&mut bytes) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => Ok(parse(&bytes[..length])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Columns and rows.
    pub(super) fn size() -> (u16, u16) {
        // A pseudo-terminal may not know its size.
        terminal_size::terminal_size_of(io::stderr())
            .map_or((80, 24), |(columns, rows)| (columns.0, rows.0))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back, if it is taken, and prints the messages that waited.
pub(super) fn restore() {
    if let Some(Restore { tty, modes, mut out }) = lock().take() {
        let _ = out.write_all(LEAVE);
        // It would stop a program in the background.
        if is_in_foreground(&tty) {
            let _ = tcsetattr(&tty, OptionalActions::Now, &modes);
        }
    }
    release_stderr();
}

fn is_in_foreground(tty: &File) -> bool {
    tcgetpgrp(tty).ok() == Some(rustix::process::getpgrp())
}

/// Modes in which each key comes at once and unseen. Ctrl-C, Ctrl-Z and Ctrl-\ still are signals.
fn by_key(mut modes: Termios) -> Termios {
    modes.input_modes -= InputModes::IXON;
    modes.local_modes -=
        LocalModes::ICANON | LocalModes::ECHO | LocalModes::ECHONL | LocalModes::IEXTEN;
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    modes
}

/// Gives the terminal back before any thread's panic message is printed, for good.
fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let other = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            other(info);
        }));
    });
}

/// Keys by their bytes. The sequences of others are skipped: ESC, `[` or `O`, and all up to the
/// final byte (ECMA-48, section 5.4).
fn parse(bytes: &[u8]) -> Vec<LiveKey> {
    let (mut keys, mut rest) = (Vec::new(), bytes.iter());
    while let Some(byte) = rest.next() {
        match byte {
            b'q' | b'Q' => keys.push(LiveKey::Quit),
            b'p' | b'P' => keys.push(LiveKey::Freeze),
            b'?' | b'h' => keys.push(LiveKey::Help),
            b'\t' => keys.push(LiveKey::Next),
            0x1B if rest.next().is_some() => {
                rest.find(|byte| matches!(byte, 0x40..=0x7E));
            }
            _ => {}
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_of_other_keys_are_no_keys() {
        assert_eq!(parse(b"p?\tx"), [LiveKey::Freeze, LiveKey::Help, LiveKey::Next]);
        // The upward arrow, and Delete; F1, and shift with tab.
        assert_eq!(parse(b"\x1b[Aq\x1b[3~p"), [LiveKey::Quit, LiveKey::Freeze]);
        assert_eq!(parse(b"\x1bOP\x1b[Z\x1b"), []);
    }
}
