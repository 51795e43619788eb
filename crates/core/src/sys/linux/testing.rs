//! Namespaces for tests.
#![allow(unsafe_code)]

use std::process::Command;
use std::thread;

/// Whether this test has to end without running: it takes root.
pub(super) fn lacks_root() -> bool {
    // SAFETY: geteuid(2) touches no memory.
    let lacks = unsafe { libc::geteuid() } != 0;
    if lacks {
        eprintln!("SKIPPED: this test needs root");
        assert!(std::env::var_os("CI").is_none_or(|ci| ci == "false"), "CI has to run as root");
    }
    lacks
}

/// Runs `test` in a thread with a network namespace of its own.
pub(super) fn in_new_netns(test: impl FnOnce() + Send + 'static) {
    let thread = thread::spawn(|| {
        // SAFETY: unshare(2) touches no memory; only this thread gets the new namespace.
        super::check(unsafe { libc::unshare(libc::CLONE_NEWNET) }).unwrap();
        test();
    });
    thread.join().unwrap();
}

/// Runs a shell command in the network namespace of the calling thread; its output.
pub(super) fn sh(command: &str) -> String {
    let output = Command::new("sh").args(["-ec", command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
