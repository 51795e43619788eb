//! Servers as people run them, each on a free port with a folder of its own, gone with the test.

use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::common::ports;
use crate::proc::PATIENCE;
use crate::rig::skip;
use crate::shim::heard;

/// How long one try waits for an answer, until the server has come up. Arbitrary.
const TRY: Duration = Duration::from_millis(50);

/// A running server.
pub struct Daemon {
    pub at: SocketAddr,
    child: Child,
    /// Kept until its end.
    folder: TempDir,
}

/// Where Debian has programs that servers are.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];

impl Daemon {
    /// Starts `program` with the words and files that `make` gives for a folder and a port, and
    /// waits until it answers `probe`; `None`, reported as skipped, where the program is missing.
    #[track_caller]
    pub fn start(
        program: &str,
        make: impl FnOnce(&Path, u16) -> (String, Vec<(&'static str, String)>),
        probe: &[u8],
    ) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = FOLDERS.iter().map(PathBuf::from).chain(std::env::split_paths(&path));
        let mut found = folders.map(|folder| folder.join(program));
        let Some(path) = found.find(|path| path.exists()) else {
            skip(format!("no {program}"));
            return None;
        };
        let (folder, at) =
            (tempfile::tempdir().unwrap(), SocketAddr::from(([127, 0, 0, 1], ports::free())));
        let (words, files) = make(folder.path(), at.port());
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(path);
        command.args(words.split_whitespace()).current_dir(&folder).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        die_with_us(&mut command);
        let mut daemon = Self { at, child: command.spawn().unwrap(), folder };
        daemon.await_answer(probe);
        Some(daemon)
    }

    #[track_caller]
    fn await_answer(&mut self, probe: &[u8]) {
        let end = Instant::now() + PATIENCE;
        while self.ask(probe).is_none() {
            let over = self.child.try_wait().unwrap();
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap();
            assert!(over.is_none(), "it has ended: {over:?}: {}", log());
            assert!(Instant::now() < end, "no answer: {}", log());
        }
    }

    /// A file of its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// One request by hand, and its answer.
    pub fn ask(&self, request: &[u8]) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(TRY)).unwrap();
        // What is refused at once is tried again as late as what is silent.
        let begun = Instant::now();
        // Not connected: a server may answer from another port.
        socket.send_to(request, self.at).ok()?;
        let mut slot = vec![0; 65_536];
        match heard(&socket, &mut slot) {
            Ok((len, _)) => Some(slot[..len].to_vec()),
            Err(_) => {
                std::thread::park_timeout(TRY.saturating_sub(begun.elapsed()));
                None
            }
        }
    }
}

/// Has the kernel end it with the thread that began it, however that ends.
#[allow(unsafe_code)]
fn die_with_us(command: &mut Command) {
    // SAFETY: prctl(2) is async-signal-safe, and PR_SET_PDEATHSIG takes a signal number.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // As its own commands would end it, so that its children end, too.
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let end = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::yield_now();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
