//! Payloads for programs other than udperf: text in any encoding, bytes as hex, requests to servers
//! of many protocols, and the matching of replies.
//!
//! A [`Spec`] is compiled into [`Requests`] and [`Matching`], so that the loop only copies a
//! request and patches it at known places.

mod bytes_at;
mod capture;
mod compile;
mod compose;
mod encoding;
mod error;
mod expectations;
mod field;
pub mod hex;
mod hints;
mod lines;
mod number;
mod patch;
mod pattern;
mod protocol;
mod question;
mod requests;
mod second;
mod show;
mod spans;
mod spec;
mod steps;
mod template;
#[cfg(test)]
mod tests;
mod values;

pub use bytes_at::BytesAt;
pub use encoding::Encoding;
pub use error::PayloadError;
pub use expectations::ErrorRule;
pub use number::Number;
pub use pattern::{Regex, ReplyRule};
pub use protocol::{
    CLIENT_COOKIE_LEN, Dns, EdnsOptions, ExchangeProgress, Matching, MessageOf, Names, PingServer,
    Preset, Protocol, Role, ServerCookie, Subnet, answer_ping, ping_server, write_ping,
};
pub use requests::{IdAt, RequestNumber, RequestOrder, Requests};
pub use second::{Messages, SecondRequest, Then};
pub use spec::{MatchRule, RequestSource, Spec};
