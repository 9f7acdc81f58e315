//! Red-black trees of a program's objects, ordered by a function of the program.
//!
//! ```text
//! bpf_rb_root: 0 the topmost node | 8 the first node
//! bpf_rb_node: 0 parent, with its colour in the lowest bit | 8 right | 16 left
//!              24 the root that it is linked into
//! ```

use skep_abi::Errno;
use skep_vm::Trap;

use super::{Call, Done, Kfuncs, int, ok};

pub(super) const KFUNCS: Kfuncs = &[
    ("bpf_rbtree_add_impl", add),
    ("bpf_rbtree_remove", remove),
    ("bpf_rbtree_first", |c| {
        ok(c.read_u64(c.arg(0).wrapping_add(FIRST))?)
    }),
    ("bpf_rbtree_root", |c| ok(c.read_u64(c.arg(0))?)),
    ("bpf_rbtree_left", |c| child(c, LEFT)),
    ("bpf_rbtree_right", |c| child(c, RIGHT)),
];

const FIRST: u64 = 8;
const RIGHT: u64 = 8;
const LEFT: u64 = 16;
const OWNER: u64 = 24;
const BLACK: u64 = 1;

/// A walk may not be longer than any tree is high.
const HEIGHT_MAX: u32 = 128;

/// The child of a node that belongs to the tree of the first argument.
fn child(c: &mut Call<'_, '_, '_>, side: u64) -> Done {
    let (root, node) = (c.arg(0), c.arg(1));
    if c.read_u64(node.wrapping_add(OWNER))? != root {
        return ok(0);
    }
    ok(c.read_u64(node.wrapping_add(side))?)
}

/// Links an object where the program's function says. One that is linked already is given up.
fn add(c: &mut Call<'_, '_, '_>) -> Done {
    let (root, node, less) = (c.arg(0), c.arg(1), c.arg(2));
    if c.read_u64(node.wrapping_add(OWNER))? != 0 {
        c.host.kernel.heap.release(node);
        return int(-Errno::EINVAL.0);
    }
    let (mut parent, mut side, mut leftmost) = (0, LEFT, true);
    let mut next = c.read_u64(root)?;
    let mut height = 0;
    while next != 0 {
        height += 1;
        if height > HEIGHT_MAX {
            return Err(Trap::Host("a tree that is no tree".into()));
        }
        parent = next;
        side = match c.call_back(less, [node, parent, 0, 0, 0])? {
            0 => {
                leftmost = false;
                RIGHT
            }
            _ => LEFT,
        };
        next = c.read_u64(parent.wrapping_add(side))?;
    }
    let tree = Tree { c, root };
    for (at, value) in [(0, parent), (RIGHT, 0), (LEFT, 0), (OWNER, root)] {
        tree.set(node, at, value)?;
    }
    match parent {
        0 => tree.c.write_u64(root, node)?,
        _ => tree.set(parent, side, node)?,
    }
    if leftmost {
        tree.c.write_u64(root.wrapping_add(FIRST), node)?;
    }
    tree.balance_after_add(node)?;
    int(0)
}

/// Takes a node out of the tree it belongs to.
fn remove(c: &mut Call<'_, '_, '_>) -> Done {
    let (root, node) = (c.arg(0), c.arg(1));
    if c.read_u64(node.wrapping_add(OWNER))? != root {
        return ok(0);
    }
    let tree = Tree { c, root };
    if tree.c.read_u64(root.wrapping_add(FIRST))? == node {
        let next = tree.next_of_first(node)?;
        tree.c.write_u64(root.wrapping_add(FIRST), next)?;
    }
    tree.take_out(node)?;
    for at in [RIGHT, LEFT, OWNER] {
        tree.set(node, at, 0)?;
    }
    // A node in no tree is its own parent.
    tree.set(node, 0, node)?;
    ok(node)
}

/// One tree, whose nodes lie in the program's memory. Missing nodes are 0, and black.
struct Tree<'t, 'a, 'k, 'm> {
    c: &'t Call<'a, 'k, 'm>,
    root: u64,
}

type Step = Result<(), Trap>;

impl Tree<'_, '_, '_, '_> {
    fn get(&self, node: u64, at: u64) -> Result<u64, Trap> {
        self.c.read_u64(node.wrapping_add(at))
    }

    fn set(&self, node: u64, at: u64, value: u64) -> Step {
        self.c.write_u64(node.wrapping_add(at), value)
    }

    fn parent(&self, node: u64) -> Result<u64, Trap> {
        Ok(self.get(node, 0)? & !BLACK)
    }

    fn set_parent(&self, node: u64, parent: u64) -> Step {
        let colour = self.get(node, 0)? & BLACK;
        self.set(node, 0, parent | colour)
    }

    fn is_red(&self, node: u64) -> Result<bool, Trap> {
        Ok(node != 0 && self.get(node, 0)? & BLACK == 0)
    }

