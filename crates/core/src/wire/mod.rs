//! What our own datagrams look like on the wire: the header and the fill behind it, and the control
//! messages that go the same way.

mod header;

pub use header::{
    HEADER_LEN, Header, LAG_END, MAX_SEQUENCE, MAX_TIME, NEXT, decode_lag, decode_own, encode,
    encode_lag, fill, has_tag, is_marked, mark, unmarked, word,
};
