//! What programs that are not ours are sent and send: text in any encoding, and bytes as hex.

mod encoding;
mod error;
pub mod hex;

pub use encoding::Encoding;
pub use error::PayloadError;
