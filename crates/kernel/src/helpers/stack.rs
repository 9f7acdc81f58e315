//! Helpers that take the stack which led to the program. What lies on it, the world says.

use skep_abi::{Errno, MapFlags, MapType};
use skep_catalog::helper_id as id;
use skep_maps::Collision;
use skep_vm::world::StackOf;

use super::{Call, Done, Rows, err, ok};
use crate::map::references::Owner;

pub(super) const ROWS: Rows = &[
    (id::GET_STACKID, stack_id),
    (id::GET_STACK, |c| {
        let flags = c.arg(3);
        get(c, flags, Ok(()))
    }),
    (id::GET_TASK_STACK, task_stack),
];

/// How many frames are passed over.
const SKIP: u64 = 0xff;
/// `BPF_F_USER_STACK`.
const USER: u64 = 1 << 8;
/// `BPF_F_FAST_STACK_CMP`.
const BY_HASH: u64 = 1 << 9;
/// `BPF_F_REUSE_STACKID`.
const REUSE: u64 = 1 << 10;
/// `BPF_F_USER_BUILD_ID`.
const BUILD_ID: u64 = 1 << 11;

/// Bytes of an address, and of `struct bpf_stack_build_id`.
const ADDRESS: usize = 8;
const WITH_BUILD_ID: usize = 32;
/// `BPF_STACK_BUILD_ID_IP`: there is no file, only an address.
const ONLY_ADDRESS: u32 = 2;
/// A stack is looked at so deep (`kernel.perf_event_max_stack`).
const DEPTH_MAX: usize = 127;

/// The frames that flags choose, `most` at most, in the form that the caller wants; `None` when
/// there are fewer than are to be passed over.
fn trace(c: &Call<'_, '_, '_>, flags: u64, most: usize, build_ids: bool) -> Option<Vec<u8>> {
    let of = match flags & USER {
        0 => StackOf::Kernel,
        _ => StackOf::User,
    };
    let skip = (flags & SKIP) as usize;
    let mut frames = c.host.kernel.world.stack(of);
    frames.truncate((most + skip).min(DEPTH_MAX));
    let mut bytes = Vec::new();
    for address in frames.get(skip..)? {
        if build_ids {
            bytes.extend(ONLY_ADDRESS.to_ne_bytes());
            bytes.extend([0; 20]);
        }
        bytes.extend(address.to_ne_bytes());
    }
    Some(bytes)
}

fn stack_id(c: &mut Call<'_, '_, '_>) -> Done {
    let flags = c.arg(2);
    if flags & !(SKIP | USER | BY_HASH | REUSE) != 0 {
        return err(Errno::EINVAL);
    }
    let map = c.host.map(c.arg(1))?.clone();
    let build_ids = map.flags.contains(MapFlags::STACK_BUILD_ID);
    let frame = if build_ids { WITH_BUILD_ID } else { ADDRESS };
    let most = map.map.spec().value_size as usize / frame;
    let Some(trace) = trace(c, flags, most, build_ids).filter(|trace| !trace.is_empty()) else {
        return err(Errno::EFAULT);
    };
    let collision = Collision {
        by_hash: flags & BY_HASH != 0,
        replace: flags & REUSE != 0,
    };
    match map.map.stack(&trace, collision) {
        Ok(number) => ok(number.into()),
        Err(errno) => err(errno),
    }
}

/// Fills the buffer of the second and third argument; how many bytes the frames take. What
/// they do not take is zeros, and all of it when there is an error.
fn get(c: &mut Call<'_, '_, '_>, flags: u64, there: Result<(), Errno>) -> Done {
    let (at, size) = (c.arg(1), u64::from(c.arg32(2)));
    let build_ids = flags & BUILD_ID != 0;
    let frame = if build_ids { WITH_BUILD_ID } else { ADDRESS };
    let known = flags & !(SKIP | USER | BUILD_ID) == 0;
    let fits = size.is_multiple_of(frame as u64);
    let trace = if !known || !fits || build_ids && flags & USER == 0 {
        Err(Errno::EINVAL)
    } else {
        there.and_then(|()| trace(c, flags, size as usize / frame, build_ids).ok_or(Errno::EFAULT))
    };
    c.zero(at, size)?;
    match trace {
        Ok(trace) => {
            c.write(at, &trace)?;
            ok(trace.len() as u64)
        }
        Err(errno) => err(errno),
    }
}

/// The same for a task. Of other tasks than the current one, no stack is known.
fn task_stack(c: &mut Call<'_, '_, '_>) -> Done {
    let (task, flags) = (c.arg(0), c.arg(3));
    let own = matches!(
        c.host.owner_at(MapType::TaskStorage, task),
        Some(Owner::KernelsOwn)
    );
    let there = if own || task == c.host.kernel.objects.current_task() {
        Ok(())
    } else if flags & USER != 0 {
        Err(Errno::EOPNOTSUPP)
    } else {
        Err(Errno::EFAULT)
    };
    get(c, flags, there)
}
