//! Runs the program on a pseudo-terminal, and knows what that shows.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::udperf;

/// How long a test waits for what must come. Arbitrary: far longer than on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// The alternate screen is left, and the cursor shown.
const LEAVE: &[u8] = b"\x1b[?25h\x1b[?1049l";

/// Both sides of a pseudo-terminal of this size. Programs of other tests do not inherit them.
fn pty(columns: u16, rows: u16) -> (File, File) {
    // SAFETY: the calls take a valid file descriptor and a writable name of this length.
    let (master, name) = unsafe {
        let master = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        assert!(master >= 0);
        let master = File::from_raw_fd(master);
        assert_eq!(libc::grantpt(master.as_raw_fd()) | libc::unlockpt(master.as_raw_fd()), 0);
        let mut name = [0; 64];
        assert_eq!(libc::ptsname_r(master.as_raw_fd(), name.as_mut_ptr(), name.len()), 0);
        (master, CStr::from_ptr(name.as_ptr()).to_str().unwrap().to_owned())
    };
    set_size(&master, columns, rows);
    let mut options = OpenOptions::new();
    let slave = options.read(true).write(true).custom_flags(libc::O_NOCTTY).open(name);
    (master, slave.unwrap())
}

fn set_size(master: &File, columns: u16, rows: u16) {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: `size` is valid for the whole call.
    let set = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    assert_eq!(set, 0);
}

/// The modes of a terminal, and its special characters.
fn modes(tty: &File) -> ([libc::tcflag_t; 4], Vec<u8>) {
    let mut modes = MaybeUninit::<libc::termios>::uninit();
    // SAFETY: `modes` is writable, and is read only if it was written.
    let modes = unsafe {
        assert_eq!(libc::tcgetattr(tty.as_raw_fd(), modes.as_mut_ptr()), 0);
        modes.assume_init()
    };
    ([modes.c_iflag, modes.c_oflag, modes.c_cflag, modes.c_lflag], modes.c_cc.to_vec())
}

/// A program on a terminal of its own.
pub struct OnTerminal {
    /// Until it has ended.
    child: Option<Child>,
    /// `None` once the terminal is gone.
    pub master: Option<File>,
    slave: Option<File>,
    modes: ([libc::tcflag_t; 4], Vec<u8>),
    pub bytes: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    pub written: Vec<u8>,
}

impl OnTerminal {
    /// Starts it, with standard output to a pipe.
    pub fn start(mut command: Command, columns: u16, rows: u16) -> Self {
        let (master, slave) = pty(columns, rows);
        let side = || Stdio::from(slave.try_clone().unwrap());
        command
            .env("RUST_BACKTRACE", "0")
            .env("TERM", "xterm")
            .stdin(side())
            .stdout(Stdio::piped())
            .stderr(side());
        // SAFETY: setsid(2) and ioctl(2) may be called between fork and exec.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        let modes = modes(&slave);
        let child = Some(command.spawn().unwrap());
        let (sender, bytes) = channel();
        let mut reader = master.try_clone().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        let screen = vt100::Parser::new(rows, columns, 0);
        let (master, slave, written) = (Some(master), Some(slave), Vec::new());
        Self { child, master, slave, modes, bytes, screen, written }
    }

    pub fn udperf(words: &str, columns: u16, rows: u16) -> Self {
        let mut command = udperf();
        command.args(words.split_whitespace());
        Self::start(command, columns, rows)
    }

    pub fn shown(&self) -> String {
        self.screen.screen().contents()
    }

    fn take(&mut self, bytes: &[u8]) {
        self.written.extend(bytes);
        self.screen.process(bytes);
    }

    /// Waits for this on the screen.
    #[track_caller]
    pub fn until(&mut self, what: &str, found: impl Fn(&str) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !found(&self.shown()) {
            match self.bytes.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.take(&bytes),
                Err(error) => panic!("no {what}: {error}\n{}", self.shown()),
            }
        }
    }

    #[track_caller]
    pub fn until_text(&mut self, text: &str) {
        self.until(text, |shown| shown.contains(text));
    }

    pub fn press(&mut self, keys: &str) {
        self.master.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    pub fn resize(&mut self, columns: u16, rows: u16) {
        set_size(self.master.as_ref().unwrap(), columns, rows);
        self.screen.screen_mut().set_size(rows, columns);
    }

    /// Writes over the whole screen, as another program would.
    pub fn scribble(&mut self) {
        self.screen.process(
            &b"\x1b[H".iter().chain(&b"scribble".repeat(240)).copied().collect::<Vec<_>>(),
        );
    }

    /// Takes the terminal away, and waits for the end of the program.
    pub fn vanished(mut self) -> Output {
        // The reader has the terminal until the next frame.
        drop((self.master.take(), std::mem::replace(&mut self.bytes, channel().1)));
        self.child.take().unwrap().wait_with_output().unwrap()
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Waits for its end with this code; the terminal must be as before. Its standard output, and
    /// what the terminal shows.
    #[track_caller]
    pub fn ended(self, code: i32) -> (Output, String) {
        let (output, shown, times) = self.gave_back();
        assert_eq!(times, 1);
        assert_eq!(output.status.code(), Some(code), "{shown}");
        (output, shown)
    }

    /// Whether the terminal is as before at the moment.
    pub fn is_given_back(&self) -> bool {
        let screen = self.screen.screen();
        let is_plain = !screen.alternate_screen() && !screen.hide_cursor();
        is_plain && modes(self.slave.as_ref().unwrap()) == self.modes
    }

    /// Waits for its end; the terminal must be as before. Its standard output, what
    /// the terminal shows, and how often it was given back.
    #[track_caller]
    pub fn gave_back(mut self) -> (Output, String, usize) {
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        let modes = modes(self.slave.as_ref().unwrap());
        // With both sides closed, the reader ends after the last byte.
        drop((self.slave.take(), self.master.take()));
        while let Ok(bytes) = self.bytes.recv_timeout(PATIENCE) {
            self.written.extend(&bytes);
            self.screen.process(&bytes);
        }
        let screen = self.screen.screen();
        assert_eq!(modes, self.modes);
        assert!(!screen.alternate_screen() && !screen.hide_cursor());
        let times = self.written.windows(LEAVE.len()).filter(|part| *part == LEAVE).count();
        (output, screen.contents(), times)
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // A test that failed before its end leaves nothing behind.
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
