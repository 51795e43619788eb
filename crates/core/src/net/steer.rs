//! The classic BPF program that steers the datagrams of one port to its sockets.
//!
//! ```text
//!  0            2      4
//!  ┌────────────┬──────┬──────
//!  │ tag        │ flow │ …            big-endian; tag >> 6 is the number of a slot
//!  └────────────┴──────┴──────
//! ```

use crate::sys::{Instruction, PortRule};
use crate::wire::HEADER_LEN;

/// Right shift from a tag to the number of its slot; 0 is no slot.
pub const SLOT_SHIFT: u32 = 6;

/// Maximum number of slots: the remaining bits of a 16-bit tag, without 0.
pub const MAX_SLOTS: u16 = u16::MAX >> SLOT_SHIFT;

/// The tag bit that distributes a slot's datagrams by source instead of by flow.
pub const BY_SOURCE: u16 = 0x20;

/// The bits of a tag that count the phases of a slot.
pub const PHASES: u16 = 0x1F;

/// The phase of probe datagrams, which no measurement uses.
pub const PROBE_PHASE: u16 = PHASES;

/// The phase that follows this one, of a tag or by itself.
pub const fn next_phase(tag: u16) -> u16 {
    (tag & !PHASES) | (((tag & PHASES) + 1) % PROBE_PHASE)
}

/// The tag of control messages, which all go to the first listener.
pub const CONTROL_TAG: u16 = 1;

/// Bytes of a tag and a flow; shorter datagrams belong to no slot.
const STEERED_LEN: u32 = 4;

/// Which datagrams an AF_XDP socket of a slot gets: those of its phases. Probes go to the ordinary
/// socket.
pub const fn rule(slot: u16) -> PortRule {
    let lowest = slot << SLOT_SHIFT;
    let (shortest, mask) = (HEADER_LEN as u16, !BY_SOURCE);
    PortRule::Tagged { shortest, mask, lowest, highest: lowest + PROBE_PHASE - 1 }
}

/// Instruction codes, from the classes, sizes, modes and operations of
/// `include/uapi/linux/bpf_common.h`. Those with X load, store or use the register X instead of A.
mod code {
    pub(super) const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    pub(super) const LOAD_HALF: u16 = 0x28; // BPF_LD | BPF_H | BPF_ABS
    pub(super) const LOAD_BYTE: u16 = 0x30; // BPF_LD | BPF_B | BPF_ABS
    pub(super) const LOAD_HALF_AT_X: u16 = 0x48; // BPF_LD | BPF_H | BPF_IND
    pub(super) const LOAD_LEN: u16 = 0x80; // BPF_LD | BPF_W | BPF_LEN
    pub(super) const X_HEADER_LEN: u16 = 0xb1; // BPF_LDX | BPF_B | BPF_MSH: four times the low half
    pub(super) const RECALL: u16 = 0x60; // BPF_LD | BPF_MEM
    pub(super) const X_RECALL: u16 = 0x61; // BPF_LDX | BPF_MEM
    pub(super) const STORE: u16 = 0x02; // BPF_ST
    pub(super) const X_FROM_A: u16 = 0x07; // BPF_MISC | BPF_TAX
    pub(super) const SET: u16 = 0x00; // BPF_LD | BPF_IMM
    pub(super) const ADD: u16 = 0x04; // BPF_ALU | BPF_ADD | BPF_K
    pub(super) const SUBTRACT: u16 = 0x14; // BPF_ALU | BPF_SUB | BPF_K
    pub(super) const MULTIPLY: u16 = 0x24; // BPF_ALU | BPF_MUL | BPF_K
    pub(super) const MODULO: u16 = 0x94; // BPF_ALU | BPF_MOD | BPF_K
    pub(super) const SHIFT_DOWN: u16 = 0x74; // BPF_ALU | BPF_RSH | BPF_K
    pub(super) const ADD_X: u16 = 0x0c; // BPF_ALU | BPF_ADD | BPF_X
    pub(super) const MODULO_X: u16 = 0x9c; // BPF_ALU | BPF_MOD | BPF_X
    pub(super) const XOR_X: u16 = 0xac; // BPF_ALU | BPF_XOR | BPF_X
    pub(super) const IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    pub(super) const IF_GREATER: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
    pub(super) const IF_AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
    pub(super) const IF_SET: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
    pub(super) const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
    pub(super) const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    pub(super) const RETURN_A: u16 = 0x16; // BPF_RET | BPF_A
}

/// `SKF_NET_OFF` of `include/uapi/linux/filter.h`: offsets from here on count from the IP header.
const IP_HEADER: u32 = (-0x10_0000_i32) as u32;

