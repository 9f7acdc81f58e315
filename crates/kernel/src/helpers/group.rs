//! Helpers that tell of cgroups and namespaces: there is one of each, the first.

use std::sync::Arc;

use skep_abi::Errno;
use skep_catalog::helper_id as id;

use super::{Call, Done, Kfuncs, Rows, err, int, ok, void};

pub(super) const ROWS: Rows = &[
    (id::GET_CURRENT_CGROUP_ID, |_| ok(ROOT)),
    (id::SKB_CGROUP_ID, |_| ok(ROOT)),
    (id::SK_CGROUP_ID, |_| ok(ROOT)),
    (id::GET_CURRENT_ANCESTOR_CGROUP_ID, |c| ancestor(c.arg32(0))),
    (id::SKB_ANCESTOR_CGROUP_ID, |c| ancestor(c.arg32(1))),
    (id::SK_ANCESTOR_CGROUP_ID, |c| ancestor(c.arg32(1))),
    (id::SKB_CGROUP_CLASSID, |_| ok(0)),
    (id::SKB_UNDER_CGROUP, |c| under(c, 1)),
    (id::CURRENT_TASK_UNDER_CGROUP, |c| under(c, 0)),
    (id::GET_NETNS_COOKIE, |_| ok(NETWORK)),
    (id::GET_NS_CURRENT_PID_TGID, |c| {
        // No device and inode is that of a namespace of processes.
        c.zero(c.arg(2), u64::from(c.arg32(3)))?;
        err(Errno::EINVAL)
    }),
];

pub(super) const KFUNCS: Kfuncs = &[
    ("bpf_cgroup_from_id", |c| match c.arg(0) {
        ROOT => held(c, "cgroup"),
        _ => ok(0),
    }),
    ("bpf_cgroup_ancestor", |c| match c.arg32(1) {
        0 => held(c, "cgroup"),
        _ => ok(0),
    }),
    ("bpf_cgroup_acquire", acquire),
    ("bpf_cgroup_release", release),
    ("bpf_task_under_cgroup", |c| {
        let root = c.host.kernel.structure("cgroup");
        ok(root.is_some_and(|root| root.address() == c.arg(1)).into())
    }),
    ("bpf_task_acquire", acquire),
    ("bpf_task_release", release),
    ("bpf_task_from_pid", from_pid),
    ("bpf_task_from_vpid", from_pid),
    ("bpf_iter_task_new", task_new),
    ("bpf_iter_task_next", |c| {
        once(c, |c| c.host.kernel.current_task())
    }),
    ("bpf_iter_task_destroy", |_| void()),
    ("bpf_iter_css_new", css_new),
    ("bpf_iter_css_next", |c| {
        let start = c.read_u64(c.arg(0))?;
        once(c, |_| start)
    }),
    ("bpf_iter_css_destroy", |_| void()),
];

/// The number of the topmost cgroup.
const ROOT: u64 = 1;
/// The cookie of the first network namespace.
const NETWORK: u64 = 3;

/// The cgroup at a level above; there is nothing below the topmost one.
fn ancestor(level: u32) -> Done {
    ok(if level == 0 { ROOT } else { 0 })
}

/// Whether the cgroup of a map's element holds everything: only the topmost one does, and
/// groups of the embedding program are others.
fn under(c: &mut Call<'_, '_, '_>, map: usize) -> Done {
    let index = c.arg32(map + 1);
    let map = c.host.map(c.arg(map))?;
    if index >= map.map.spec().max_entries {
        return err(Errno::E2BIG);
    }
    match map.map.held(&index.to_ne_bytes(), &c.host.pass) {
        Some(_) => ok(0),
        None => err(Errno::EAGAIN),
    }
}

/// One more reference to the kernel's object of this type.
fn held(c: &mut Call<'_, '_, '_>, name: &'static str) -> Done {
    let object = c.host.kernel.structure(name);
    let address = object.map(|object: Arc<crate::heap::Object>| object.address());
    let address = address.unwrap_or(0);
    c.host.kernel.heap.acquire(address);
    ok(address)
}

fn acquire(c: &mut Call<'_, '_, '_>) -> Done {
    c.host.kernel.heap.acquire(c.arg(0));
    ok(c.arg(0))
}

fn release(c: &mut Call<'_, '_, '_>) -> Done {
    c.host.kernel.heap.release(c.arg(0));
    void()
}

fn from_pid(c: &mut Call<'_, '_, '_>) -> Done {
    let kernel = c.host.kernel;
    if kernel.world.task().pid != c.arg32(0) {
        return ok(0);
    }
    let task = kernel.current_task();
    kernel.heap.acquire(task);
    ok(task)
}

/// Where an iterator keeps whether its one element was given.
const GIVEN: u64 = 8;

fn task_new(c: &mut Call<'_, '_, '_>) -> Done {
    let (it, task, flags) = (c.arg(0), c.arg(1), c.arg32(2));
    c.write(it, &[0; 24])?;
    match flags {
        0 | 1 => int(0),
        2 if task != 0 => int(0),
        _ => {
            c.write_u64(it.wrapping_add(GIVEN), 1)?;
            int(-Errno::EINVAL.0)
        }
    }
}

fn css_new(c: &mut Call<'_, '_, '_>) -> Done {
    let (it, start, flags) = (c.arg(0), c.arg(1), c.arg32(2));
    c.write(it, &[0; 24])?;
    c.write_u64(it, start)?;
    match flags {
        2..=4 => int(0),
        _ => {
            c.write_u64(it.wrapping_add(GIVEN), 1)?;
            int(-Errno::EINVAL.0)
        }
    }
}

/// Gives the one element that there is, the first time.
fn once(c: &mut Call<'_, '_, '_>, element: impl Fn(&Call<'_, '_, '_>) -> u64) -> Done {
    let given = c.arg(0).wrapping_add(GIVEN);
    if c.read_u64(given)? != 0 {
        return ok(0);
    }
    c.write_u64(given, 1)?;
    ok(element(c))
}
