//! What the kernel's functions do that programs of the plain machine call.

use super::{CPU, CTX, JIFFIES, MAP, MAPS};
use crate::machine::{FUNCTIONS, Form, Machine, Stop};

/// A call of a helper, or of what a helper became.
pub fn call(machine: &mut Machine<'_>, number: i32) -> Result<(), Stop> {
    let [_, r1, r2, r3, ..] = machine.regs;
    let (form, world) = (machine.form, &mut machine.world);
    let mut keeps = false;
    let result = match number {
        // What looks at the time for `may_goto`: it is told where the count lies, with the time
        // behind it, and keeps every register but one.
        0 if form == Form::Rewritten => {
            keeps = true;
            let at = machine.regs[10].wrapping_add(machine.regs[11]);
            let (count, time) = (world.memory.load(at, 8)?, world.memory.load(at + 8, 8)?);
            if count != 1 || time > 1 {
                return Err(Stop::Fault(format!("count {count}, time {time}")));
            }
            world.memory.store(at + 8, 8, 1)?;
            machine.regs[11] = world.more_rounds();
            machine.regs[0]
        }
        -4..=-1 if form == Form::Rewritten => {
            let bytes = world.packet_bytes(r2 as i32 as i64, -number as usize);
            bytes.unwrap_or(-14i64 as u64)
        }
        1 => world.lookup(form, r1, r2)?,
        5 => world.next(),
        7 => world.next() as u32 as u64,
        8 if form == Form::Given => CPU,
        12 => {
            let entries = r2.checked_sub(MAPS).map(|at| at / MAP);
            let map = entries.and_then(|map| world.case.maps.get(map as usize));
            let index = r3 as u32;
            if map.is_some_and(|map| index < map.max_entries) {
                world.trace.push((12, index.into()));
            }
            -2i64 as u64
        }
        // The packet becomes the program's own.
        39 if form == Form::Rewritten => {
            if (r1, r2) != (CTX, 0) {
                return Err(Stop::Fault("another packet".into()));
            }
            world.trace.push((39, 0));
            world.pulled()
        }
        118 if form == Form::Given => JIFFIES,
        181 if form == Form::Given => rounds(machine, r1, r2, r3)?,
        other => return Err(Stop::Unknown(format!("helper {other}"))),
    };
    machine.regs[0] = result;
    if !keeps && number != 8 {
        machine.regs[1..=5].fill(0xdead_beef);
    }
    Ok(())
}

/// `bpf_loop`.
fn rounds(machine: &mut Machine<'_>, count: u64, callback: u64, ctx: u64) -> Result<u64, Stop> {
    if count as u32 > 8 << 20 {
        // Written out, this is a 32-bit number.
        return Ok(-7i32 as u32 as u64);
    }
    let start = (callback - FUNCTIONS) as usize;
    for round in 0..u64::from(count as u32) {
        (machine.regs[1], machine.regs[2]) = (round, ctx);
        if machine.function(start)? != 0 {
            return Ok(round + 1);
        }
    }
    Ok(count)
}
