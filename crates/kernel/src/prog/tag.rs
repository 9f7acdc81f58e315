//! The tag of a program: which instructions it has, whatever maps it uses.

use skep_abi::TAG_SIZE;
use skep_isa::Insn;

use super::LD_IMM64;
use super::sha256::sha256;

/// The first bytes of a program's digest.
pub(super) fn tag(digest: &[u8; 32]) -> [u8; TAG_SIZE] {
    let mut tag = [0; TAG_SIZE];
    for (to, from) in tag.iter_mut().zip(digest) {
        *to = *from;
    }
    tag
}

/// The SHA-256 of the instructions as given, with the references to maps set to zero.
pub(super) fn digest(insns: &[Insn]) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(insns.len() * 8);
    let mut second = false;
    for insn in insns {
        let mut insn = *insn;
        if std::mem::take(&mut second) {
            insn.imm = 0;
        } else if insn.code == LD_IMM64 && matches!(insn.src, 1 | 2) {
            insn.imm = 0;
            second = true;
        }
        bytes.extend_from_slice(&insn.to_bytes());
    }
    sha256(&bytes)
}