    fn paint(&self, node: u64, colour: u64) -> Step {
        if node == 0 {
            return Ok(());
        }
        let parent = self.parent(node)?;
        self.set(node, 0, parent | colour)
    }

    /// Puts `new` where `old` hangs.
    fn hang(&self, old: u64, new: u64) -> Step {
        let parent = self.parent(old)?;
        if parent == 0 {
            self.c.write_u64(self.root, new)?;
        } else if self.get(parent, LEFT)? == old {
            self.set(parent, LEFT, new)?;
        } else {
            self.set(parent, RIGHT, new)?;
        }
        if new != 0 {
            self.set_parent(new, parent)?;
        }
        Ok(())
    }

    /// Turns a node down to `side`: its other child takes its place.
    fn rotate(&self, node: u64, side: u64) -> Step {
        let up = self.get(node, other(side))?;
        let between = self.get(up, side)?;
        self.set(node, other(side), between)?;
        if between != 0 {
            self.set_parent(between, node)?;
        }
        self.hang(node, up)?;
        self.set(up, side, node)?;
        self.set_parent(node, up)
    }

    fn balance_after_add(&self, mut node: u64) -> Step {
        loop {
            let parent = self.parent(node)?;
            if !self.is_red(parent)? {
                break;
            }
            let grand = self.parent(parent)?;
            let side = match self.get(grand, LEFT)? == parent {
                true => LEFT,
                false => RIGHT,
            };
            let uncle = self.get(grand, other(side))?;
            if self.is_red(uncle)? {
                self.paint(parent, BLACK)?;
                self.paint(uncle, BLACK)?;
                self.paint(grand, 0)?;
                node = grand;
                continue;
            }
            let mut upper = parent;
            if self.get(parent, other(side))? == node {
                self.rotate(parent, side)?;
                upper = node;
            }
            self.paint(upper, BLACK)?;
            self.paint(grand, 0)?;
            self.rotate(grand, other(side))?;
            break;
        }
        let top = self.c.read_u64(self.root)?;
        self.paint(top, BLACK)
    }

    /// What comes after the first node of the tree.
    fn next_of_first(&self, node: u64) -> Result<u64, Trap> {
        let mut next = self.get(node, RIGHT)?;
        if next == 0 {
            return self.parent(node);
        }
        loop {
            match self.get(next, LEFT)? {
                0 => return Ok(next),
                left => next = left,
            }
        }
    }

    fn take_out(&self, node: u64) -> Step {
        let (left, right) = (self.get(node, LEFT)?, self.get(node, RIGHT)?);
        let mut gone_red = self.is_red(node)?;
        let (hole, hole_parent);
        if left == 0 || right == 0 {
            hole = if left == 0 { right } else { left };
            hole_parent = self.parent(node)?;
            self.hang(node, hole)?;
        } else {
            let mut heir = right;
            loop {
                match self.get(heir, LEFT)? {
                    0 => break,
                    next => heir = next,
                }
            }
            gone_red = self.is_red(heir)?;
            hole = self.get(heir, RIGHT)?;
            if heir == right {
                hole_parent = heir;
            } else {
                hole_parent = self.parent(heir)?;
                self.hang(heir, hole)?;
                self.set(heir, RIGHT, right)?;
                self.set_parent(right, heir)?;
            }
            self.hang(node, heir)?;
            self.set(heir, LEFT, left)?;
            self.set_parent(left, heir)?;
            let colour = self.get(node, 0)? & BLACK;
            self.paint(heir, colour)?;
        }
        match gone_red {
            true => Ok(()),
            false => self.balance_after_removal(hole, hole_parent),
        }
    }

    fn balance_after_removal(&self, mut node: u64, mut parent: u64) -> Step {
        while parent != 0 && !self.is_red(node)? {
            let side = match self.get(parent, LEFT)? == node {
                true => LEFT,
                false => RIGHT,
            };
            let mut brother = self.get(parent, other(side))?;
            if self.is_red(brother)? {
                self.paint(brother, BLACK)?;
                self.paint(parent, 0)?;
                self.rotate(parent, side)?;
                brother = self.get(parent, other(side))?;
            }
            let (near, far) = (self.get(brother, side)?, self.get(brother, other(side))?);
            if !self.is_red(near)? && !self.is_red(far)? {
                self.paint(brother, 0)?;
                node = parent;
                parent = self.parent(node)?;
                continue;
            }
            if !self.is_red(far)? {
                self.paint(near, BLACK)?;
                self.paint(brother, 0)?;
                self.rotate(brother, other(side))?;
                brother = self.get(parent, other(side))?;
            }
            let colour = self.get(parent, 0)? & BLACK;
            self.paint(brother, colour)?;
            self.paint(parent, BLACK)?;
            let far = self.get(brother, other(side))?;
            self.paint(far, BLACK)?;
            return self.rotate(parent, side);
        }
        self.paint(node, BLACK)
    }
}

fn other(side: u64) -> u64 {
    match side {
        LEFT => RIGHT,
        _ => LEFT,
    }
}
