//! Helpers that hand events out: ring buffers and perf events.

use skep_abi::Errno;
use skep_catalog::helper_id as id;
use skep_maps::{Record, Sample};
use skep_vm::Trap;

use crate::map::MapObject;

use super::{Call, Done, Rows, err, ok, status};

pub(super) const ROWS: Rows = &[
    (id::RINGBUF_OUTPUT, output),
    (id::RINGBUF_RESERVE, |c| {
        let (size, flags) = (c.arg(1), c.arg(2));
        if flags != 0 {
            return ok(0);
        }
        ok(c.reserve(size)?.map_or(0, |record| record.0))
    }),
    (id::RINGBUF_SUBMIT, |c| c.commit(c.arg(0), false)),
    (id::RINGBUF_DISCARD, |c| c.commit(c.arg(0), true)),
    (id::RINGBUF_QUERY, query),
    (id::USER_RINGBUF_DRAIN, drain),
    (id::PERF_EVENT_OUTPUT, perf_output),
    (id::PERF_EVENT_READ, perf_read),
    (id::PERF_EVENT_READ_VALUE, perf_read_value),
];

/// `BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP`.
const WAKEUP: u64 = 3;
/// `BPF_F_INDEX_MASK`, and the value in it that means this CPU.
const INDEX: u64 = 0xffff_ffff;
/// `BPF_F_CTXLEN_MASK`.
const CTX_LEN: u64 = 0xf_ffff << 32;

impl Call<'_, '_, '_> {
    /// Reserves a record in the map of the first argument.
    pub(super) fn reserve(&mut self, size: u64) -> Result<Option<Record>, Trap> {
        let map = self.host.map(self.arg(0))?.clone();
        let record = map.map.reserve(size);
        // Only a checked run asks what a program may touch.
        if let Some(record) = record.filter(|_| self.host.kernel.checking) {
            self.host.reserved.push((record, size, map));
        }
        Ok(record)
    }

    /// Hands out or drops the record at `addr`.
    pub(super) fn commit(&mut self, addr: u64, discard: bool) -> Done {
        let found = self
            .host
            .reserved
            .iter()
            .position(|(record, ..)| record.0 == addr);
        let Some(at) = found else {
            let given = |map: &MapObject| map.map.commit(Record(addr), discard);
            if self.host.any_map(given) {
                return ok(0);
            }
            return Err(Trap::Host(format!("no reserved record at {addr:#x}")));
        };
        let (record, _, map) = self.host.reserved.swap_remove(at);
        map.map.commit(record, discard);
        ok(0)
    }
}

fn output(c: &mut Call<'_, '_, '_>) -> Done {
    if c.arg(3) & !WAKEUP != 0 {
        return err(Errno::EINVAL);
    }
    let map = c.host.map(c.arg(0))?.clone();
    let bytes = c.read(c.arg(1), c.arg(2))?;
    status(map.map.output(&bytes))
}

/// The most samples that one call takes (`BPF_MAX_USER_RINGBUF_SAMPLES`).
const SAMPLES_MAX: u64 = 128 << 10;

/// Shows each sample of a user ring buffer to a callback, until it answers 1.
fn drain(c: &mut Call<'_, '_, '_>) -> Done {
    if c.arg(3) & !WAKEUP != 0 {
        return err(Errno::EINVAL);
    }
    let map = c.host.map(c.arg(0))?.clone();
    match map.map.drain_alone(|| drain_samples(c, &map)) {
        Ok(done) => done,
        Err(errno) => err(errno),
    }
}

fn drain_samples(c: &mut Call<'_, '_, '_>, map: &MapObject) -> Done {
    let (function, data) = (c.arg(1), c.arg(2));
    let shown = c.scratch(16)?;
    c.host.lent = Some((shown.at(0), 16));
    let (mut seen, mut dropped, mut answer) = (0, 0, Ok(0));
    while seen < SAMPLES_MAX && answer == Ok(0) {
        let (addr, len, total) = match map.map.sample() {
            Ok(Sample::Record { addr, len, total }) => (addr, len, total),
            Ok(Sample::Dropped(total)) => {
                map.map.release_sample(total);
                seen += 1;
                dropped += 1;
                continue;
            }
            Err(Errno::ENODATA) => break,
            Err(errno) => {
                c.host.lent = None;
                return err(errno);
            }
        };
        shown.set_u64(0, addr);
        shown.set_u64(8, len.into());
        answer = c.call_back(function, [shown.at(0), data, 0, 0, 0]);
        map.map.release_sample(total);
        seen += 1;
    }
    c.host.lent = None;
    answer?;
    ok(seen - dropped)
}

fn query(c: &mut Call<'_, '_, '_>) -> Done {
    let Some(info) = c.host.map(c.arg(0))?.map.ring() else {
        return ok(0);
    };
    ok(match c.arg(1) {
        0 => info.available,
        1 => info.size,
        2 => info.consumer,
        3 => info.producer,
        _ => 0,
    })
}

/// No perf event is ever in the array: nobody can open one here.
fn perf_output(c: &mut Call<'_, '_, '_>) -> Done {
    let flags = c.arg(2);
    let allowed = if c.host.packet().is_some() {
        INDEX | CTX_LEN
    } else {
        INDEX
    };
    if flags & !allowed != 0 {
        return err(Errno::EINVAL);
    }
    let wanted = (flags & CTX_LEN) >> 32;
    if c.host.packet().is_some_and(|p| wanted > p.len() as u64) {
        return err(Errno::EFAULT);
    }
    err(absent_event(c, 1, flags)?)
}

fn perf_read(c: &mut Call<'_, '_, '_>) -> Done {
    if c.arg(1) & !INDEX != 0 {
        return err(Errno::EINVAL);
    }
    err(absent_event(c, 0, c.arg(1))?)
}

fn perf_read_value(c: &mut Call<'_, '_, '_>) -> Done {
    c.zero(c.arg(2), c.arg(3))?;
    if c.arg(3) != 24 || c.arg(1) & !INDEX != 0 {
        return err(Errno::EINVAL);
    }
    err(absent_event(c, 0, c.arg(1))?)
}

fn absent_event(c: &Call<'_, '_, '_>, map: usize, flags: u64) -> Result<Errno, Trap> {
    let index = match flags & INDEX {
        INDEX => u64::from(c.host.cpu),
        index => index,
    };
    let entries = c.host.map(c.arg(map))?;
    let entries = u64::from(entries.map.spec().max_entries);
    Ok(if index >= entries {
        Errno::E2BIG
    } else {
        Errno::ENOENT
    })
}