/// Where an IPv4 header has its source address (RFC 791).
const V4_SOURCE: u32 = IP_HEADER + 12;

/// Where an IPv6 header has the four words of its source address (RFC 8200).
const V6_SOURCE: [u32; 4] = [IP_HEADER + 8, IP_HEADER + 12, IP_HEADER + 16, IP_HEADER + 20];

/// Offsets of the next-header field of IPv6 and of the next header (RFC 8200).
const V6_NEXT: (u32, u32) = (IP_HEADER + 6, IP_HEADER + 40);

/// UDP's protocol number (IANA).
const UDP: u32 = 17;

/// Knuth's multiplier, 2³² divided by the golden ratio and rounded to odd: separates near values.
const SPREAD: u32 = 0x9E37_79B1;

/// Memory cells of the program: first candidate socket, their number, the hash. Arbitrary.
const FIRST: u32 = 0;
const COUNT: u32 = 1;
const HASH: u32 = 2;

const fn step(code: u16, operand: u32) -> Instruction {
    Instruction { code, if_true: 0, if_false: 0, operand }
}

const fn jump(code: u16, operand: u32, if_true: u8, if_false: u8) -> Instruction {
    Instruction { code, if_true, if_false, operand }
}

/// The program for a port with so many listeners, then so many slots of `per_slot` sockets each;
/// there is at least one listener and one socket per slot.
pub(super) fn program(ipv6: bool, listeners: u32, per_slot: u32, slots: u32) -> Vec<Instruction> {
    let mut program = vec![
        step(code::LOAD_LEN, 0),
        jump(code::IF_AT_LEAST, STEERED_LEN, 0, 20),
        step(code::LOAD_HALF, 0),
        jump(code::IF_EQUAL, CONTROL_TAG.into(), 0, 1),
        step(code::RETURN, 0),
        step(code::SHIFT_DOWN, SLOT_SHIFT),
        jump(code::IF_EQUAL, 0, 15, 0),
        jump(code::IF_GREATER, slots, 14, 0),
        // Datagrams of a slot: its first socket plus an index.
        step(code::SUBTRACT, 1),
        step(code::MULTIPLY, per_slot),
        step(code::ADD, listeners),
        step(code::STORE, FIRST),
        step(code::LOAD_HALF, 0),
        jump(code::IF_SET, BY_SOURCE.into(), 5, 0),
        step(code::LOAD_HALF, 2),
        step(code::MODULO, per_slot),
        step(code::X_RECALL, FIRST),
        step(code::ADD_X, 0),
        step(code::RETURN_A, 0),
        step(code::SET, per_slot),
        step(code::STORE, COUNT),
        step(code::JUMP, 4),
        // Unsolicited datagrams go to the listeners.
        step(code::SET, 0),
        step(code::STORE, FIRST),
        step(code::SET, listeners),
        step(code::STORE, COUNT),
    ];
    program.extend(hash(ipv6));
    program.extend([
        // Fold the high bits, which depend on the whole source, into the low ones.
        step(code::RECALL, HASH),
        step(code::X_FROM_A, 0),
        step(code::SHIFT_DOWN, 16),
        step(code::XOR_X, 0),
        step(code::X_RECALL, COUNT),
        step(code::MODULO_X, 0),
        step(code::X_RECALL, FIRST),
        step(code::ADD_X, 0),
        step(code::RETURN_A, 0),
    ]);
    program
}

/// Mixes the loaded value into the hash.
const MIX: [Instruction; 4] = [
    step(code::X_RECALL, HASH),
    step(code::XOR_X, 0),
    step(code::MULTIPLY, SPREAD),
    step(code::STORE, HASH),
];

/// Hashes source address and port; with an IPv6 extension header, the address only.
fn hash(ipv6: bool) -> Vec<Instruction> {
    let mut steps = vec![step(code::SET, 0), step(code::STORE, HASH)];
    if ipv6 {
        for word in V6_SOURCE {
            steps.push(step(code::LOAD, word));
            steps.extend(MIX);
        }
        steps.push(step(code::LOAD_BYTE, V6_NEXT.0));
        steps.push(jump(code::IF_EQUAL, UDP, 0, 1 + MIX.len() as u8));
        steps.push(step(code::LOAD_HALF, V6_NEXT.1));
        steps.extend(MIX);
    } else {
        steps.push(step(code::LOAD, V4_SOURCE));
        steps.extend(MIX);
        steps.push(step(code::X_HEADER_LEN, IP_HEADER));
        steps.push(step(code::LOAD_HALF_AT_X, IP_HEADER));
        steps.extend(MIX);
    }
    steps
}
