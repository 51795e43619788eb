//! io_uring: many sends per `io_uring_enter`, and one receive that never ends.
//!
//! Both sides need Linux 6.1: rings that run their work only when we enter the kernel
//! (`IORING_SETUP_DEFER_TASKRUN`), so that no work runs between a look at the ring and a sleep in
//! epoll; and sends to an address. Multishot `recvmsg` (6.0) and rings of provided buffers (5.19)
//! are older.

mod buffers;
mod echo;
mod rx;
mod tx;

pub use echo::UringEcho;
pub use rx::UringRx;
pub use tx::UringTx;

use std::io;
use std::os::fd::RawFd;

use io_uring::IoUring;

/// Whether this build has the engine.
pub const IS_BUILT_IN: bool = true;

// cold: set-up
fn ring(requests: usize, results: usize) -> io::Result<IoUring> {
    let too_many = |_| io::Error::from(io::ErrorKind::InvalidInput);
    IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(u32::try_from(results.next_power_of_two()).map_err(too_many)?)
        .build(u32::try_from(requests).map_err(too_many)?)
        .map_err(|error| failed("io_uring_setup", &error))
}

/// Registers sockets, which requests then name by their index.
// cold: set-up
fn register(ring: &IoUring, sockets: &[RawFd]) -> io::Result<()> {
    let registered = ring.submitter().register_files(sockets);
    registered.map_err(|error| failed("io_uring_register of sockets", &error))
}

/// Whether a retry may succeed: after a signal, or without memory or room for results.
// cold: a failed call
fn is_temporary(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN | libc::EBUSY))
}

// cold: set-up
fn failed(call: &str, error: &io::Error) -> io::Error {
    let why = match error.raw_os_error() {
        Some(libc::EPERM) => {
            ": blocked by sysctl kernel.io_uring_disabled or by a container's seccomp profile"
        }
        Some(libc::ENOSYS) => ": the kernel has no io_uring, or a seccomp profile hides it",
        Some(libc::EINVAL) => ": not known to this kernel",
        Some(libc::ENOMEM) => ": no memory that may be locked; see ulimit -l",
        _ => "",
    };
    io::Error::new(error.kind(), format!("{call}: {error}{why}"))
}
