//! Instruction classes, modes and operations of
//! `Documentation/bpf/standardization/instruction-set.rst`.

pub(super) const LOAD: u8 = 0x61; // BPF_LDX | BPF_MEM
pub(super) const LOAD_WIDE: u8 = 0x18; // BPF_LD | BPF_DW | BPF_IMM
pub(super) const STORE: u8 = 0x63; // BPF_STX | BPF_MEM
pub(super) const ARITHMETIC: u8 = 0x07; // BPF_ALU64
pub(super) const FROM_NETWORK: u8 = 0xDC; // BPF_ALU | BPF_END | BPF_TO_BE
pub(super) const JUMP: u8 = 0x05; // BPF_JMP | BPF_JA
pub(super) const CALL: u8 = 0x85; // BPF_JMP | BPF_CALL
pub(super) const EXIT: u8 = 0x95; // BPF_JMP | BPF_EXIT
pub(super) const WITH_REGISTER: u8 = 0x08; // BPF_X
/// `BPF_PSEUDO_MAP_FD`: the constant is the file descriptor of a map.
pub(super) const MAP: u8 = 1;
