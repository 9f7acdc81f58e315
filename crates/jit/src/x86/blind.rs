//! Constants of the program are hidden in hardened code, so that nobody can write bytes of
//! his choice into executable memory by loading a program.

use std::hash::{BuildHasher, Hasher, RandomState};

use super::mir::{Arg, M, MFunc, Src, V};

/// Keys that constants are combined with.
pub(crate) struct Keys(u64);

impl Keys {
    /// Keys that nobody can foretell, where constants are hidden at all.
    pub(crate) fn new(hides: bool) -> Keys {
        Keys(match hides {
            true => RandomState::new().build_hasher().finish() | 1,
            false => 1,
        })
    }

    /// The next key; its low half differs from zero.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1
    }
}

/// Whether a constant is too short to be worth hiding.
fn harmless(value: i64) -> bool {
    i8::try_from(value).is_ok()
}

/// Puts all other constants into registers by way of [`M::Hidden`].
pub(crate) fn blind(func: &mut MFunc) {
    let mut next = func.regs;
    for block in &mut func.blocks {
        let mut out: Vec<M> = Vec::with_capacity(block.insts.len());
        for mut m in block.insts.drain(..) {
            let mut hide = |value: u64| -> V {
                let dst = next;
                next += 1;
                out.push(M::Hidden { dst, value });
                dst
            };
            match &mut m {
                M::Imm { dst, value } if !harmless(*value as i64) => {
                    m = M::Hidden {
                        dst: *dst,
                        value: *value,
                    };
                }
                M::Alu { b: src, .. }
                | M::Mul { b: src, .. }
                | M::Store { src, .. }
                | M::Update { src, .. }
                | M::Cmp { b: src, .. } => {
                    if let Src::Imm(imm) = *src
                        && !harmless(imm.into())
                    {
                        *src = Src::V(hide(i64::from(imm) as u64));
                    }
                }
                M::Call { call, .. } => {
                    let args = func.calls.get_mut(*call as usize).into_iter();
                    for arg in args.flat_map(|call| &mut call.args) {
                        hide_arg(arg, &mut hide);
                    }
                }
                M::Ret { v } => hide_arg(v, &mut hide),
                _ => {}
            }
            out.push(m);
        }
        block.insts = out;
    }
    func.regs = next;
}

fn hide_arg(arg: &mut Arg, hide: &mut dyn FnMut(u64) -> V) {
    if let Arg::Imm(value) = *arg
        && !harmless(value as i64)
    {
        *arg = Arg::V(hide(value));
    }
}
