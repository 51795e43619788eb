//! Facts about this host: hardware, kernel settings, capability probes, kernel counters, usage.

pub mod counters;
pub mod device;
mod survey;

pub use counters::{Meter, Throttle};
pub use device::{default_device, device_at, device_towards, path_mtu, source_towards};
pub use survey::{Depth, HostFacts, machine, survey};
