//! Linked lists of a program's objects.
//!
//! ```text
//! bpf_list_head: 0 first | 8 last      (both the head itself when empty, or 0 when never used)
//! bpf_list_node: 0 next | 8 previous | 16 the head that it is linked into
//! ```

use skep_abi::Errno;
use skep_vm::Trap;

use super::{Call, Done, Kfuncs, int, ok};

pub(super) const KFUNCS: Kfuncs = &[
    ("bpf_list_push_front_impl", |c| push(c, true)),
    ("bpf_list_push_back_impl", |c| push(c, false)),
    ("bpf_list_pop_front", |c| end(c, true, true)),
    ("bpf_list_pop_back", |c| end(c, false, true)),
    ("bpf_list_front", |c| end(c, true, false)),
    ("bpf_list_back", |c| end(c, false, false)),
];

const PREVIOUS: u64 = 8;
const OWNER: u64 = 16;

impl Call<'_, '_, '_> {
    pub(super) fn write_u64(&self, addr: u64, value: u64) -> Result<(), Trap> {
        self.write(addr, &value.to_ne_bytes())
    }
}

/// Makes an empty list of a head that was never used.
fn begin(c: &Call<'_, '_, '_>, head: u64) -> Result<(), Trap> {
    if c.read_u64(head)? == 0 {
        c.write_u64(head, head)?;
        c.write_u64(head.wrapping_add(PREVIOUS), head)?;
    }
    Ok(())
}

/// Links an object. One that is linked already is given up.
fn push(c: &mut Call<'_, '_, '_>, front: bool) -> Done {
    let (head, node) = (c.arg(0), c.arg(1));
    begin(c, head)?;
    if c.read_u64(node.wrapping_add(OWNER))? != 0 {
        c.host.kernel.heap.release(node);
        return int(-Errno::EINVAL.0);
    }
    let (before, after) = match front {
        true => (head, c.read_u64(head)?),
        false => (c.read_u64(head.wrapping_add(PREVIOUS))?, head),
    };
    c.write_u64(node, after)?;
    c.write_u64(node.wrapping_add(PREVIOUS), before)?;
    c.write_u64(before, node)?;
    c.write_u64(after.wrapping_add(PREVIOUS), node)?;
    c.write_u64(node.wrapping_add(OWNER), head)?;
    int(0)
}

/// The node at one end of a list, which is taken out with `take`.
fn end(c: &mut Call<'_, '_, '_>, front: bool, take: bool) -> Done {
    let head = c.arg(0);
    begin(c, head)?;
    let node = c.read_u64(match front {
        true => head,
        false => head.wrapping_add(PREVIOUS),
    })?;
    if node == head {
        return ok(0);
    }
    if take {
        let after = c.read_u64(node)?;
        let before = c.read_u64(node.wrapping_add(PREVIOUS))?;
        c.write_u64(before, after)?;
        c.write_u64(after.wrapping_add(PREVIOUS), before)?;
        c.write_u64(node, node)?;
        c.write_u64(node.wrapping_add(PREVIOUS), node)?;
        c.write_u64(node.wrapping_add(OWNER), 0)?;
    }
    ok(node)
}
