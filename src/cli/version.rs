//! The version of the program, its features, and the versions of what it reads and speaks.

use std::sync::LazyLock;

use crate::document::SCHEMA;
use crate::engine::{URING_IS_BUILT_IN, XDP_IS_BUILT_IN};
use crate::remote::protocol::VERSION as PROTOCOL;

/// `0.1.0 (0123456789ab)`: the version and, if built from a checkout of git, the commit.
pub(crate) static VERSION: LazyLock<String> = LazyLock::new(|| match option_env!("UDPERF_GIT") {
    Some(git) => format!("{} ({git})", env!("CARGO_PKG_VERSION")),
    None => env!("CARGO_PKG_VERSION").to_owned(),
});

/// What `--version` prints after the name.
pub(crate) static LONG: LazyLock<String> = LazyLock::new(|| {
    let features = [
        ("line-editing", cfg!(feature = "line-editing")),
        ("live", cfg!(feature = "live")),
        ("mpi", cfg!(feature = "mpi")),
        ("uring", URING_IS_BUILT_IN),
        ("xdp", XDP_IS_BUILT_IN),
    ];
    let built_in: Vec<_> = features.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
    let features = if built_in.is_empty() { "none".to_owned() } else { built_in.join(", ") };
    // In one line, since scripts read it.
    format!("{} · features {features} · documents {SCHEMA} · control protocol {PROTOCOL}", *VERSION)
});
