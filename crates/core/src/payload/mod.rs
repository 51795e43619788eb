//! Payloads for programs other than udperf: text in any encoding, bytes as hex, requests to servers
//! of many protocols, and the matching of replies.
//!
//! A [`Spec`] is compiled into [`Requests`] and [`Matching`], so that the loop only copies a
//! request and patches it at known places.

mod capture;
mod compile;
mod encoding;
mod error;
pub mod hex;
mod number;
mod patch;
mod protocol;
mod requests;
mod show;
mod spec;
mod template;
#[cfg(test)]
mod tests;

pub use encoding::Encoding;
pub use error::PayloadError;
pub use number::Number;
pub use protocol::{Dns, Matching, Names, Preset, Protocol, Role, answer_ping};
pub use requests::{IdAt, RequestNumber, RequestOrder, Requests};
pub use spec::{MatchRule, RequestSource, Spec};
