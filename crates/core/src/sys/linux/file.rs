//! Files.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens what exists for appending, without waiting: a pipe that nobody reads, or a socket, is
/// `NotConnected`, and writing to a full pipe is `WouldBlock`.
pub fn open_without_waiting(path: &Path) -> io::Result<File> {
    let opened = File::options().append(true).custom_flags(libc::O_NONBLOCK).open(path);
    opened.map_err(|error| match error.raw_os_error() {
        Some(libc::ENXIO) => io::ErrorKind::NotConnected.into(),
        _ => error,
    })
}
