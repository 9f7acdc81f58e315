//! Neighbouring instructions that one handler runs. Only trusting programs are fused, so that no
//! claim stands between them.

pub(crate) mod longer;

use crate::cell::{Exit, Regs, Run, jump, next};
use crate::memory::{Access, At, Denied};
use crate::simple::{Simple, Test};

/// What the second of two instructions takes from the first without a look at the registers.
pub(crate) mod link {
    /// Nothing.
    pub(crate) const NONE: u8 = 0;
    /// What its destination register holds.
    pub(crate) const OWN: u8 = 1;
    /// What its source register holds.
    pub(crate) const OTHER: u8 = 2;
}

/// Does the first of two instructions, and keeps its result where that is asked for. Gives what
/// the second one finds in its registers.
#[inline(always)]
fn first<A: Access, X: Simple, const LINK: u8>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &Run<'_, A>,
    keep: bool,
) -> Result<(u64, u64), Denied> {
    let (o, p) = (&at.cell().args, &at.next().cell().args);
    let result = X::result(o, r[o.d()], r[o.s()], m)?;
    if X::WRITES && keep {
        r[o.d()] = result;
    }
    Ok(match LINK {
        link::OWN => (result, r[p.s()]),
        link::OTHER => (r[p.d()], result),
        _ => (r[p.d()], r[p.s()]),
    })
}

/// Two simple instructions.
pub(crate) fn two<A: Access, X: Simple, Y: Simple, const LINK: u8>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let p = &second.cell().args;
    // What the second one overwrites is not written before.
    let (own, other) = match first::<A, X, LINK>(at, r, m, !(LINK == link::OWN && Y::WRITES)) {
        Ok(given) => given,
        Err(denied) => return m.deny(at, fuel, denied),
    };
    match Y::result(p, own, other, m) {
        Ok(result) if Y::WRITES => r[p.d()] = result,
        Ok(_) => {}
        Err(denied) => return m.deny(second, fuel, denied),
    }
    next(second, r, m, fuel)
}

/// A simple instruction and a conditional jump.
pub(crate) fn then_branch<A: Access, X: Simple, T: Test, const LINK: u8>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let (own, other) = match first::<A, X, LINK>(at, r, m, true) {
        Ok(given) => given,
        Err(denied) => return m.deny(at, fuel, denied),
    };
    let p = &second.cell().args;
    if T::holds(p, own, other) {
        jump(second, r, m, fuel)
    } else {
        next(second, r, m, fuel)
    }
}

/// A simple instruction and a jump.
pub(crate) fn then_goto<A: Access, X: Simple>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    if let Err(denied) = X::apply(&at.cell().args, r, m) {
        return m.deny(at, fuel, denied);
    }
    jump(at.next(), r, m, fuel)
}

/// A conditional jump and another that is always taken.
pub(crate) fn either<A: Access, T: Test>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let o = &at.cell().args;
    if T::holds(o, r[o.d()], r[o.s()]) {
        jump(at, r, m, fuel)
    } else {
        jump(at.next(), r, m, fuel)
    }
}

/// Three instructions that compute in one register, which the others do not read.
pub(crate) fn in_one<A: Access, X: Simple, Y: Simple, Z: Simple>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let third = second.next();
    let (o, p, q) = (&at.cell().args, &second.cell().args, &third.cell().args);
    let result = X::result(o, r[o.d()], r[o.s()], m)
        .and_then(|own| Y::result(p, own, r[p.s()], m))
        .and_then(|own| Z::result(q, own, r[q.s()], m));
    match result {
        Ok(result) => r[o.d()] = result,
        Err(denied) => return m.deny(at, fuel, denied),
    }
    next(third, r, m, fuel)
}

/// An address that is computed in one register in two steps, and a load from there or a store
/// there of what another register holds.
pub(crate) fn access<A: Access, X: Simple, Y: Simple, M: Simple>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let third = second.next();
    let (o, p) = (&at.cell().args, &second.cell().args);
    let address =
        X::result(o, r[o.d()], r[o.s()], m).and_then(|own| Y::result(p, own, r[p.s()], m));
    match address {
        Ok(address) => done::<A, M>(third, r, m, fuel, address),
        Err(denied) => m.deny(at, fuel, denied),
    }
}

