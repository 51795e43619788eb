//! Facts about sockets and their devices, which are unavailable on this system.

/// Unknown here.
#[must_use]
pub fn device_name(_index: u32) -> Option<String> {
    None
}

/// Unknown here.
#[must_use]
pub fn path_mtu<S>(_socket: &S, _ipv6: bool) -> Option<u64> {
    None
}
