//! Helpers on maps: elements, queues, walks, loops, and the locks in values.

use std::sync::Arc;

use skep_abi::{ElemFlags, Errno, MapType};
use skep_catalog::helper_id as id;
use skep_maps::Side;
use skep_vm::Trap;

use super::{Call, Done, Kfuncs, Rows, err, ok, status};
use crate::map::MapObject;

pub(super) const ROWS: Rows = &[
    (id::MAP_LOOKUP_ELEM, lookup),
    (id::MAP_UPDATE_ELEM, update),
    (id::MAP_DELETE_ELEM, delete),
    (id::MAP_LOOKUP_PERCPU_ELEM, lookup_percpu),
    (id::MAP_PUSH_ELEM, push),
    (id::MAP_POP_ELEM, |c| peek(c, true)),
    (id::MAP_PEEK_ELEM, |c| peek(c, false)),
    (id::FOR_EACH_MAP_ELEM, for_each),
    (id::LOOP, bpf_loop),
    (id::SPIN_LOCK, |c| spin(c, true)),
    (id::SPIN_UNLOCK, |c| spin(c, false)),
];

pub(super) const KFUNCS: Kfuncs = &[("bpf_map_sum_elem_count", |c| {
    let map = c.host.map(c.arg(0))?;
    ok(map.map.count().unwrap_or(0).into())
})];

/// Keys up to this length are copied without an allocation.
const SHORT_KEY: usize = 64;
/// The most rounds of `bpf_loop`.
const LOOP_MAX: u32 = 1 << 23;

impl Call<'_, '_, '_> {
    /// The map in the first argument.
    fn map(&self) -> Result<Arc<MapObject>, Trap> {
        self.host.map(self.arg(0)).cloned()
    }

    /// Runs `body` with the key that the second argument points at.
    #[inline]
    fn with_key<T>(&self, map: &MapObject, body: impl FnOnce(&[u8]) -> T) -> Result<T, Trap> {
        let size = map.map.spec().key_size as usize;
        let mut short = [0; SHORT_KEY];
        if let Some(key) = short.get_mut(..size) {
            self.read_into(self.arg(1), key)?;
            return Ok(body(key));
        }
        Ok(body(&self.read(self.arg(1), size as u64)?))
    }
}

fn lookup(c: &mut Call<'_, '_, '_>) -> Done {
    let cpu = c.host.cpu;
    let map = c.host.map(c.arg(0))?;
    if matches!(map.kind(), MapType::ArrayOfMaps | MapType::HashOfMaps) {
        return inner(c);
    }
    let value = c.with_key(map, |key| map.map.lookup(key, cpu))?;
    ok(value.unwrap_or(0))
}

/// The handle of an inner map.
fn inner(c: &mut Call<'_, '_, '_>) -> Done {
    let outer = c.map()?;
    let pass = &c.host.pass;
    let held = c.with_key(&outer, |key| {
        outer.map.held(key, pass).map(|held| held.object.clone())
    })?;
    match held.and_then(|object| object.downcast::<MapObject>().ok()) {
        Some(map) => ok(c.host.learn(&map)),
        None => ok(0),
    }
}

fn lookup_percpu(c: &mut Call<'_, '_, '_>) -> Done {
    let cpu = c.arg32(2);
    if cpu >= c.host.kernel.cpus {
        return ok(0);
    }
    let map = c.map()?;
    let value = c.with_key(&map, |key| map.map.lookup(key, cpu))?;
    ok(value.unwrap_or(0))
}

fn update(c: &mut Call<'_, '_, '_>) -> Done {
    let map = c.map()?;
    let value = c.read(c.arg(2), u64::from(map.map.spec().value_size))?;
    let (flags, side) = (ElemFlags(c.arg(3)), Side::Program { cpu: c.host.cpu });
    status(c.with_key(&map, |key| map.map.update(key, &value, flags, side))?)
}

fn delete(c: &mut Call<'_, '_, '_>) -> Done {
    let map = c.map()?;
    status(c.with_key(&map, |key| map.map.delete(key))?)
}

fn push(c: &mut Call<'_, '_, '_>) -> Done {
    let map = c.map()?;
    let value = c.read(c.arg(1), u64::from(map.map.spec().value_size))?;
    status(map.map.push(&value, ElemFlags(c.arg(2))))
}

fn peek(c: &mut Call<'_, '_, '_>, take: bool) -> Done {
    let map = c.map()?;
    let size = u64::from(map.map.spec().value_size);
    if map.kind() == MapType::BloomFilter {
        let mut value = c.read(c.arg(1), size)?;
        return status(map.map.peek(&mut value, take));
    }
    let mut value = vec![0; size as usize];
    let done = map.map.peek(&mut value, take);
    c.write(c.arg(1), &value)?;
    status(done)
}

fn for_each(c: &mut Call<'_, '_, '_>) -> Done {
    let (handle, function, data) = (c.arg(0), c.arg(1), c.arg(2));
    if c.arg(3) != 0 {
        return err(Errno::EINVAL);
    }
    let map = c.map()?;
    if matches!(map.kind(), MapType::Array | MapType::PercpuArray) {
        return for_each_index(c, &map);
    }
    let cpu = c.host.cpu;
    let mut failed = None;
    let mut step = |key: u64, value: u64| match c.call_back(function, [handle, key, value, data, 0])
    {
        Ok(0) => true,
        Ok(_) => false,
        Err(trap) => {
            failed = Some(trap);
            false
        }
    };
    let calls = map.map.for_each(cpu, &mut step);
    match (failed, calls) {
        (Some(trap), _) => Err(trap),
        (None, Ok(calls)) => ok(u64::from(calls)),
        (None, Err(errno)) => err(errno),
    }
}

/// Arrays store no keys, so the callback is shown a copy of the index.
fn for_each_index(c: &mut Call<'_, '_, '_>, map: &MapObject) -> Done {
    let (handle, function, data) = (c.arg(0), c.arg(1), c.arg(2));
    let shown = c.scratch(4)?;
    c.host.lent = Some((shown.at(0), 4));
    let mut done = Ok(u64::from(map.map.spec().max_entries));
    for index in 0..map.map.spec().max_entries {
        shown.set_u32(0, index);
        let Some(value) = map.map.lookup(&index.to_ne_bytes(), c.host.cpu) else {
            break;
        };
        match c.call_back(function, [handle, shown.at(0), value, data, 0]) {
            Ok(0) => {}
            Ok(_) => {
                done = Ok(u64::from(index) + 1);
                break;
            }
            Err(trap) => {
                done = Err(trap);
                break;
            }
        }
    }
    c.host.lent = None;
    done
}

fn bpf_loop(c: &mut Call<'_, '_, '_>) -> Done {
    let (rounds, function, data) = (c.arg32(0), c.arg(1), c.arg(2));
    if c.arg(3) != 0 {
        return err(Errno::EINVAL);
    }
    if rounds > LOOP_MAX {
        return err(Errno::E2BIG);
    }
    for round in 0..rounds {
        if c.call_back(function, [u64::from(round), data, 0, 0, 0])? != 0 {
            return ok(u64::from(round) + 1);
        }
    }
    ok(u64::from(rounds))
}

/// Takes or gives back the lock in a value of one of the run's maps.
fn spin(c: &mut Call<'_, '_, '_>, take: bool) -> Done {
    let addr = c.arg(0);
    if c.host.any_map(|map| map.map.spin(addr, take)) || c.host.kernel.heap.spin(addr, take) {
        return ok(0);
    }
    Err(Trap::Host(format!("no lock at {addr:#x}")))
}
