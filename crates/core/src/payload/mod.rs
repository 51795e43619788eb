//! Payloads for programs other than udperf: text in any encoding, bytes as hex, requests to servers
//! of many protocols, and the matching of replies.
//!
//! A [`Spec`] is compiled into [`Requests`] and [`Matching`], so that the loop only copies a
//! request and patches it at known places.
//!
//! ```
//! use udperf_core::payload::{Dns, Preset, RequestSource, Spec};
//!
//! let spec = Spec::of(RequestSource::Preset(Preset::Dns(Dns::of("example.com"))));
//! let (requests, matching) = spec.compile(1)?;
//! let (mut slot, mut scratch) = (vec![0; requests.largest()], vec![0; requests.largest()]);
//! let (n, id, now_ns) = (0, 7, 0);
//! let len = requests.write(n, id, now_ns, &mut slot);
//! // The least that a server answers: the same, with the bit QR.
//! slot[2] |= 0x80;
//! assert_eq!(matching.id_of(&slot[..len]), Some(id));
//! assert!(matching.answers(&requests, n, id, &slot[..len], &mut scratch));
//! # Ok::<(), udperf_core::payload::PayloadError>(())
//! ```

mod capture;
mod compile;
mod encoding;
mod error;
pub mod hex;
mod input;
mod number;
mod patch;
mod preset;
mod reply;
mod requests;
mod show;
mod spec;
mod template;
#[cfg(test)]
mod tests;

pub use encoding::Encoding;
pub use error::PayloadError;
pub use input::{Input, TimestampClock};
pub use number::Number;
pub use preset::{Coap, Dns, Echo, Memcached, Names, Ping, Preset, Stun, answer_ping};
pub use reply::{Matching, Role};
pub use requests::{IdAt, RequestNumber, RequestOrder, Requests};
pub use spec::{MatchProtocol, MatchRule, RequestSource, Spec};
