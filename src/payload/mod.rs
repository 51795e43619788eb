//! What programs that are not ours are sent and send: text in any encoding, bytes as hex, requests
//! to servers of many protocols, and how their replies are told.
//!
//! A [`Spec`] says what is asked for and is compiled into [`Requests`] and [`Matching`], which a
//! loop uses without deciding anything anew: a request is copied and patched at known places.

mod capture;
mod compile;
mod encoding;
mod error;
pub mod hex;
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
pub use number::Number;
pub use preset::{Coap, Dns, Echo, Memcached, Names, Preset, Stun};
pub use reply::Matching;
pub use requests::{IdAt, Order, Requests};
pub use spec::{MatchRule, Source, Spec};
