//! Facts about this host: hardware, kernel settings, capability probes, kernel counters, usage.

pub mod counters;
pub mod device;
mod facts;
mod probe;
mod survey;
mod throttle;
mod usage;

pub use device::{default_device, device_at, device_towards, path_mtu, source_towards};
pub use facts::{HostFacts, ThrottledTime};
pub use survey::{Depth, machine, survey};
pub use throttle::Throttle;
pub use usage::{Meter, Reading};
