//! Helper calls that go straight to a function of the host.

use skep_verifier::MapId;

use crate::Facts;
use crate::ir::{Func, Op};

/// Replaces the calls that the host has functions for.
pub(crate) fn direct(func: &mut Func, maps: &[MapId], facts: &dyn Facts) {
    for at in 0..func.ops.len() {
        let Op::Helper { id, args, count } = func.ops[at] else {
            continue;
        };
        let [first, rest @ ..] = args;
        let (map, args, count) = match func.op(first) {
            Op::Map { index, .. } if count > 0 => {
                let Some(map) = maps.get(index as usize) else {
                    continue;
                };
                (Some(*map), rest, count - 1)
            }
            _ => {
                let [a, b, c, d, _] = args;
                (None, [a, b, c, d], count)
            }
        };
        if usize::from(count) <= args.len()
            && let Some(direct) = facts.direct(id, map)
        {
            func.ops[at] = Op::Direct {
                function: direct.function,
                object: direct.object,
                args,
                count,
            };
        }
    }
}
