//! The layout of udperf's own data datagrams: a 16-byte header, then fill bytes.

mod header;

pub use header::{
    HEADER_LEN, Header, LAG_END, MAX_SEQUENCE, MAX_TIME, NEXT, decode_lag, decode_own, encode,
    encode_lag, fill, has_tag, is_marked, mark, unmarked, word,
};
