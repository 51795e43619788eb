//! Send timestamps: there are none.

use std::io;

use crate::sys::SendError;

/// Not possible here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn stamp_sends<S>(_socket: &S, _on: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Nothing to undo here.
///
/// # Errors
/// Never.
pub fn forget_send_stamps<S>(_socket: &S) -> io::Result<()> {
    Ok(())
}

/// Unknown here.
pub fn take_pending_refusal<S>(_socket: &S) -> Option<SendError> {
    None
}

/// There is none here.
pub fn take_send_stamp<S>(_socket: &S) -> Option<u64> {
    None
}
