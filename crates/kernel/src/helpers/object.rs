//! Objects of the program's own types: making, counting, giving up, and exchanging pointers
//! to them with places in maps and other objects.

use skep_catalog::helper_id as id;
use skep_vm::Trap;

use super::{Call, Done, Kfuncs, Rows, ok, void};
use crate::heap::{CPU_STRIDE, Kind, shape};

pub(super) const ROWS: Rows = &[
    (id::KPTR_XCHG, exchange),
    (id::THIS_CPU_PTR, |c| {
        let cpu = c.host.cpu;
        copy_of(c, cpu)
    }),
    (id::PER_CPU_PTR, |c| match c.arg32(1) {
        cpu if cpu < c.host.kernel.cpus => copy_of(c, cpu),
        _ => ok(0),
    }),
];

pub(super) const KFUNCS: Kfuncs = &[
    ("bpf_obj_new_impl", new),
    ("bpf_percpu_obj_new_impl", new_percpu),
    ("bpf_obj_drop_impl", drop_object),
    ("bpf_percpu_obj_drop_impl", drop_object),
    ("bpf_refcount_acquire_impl", |c| {
        let at = c.arg(0);
        ok(if c.host.kernel.heap.acquire(at) {
            at
        } else {
            0
        })
    }),
    // What the program knows of memory changes, not the memory.
    ("bpf_rdonly_cast", |c| ok(c.arg(0))),
];

/// The structure that the program names by its BTF id.
fn named(c: &Call<'_, '_, '_>) -> Result<(u64, std::sync::Arc<[skep_maps::Field]>), Trap> {
    let program = c.host.running(c.machine.program());
    let btf = program.as_ref().and_then(|program| program.btf.as_ref());
    let ty = u32::try_from(c.arg(0)).ok();
    let found = btf.zip(ty).and_then(|(btf, ty)| shape(&btf.btf, ty));
    found.ok_or_else(|| Trap::Host(format!("no type {} to make an object of", c.arg(0))))
}

fn new(c: &mut Call<'_, '_, '_>) -> Done {
    let (size, fields) = named(c)?;
    let made = c.host.kernel.heap.make(size, Kind::Own(fields));
    ok(made.map_or(0, |object| object.address()))
}

fn new_percpu(c: &mut Call<'_, '_, '_>) -> Done {
    let (size, _) = named(c)?;
    let kernel = c.host.kernel;
    // The verifier lets no larger ones pass.
    if size > u64::from(CPU_STRIDE) {
        return ok(0);
    }
    let len = u64::from(CPU_STRIDE) * u64::from(kernel.cpus);
    let made = kernel.heap.make(len, Kind::PerCpu);
    ok(made.map_or(0, |object| object.address()))
}

fn drop_object(c: &mut Call<'_, '_, '_>) -> Done {
    c.host.kernel.heap.release(c.arg(0));
    void()
}

/// The address of one CPU's copy of an object or a variable.
fn copy_of(c: &mut Call<'_, '_, '_>, cpu: u32) -> Done {
    let at = c.arg(0);
    if at == 0 {
        return ok(0);
    }
    let object = c.host.kernel.heap.find(at);
    match object.is_some_and(|object| matches!(object.kind, Kind::PerCpu)) {
        true => ok(at.wrapping_add(u64::from(cpu) * u64::from(CPU_STRIDE))),
        false => Err(Trap::Host(format!("nothing of every CPU at {at:#x}"))),
    }
}

/// Puts a pointer into its place and gives what was there.
fn exchange(c: &mut Call<'_, '_, '_>) -> Done {
    let (place, new) = (c.arg(0), c.arg(1));
    let word = c.host.find_map(|map| {
        let word = map.map.word(place)?;
        Some(word.swap(new, std::sync::atomic::Ordering::AcqRel))
    });
    let old = match word {
        Some(old) => old,
        None => {
            let old = c.read_u64(place)?;
            c.write_u64(place, new)?;
            old
        }
    };
    ok(old)
}
