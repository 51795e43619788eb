//! Tells the crate whether it can have the engine `uring` and AF_UNIX sockets.

use std::env;

/// The architectures that the crate io-uring knows the kernel's structures of, as in Cargo.toml.
const URING_ARCHS: [&str; 5] = ["x86_64", "aarch64", "riscv64", "loongarch64", "powerpc64"];

/// Sets `cfg(udperf_uring)` where the feature was asked for and the system can have it.
fn uring() {
    let is = |name: &str, wanted: &[&str]| {
        env::var(name).is_ok_and(|value| wanted.contains(&value.as_str()))
    };
    let possible = is("CARGO_CFG_TARGET_OS", &["linux"])
        && is("CARGO_CFG_TARGET_ARCH", &URING_ARCHS)
        && env::var_os("CARGO_CFG_UDPERF_PORTABLE").is_none();
    if possible && env::var_os("CARGO_FEATURE_URING").is_some() {
        println!("cargo::rustc-cfg=udperf_uring");
    }
}

/// Sets `cfg(udperf_xdp)` likewise; AF_XDP needs no structures of a crate.
fn xdp() {
    let is_linux = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    let portable = env::var_os("CARGO_CFG_UDPERF_PORTABLE").is_some();
    if is_linux && !portable && env::var_os("CARGO_FEATURE_XDP").is_some() {
        println!("cargo::rustc-cfg=udperf_xdp");
    }
}

/// Sets `cfg(udperf_unix)` where there are AF_UNIX datagram sockets.
fn unix() {
    let portable = env::var_os("CARGO_CFG_UDPERF_PORTABLE").is_some();
    if env::var_os("CARGO_CFG_UNIX").is_some() && !portable {
        println!("cargo::rustc-cfg=udperf_unix");
    }
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    uring();
    xdp();
    unix();
}
