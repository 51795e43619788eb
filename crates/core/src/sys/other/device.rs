//! Facts about a network device: nothing is known here.

use std::collections::BTreeMap;

use crate::sys::{Address, InterruptLine};

/// None are known here.
#[must_use]
pub fn addresses() -> Vec<Address> {
    Vec::new()
}

/// Unknown here.
#[must_use]
pub fn driver(_device: &str) -> Option<String> {
    None
}

/// Unknown here.
#[must_use]
pub fn mtu(_device: &str) -> Option<u64> {
    None
}

/// Unknown here.
#[must_use]
pub fn speed_mbit(_device: &str) -> Option<u64> {
    None
}

/// Unknown here.
#[must_use]
pub fn qdisc(_device: &str) -> Option<String> {
    None
}

/// Unknown here.
#[must_use]
pub fn queues(_device: &str, _kind: &str) -> Option<usize> {
    None
}

/// Unknown here.
#[must_use]
pub fn queue_masks(_device: &str, _kind: &str, _file: &str) -> Option<Vec<String>> {
    None
}

/// Unknown here.
#[must_use]
pub fn irqs(_device: &str) -> Option<Vec<InterruptLine>> {
    None
}

/// Unknown here.
#[must_use]
pub fn offloads(_device: &str) -> Option<BTreeMap<String, bool>> {
    None
}

/// Unknown here.
#[must_use]
pub fn rings(_device: &str) -> Option<BTreeMap<String, u64>> {
    None
}

/// Unknown here.
#[must_use]
pub fn coalescing(_device: &str) -> Option<BTreeMap<String, u64>> {
    None
}

/// Unknown here.
#[must_use]
pub fn channels(_device: &str) -> Option<BTreeMap<String, u64>> {
    None
}
