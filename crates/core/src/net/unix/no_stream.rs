//! The inert twin of stream sockets, for systems without AF_UNIX.

use super::{UnixError, UnixFile, UnixName};
use crate::net::stream::{Listener, Stream};

/// Not possible here.
pub fn connect_unix(_name: &UnixName) -> Result<Box<dyn Stream>, UnixError> {
    Err(UnixError::Absent)
}

/// Not possible here.
pub fn listen_unix(_name: &UnixName) -> Result<(Box<dyn Listener>, Option<UnixFile>), UnixError> {
    Err(UnixError::Absent)
}
