//! Replies of DNS, RFC 1035.

use crate::payload::number::Number;

/// Bytes of the header; RFC 1035 §4.1.1.
pub(super) const HEADER_LEN: usize = 12;
/// The bits of byte 2: a reply (QR), the kind of message (OPCODE), and that the reply was truncated
/// (TC); RFC 1035 §4.1.1.
const QR: u8 = 0x80;
/// As above.
const OPCODE: u8 = 0x78;
/// As above.
const TC: u8 = 0x02;
/// The code of a truncated reply, above the 12 bits of RCODE (RFC 6891 §6.1.3). Arbitrary.
const TRUNCATED: u16 = 0x1000;
/// The type of the record that carries EDNS, and the offset of the upper bits of RCODE after the
/// type; RFC 6891 §6.1.
const OPT: [u8; 2] = [0, 41];
/// As above.
const OPT_RCODE_AT: usize = 4;
/// Bytes of a record between its name and its data, and the offset of the length of the data in
/// them; RFC 1035 §4.1.3.
const RECORD_LEN: usize = 10;
/// As above.
const DATA_LEN_AT: usize = 8;
/// Bytes of type and class in a question; RFC 1035 §4.1.2.
const KIND_LEN: usize = 4;
/// The bits of a label's length that make it a pointer; RFC 1035 §4.1.4.
const POINTER: u8 = 0xC0;
/// Maximum labels and pointers in a name: the labels of 255 bytes (RFC 1035 §3.1), and a pointer
/// before each.
const NAME_STEPS: usize = 256;

/// RCODEs of IANA's registry "DNS RCODEs", in rows of consecutive numbers; 16 is that of OPT.
const RCODES: [(u16, &str); 2] = [
    (
        0,
        "NOERROR FORMERR SERVFAIL NXDOMAIN NOTIMP REFUSED YXDOMAIN YXRRSET NXRRSET NOTAUTH NOTZONE \
         DSOTYPENI",
    ),
    (16, "BADVERS BADKEY BADTIME BADMODE BADNAME BADALG BADTRUNC BADCOOKIE"),
];

/// The id of a reply, whatever its OPCODE.
#[inline]
pub(super) fn id(reply: &[u8]) -> Option<u64> {
    let header = reply.first_chunk::<HEADER_LEN>()?;
    if header[2] & QR == 0 {
        return None;
    }
    Number::Be(2).read(header, 0)
}

/// Whether a reply has the OPCODE, id and question of a request. Servers that could not read the
/// question, or had no room for it, omit it; then the id is enough, unless another name is
/// answered.
#[inline]
pub(super) fn answers(request: &[u8], reply: &[u8]) -> bool {
    let Some(header) = reply.first_chunk::<HEADER_LEN>() else { return false };
    if id(reply).is_none() || request.get(..2) != reply.get(..2) {
        return false;
    }
    if request.get(2).is_none_or(|byte| (byte ^ header[2]) & OPCODE != 0) {
        return false;
    }
    let Some(end) = name_end(request, HEADER_LEN) else { return false };
    let Some(name) = request.get(HEADER_LEN..end) else { return false };
    match [header[4], header[5]] {
        _ if reply.len() == HEADER_LEN => code(reply).is_some(),
        [0, 0] if header[6..8] == [0, 0] => code(reply).is_some(),
        // The first record is an answer, and has the name.
        [0, 0] => same_name(reply, HEADER_LEN, name).is_some(),
        [0, 1] => {
            let kind = request.get(end..end + KIND_LEN);
            same_name(reply, HEADER_LEN, name)
                .is_some_and(|end| kind.is_some() && kind == reply.get(end..end + KIND_LEN))
        }
        _ => false,
    }
}

/// The end of the name at `at` of a message.
#[inline]
fn name_end(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let len = *message.get(at)?;
        if len & POINTER == POINTER {
            return Some(at + 2);
        }
        at += 1 + usize::from(len);
        if len == 0 {
            return Some(at);
        }
    }
}

/// The end of the name at `at` of a message if it equals `name`, in any case.
#[inline]
fn same_name(message: &[u8], mut at: usize, name: &[u8]) -> Option<usize> {
    // The common case: neither compressed nor in another case.
    if message.get(at..at + name.len()) == Some(name) {
        return Some(at + name.len());
    }
    let (mut rest, mut end) = (name, None);
    for _ in 0..NAME_STEPS {
        let len = *message.get(at)?;
        if len & POINTER == POINTER {
            let low = *message.get(at + 1)?;
            end = end.or(Some(at + 2));
            at = usize::from(u16::from_be_bytes([len & !POINTER, low]));
            continue;
        }
        let behind = at + 1 + usize::from(len);
        let label = message.get(at..behind)?;
        let (asked, after) = rest.split_at_checked(label.len())?;
        // Lengths of labels are below any letter, so that case does not touch them.
        if !label.eq_ignore_ascii_case(asked) {
            return None;
        }
        if len == 0 {
            return Some(end.unwrap_or(behind));
        }
        (rest, at) = (after, behind);
    }
    None
}

/// RCODE with the bits of OPT, or that the reply was truncated.
#[inline]
pub(super) fn code(reply: &[u8]) -> Option<u16> {
    let header = reply.first_chunk::<HEADER_LEN>()?;
    let upper = if header[10..] == [0, 0] { 0 } else { opt_rcode(reply, header).unwrap_or(0) };
    match u16::from(upper) << 4 | u16::from(header[3] & 0xF) {
        0 if header[2] & TC != 0 => Some(TRUNCATED),
        0 => None,
        rcode => Some(rcode),
    }
}

/// The upper bits of RCODE in OPT; `None` without it, or if the reply ends before it.
#[inline]
fn opt_rcode(reply: &[u8], header: &[u8; HEADER_LEN]) -> Option<u8> {
    let count = |at: usize| u32::from(u16::from_be_bytes([header[at], header[at + 1]]));
    let mut at = HEADER_LEN;
    for _ in 0..count(4) {
        at = name_end(reply, at)? + KIND_LEN;
    }
    let others = count(6) + count(8);
    for number in 0..others + count(10) {
        at = name_end(reply, at)?;
        let record = reply.get(at..at + RECORD_LEN)?;
        if number >= others && record[..2] == OPT {
            return record.get(OPT_RCODE_AT).copied();
        }
        let data = u16::from_be_bytes([record[DATA_LEN_AT], record[DATA_LEN_AT + 1]]);
        at += RECORD_LEN + usize::from(data);
    }
    None
}

// cold: for reports
pub(super) fn code_name(code: u16) -> String {
    if code == TRUNCATED {
        return "TRUNCATED".to_owned();
    }
    let mut all = RCODES.iter().flat_map(|(first, row)| row.split(' ').zip(*first..));
    let known = all.find(|(_, number)| *number == code);
    known.map_or_else(|| code.to_string(), |(name, _)| name.to_owned())
}