/// The same in three steps.
pub(crate) fn far_access<A: Access, X: Simple, Y: Simple, Z: Simple, M: Simple>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let third = second.next();
    let (o, p, q) = (&at.cell().args, &second.cell().args, &third.cell().args);
    let address = X::result(o, r[o.d()], r[o.s()], m)
        .and_then(|own| Y::result(p, own, r[p.s()], m))
        .and_then(|own| Z::result(q, own, r[q.s()], m));
    match address {
        Ok(address) => done::<A, M>(third.next(), r, m, fuel, address),
        Err(denied) => m.deny(at, fuel, denied),
    }
}

/// Makes the access whose address was computed in the register of its base.
#[inline(always)]
fn done<A: Access, M: Simple>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
    address: u64,
) -> Exit {
    let o = &at.cell().args;
    // A load has its base in the source register, a store in the destination register.
    let base = if M::WRITES { o.s() } else { o.d() };
    r[base] = address;
    let (own, other) = match M::WRITES {
        true => (0, address),
        false => (address, r[o.s()]),
    };
    match M::result(o, own, other, m) {
        Ok(result) if M::WRITES => r[o.d()] = result,
        Ok(_) => {}
        Err(denied) => return m.deny(at, fuel, denied),
    }
    next(at, r, m, fuel)
}

/// A copy, an operation on each of both, and one that joins them in the first.
pub(crate) fn rotate<A: Access, X: Simple, Y: Simple, Z: Simple, J: Simple>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let third = second.next();
    let last = third.next();
    let (o, p, q) = (&at.cell().args, &second.cell().args, &third.cell().args);
    let from = r[o.s()];
    let result = X::result(o, 0, from, m).and_then(|copy| {
        let copy = Y::result(p, copy, 0, m)?;
        let own = Z::result(q, from, 0, m)?;
        Ok((copy, J::result(&last.cell().args, own, copy, m)?))
    });
    match result {
        Ok((copy, own)) => (r[o.d()], r[o.s()]) = (copy, own),
        Err(denied) => return m.deny(at, fuel, denied),
    }
    next(last, r, m, fuel)
}

/// The same on two copies of a register, which stays.
pub(crate) fn rotate_copy<A: Access, X: Simple, Y: Simple, Z: Simple, J: Simple>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let third = second.next();
    let fourth = third.next();
    let last = fourth.next();
    let (o, p) = (&at.cell().args, &second.cell().args);
    let (q, j) = (&fourth.cell().args, &last.cell().args);
    let result = X::result(o, 0, r[o.s()], m).and_then(|from| {
        let copy = Y::result(p, from, 0, m)?;
        let own = Z::result(q, from, 0, m)?;
        Ok((copy, J::result(j, own, copy, m)?))
    });
    match result {
        Ok((copy, own)) => (r[o.d()], r[j.d()]) = (copy, own),
        Err(denied) => return m.deny(at, fuel, denied),
    }
    next(last, r, m, fuel)
}

/// A load, an operation on what it gave, and a store of that.
pub(crate) fn modify<A: Access, L: Simple, Y: Simple, S: Simple>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let third = second.next();
    let (o, p, q) = (&at.cell().args, &second.cell().args, &third.cell().args);
    let changed = L::result(o, 0, r[o.s()], m).and_then(|own| Y::result(p, own, r[p.s()], m));
    let value = match changed {
        Ok(value) => value,
        Err(denied) => return m.deny(at, fuel, denied),
    };
    r[o.d()] = value;
    match S::result(q, r[q.d()], value, m) {
        Ok(_) => next(third, r, m, fuel),
        Err(denied) => m.deny(third, fuel, denied),
    }
}

/// Two simple instructions and a conditional jump.
pub(crate) fn then_then_branch<A: Access, X: Simple, Y: Simple, T: Test>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let third = second.next();
    if let Err(denied) = X::apply(&at.cell().args, r, m) {
        return m.deny(at, fuel, denied);
    }
    if let Err(denied) = Y::apply(&second.cell().args, r, m) {
        return m.deny(second, fuel, denied);
    }
    let q = &third.cell().args;
    if T::holds(q, r[q.d()], r[q.s()]) {
        jump(third, r, m, fuel)
    } else {
        next(third, r, m, fuel)
    }
}
