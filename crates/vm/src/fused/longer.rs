//! What handlers do that run more than a few neighbours: idioms of compiled programs.

use super::done;
use crate::cell::{Exit, Regs, Run, jump, next};
use crate::memory::{Access, At};
use crate::simple::{Simple, Test};

/// A 64-bit constant, which takes two cells, and a simple instruction on another register and
/// that.
pub(crate) fn then<A: Access, Y: Simple>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next().next();
    let (o, p) = (&at.cell().args, &second.cell().args);
    r[o.d()] = o.imm;
    match Y::result(p, r[p.d()], o.imm, m) {
        Ok(result) => r[p.d()] = result,
        Err(denied) => return m.deny(second, fuel, denied),
    }
    next(second, r, m, fuel)
}

/// Three instructions by themselves.
pub(crate) fn three<A: Access, X: Simple, Y: Simple, Z: Simple>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let third = second.next();
    let done = X::apply(&at.cell().args, r, m)
        .and_then(|()| Y::apply(&second.cell().args, r, m))
        .and_then(|()| Z::apply(&third.cell().args, r, m));
    match done {
        Ok(()) => next(third, r, m, fuel),
        Err(denied) => m.deny(at, fuel, denied),
    }
}

/// The step of a counter, a conditional jump on it, and another that is always taken.
pub(crate) fn step_either<A: Access, X: Simple, T: Test>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let (o, p) = (&at.cell().args, &second.cell().args);
    let own = match X::result(o, r[o.d()], r[o.s()], m) {
        Ok(own) => own,
        Err(denied) => return m.deny(at, fuel, denied),
    };
    r[o.d()] = own;
    if T::holds(p, own, r[p.s()]) {
        jump(second, r, m, fuel)
    } else {
        jump(second.next(), r, m, fuel)
    }
}

/// A load, a product with what it gave, and that added to another register.
pub(crate) fn multiply_add<A: Access, L: Simple, Y: Simple, Z: Simple>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let third = second.next();
    let (o, p, q) = (&at.cell().args, &second.cell().args, &third.cell().args);
    let result = L::result(o, 0, r[o.s()], m)
        .and_then(|own| Y::result(p, own, r[p.s()], m))
        .and_then(|own| Ok((own, Z::result(q, r[q.d()], own, m)?)));
    match result {
        Ok((own, sum)) => (r[o.d()], r[q.d()]) = (own, sum),
        Err(denied) => return m.deny(at, fuel, denied),
    }
    next(third, r, m, fuel)
}

/// An address in two steps, a load from there, and an operation of another register with that.
pub(crate) fn gather<A: Access, X: Simple, Y: Simple, L: Simple, J: Simple>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let third = second.next();
    let last = third.next();
    let (o, p) = (&at.cell().args, &second.cell().args);
    let (q, j) = (&third.cell().args, &last.cell().args);
    let result = X::result(o, 0, r[o.s()], m)
        .and_then(|own| Y::result(p, own, r[p.s()], m))
        .and_then(|address| L::result(q, 0, address, m))
        .and_then(|own| Ok((own, J::result(j, r[j.d()], own, m)?)));
    match result {
        Ok((own, joined)) => (r[o.d()], r[j.d()]) = (own, joined),
        Err(denied) => return m.deny(at, fuel, denied),
    }
    next(last, r, m, fuel)
}

/// The same with a change of what was loaded in between.
pub(crate) fn gather_swapped<A: Access, X: Simple, Y: Simple, L: Simple, S: Simple, J: Simple>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let third = second.next();
    let fourth = third.next();
    let last = fourth.next();
    let (o, p, q) = (&at.cell().args, &second.cell().args, &third.cell().args);
    let (s, j) = (&fourth.cell().args, &last.cell().args);
    let result = X::result(o, 0, r[o.s()], m)
        .and_then(|own| Y::result(p, own, r[p.s()], m))
        .and_then(|address| L::result(q, 0, address, m))
        .and_then(|own| S::result(s, own, 0, m))
        .and_then(|own| Ok((own, J::result(j, r[j.d()], own, m)?)));
    match result {
        Ok((own, joined)) => (r[o.d()], r[j.d()]) = (own, joined),
        Err(denied) => return m.deny(at, fuel, denied),
    }
    next(last, r, m, fuel)
}

/// The end of a loop's round: a copy and a sum in one register, a copy into another one, and a
/// conditional jump on the first.
pub(crate) fn round<A: Access, X: Simple, Y: Simple, Z: Simple, T: Test>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let third = second.next();
    let last = third.next();
    let (o, p, t) = (&at.cell().args, &second.cell().args, &last.cell().args);
    let own = X::result(o, 0, r[o.s()], m).and_then(|own| Y::result(p, own, 0, m));
    let own = match own {
        Ok(own) => own,
        Err(denied) => return m.deny(at, fuel, denied),
    };
    r[o.d()] = own;
    if let Err(denied) = Z::apply(&third.cell().args, r, m) {
        return m.deny(third, fuel, denied);
    }
    if T::holds(t, own, 0) {
        jump(last, r, m, fuel)
    } else {
        next(last, r, m, fuel)
    }
}

/// The same behind the step of a counter.
pub(crate) fn step_round<A: Access, W: Simple, X: Simple, Y: Simple, Z: Simple, T: Test>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    if let Err(denied) = W::apply(&at.cell().args, r, m) {
        return m.deny(at, fuel, denied);
    }
    round::<A, X, Y, Z, T>(at.next(), r, m, fuel)
}

/// An element's number times its size, added to an address that is copied, and an access there.
pub(crate) fn element<A: Access, X: Simple, Y: Simple, B: Simple, Z: Simple, M: Simple>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let third = second.next();
    let fourth = third.next();
    let (o, p) = (&at.cell().args, &second.cell().args);
    let (b, q) = (&third.cell().args, &fourth.cell().args);
    let index = X::result(o, 0, r[o.s()], m).and_then(|own| Y::result(p, own, 0, m));
    let index = match index {
        Ok(index) => index,
        Err(denied) => return m.deny(at, fuel, denied),
    };
    r[o.d()] = index;
    let address = B::result(b, 0, r[b.s()], m).and_then(|own| Z::result(q, own, index, m));
    match address {
        Ok(address) => done::<A, M>(fourth.next(), r, m, fuel, address),
        Err(denied) => m.deny(third, fuel, denied),
    }
}

/// The same with a constant added to the address before.
pub(crate) fn far_element<
    A: Access,
    X: Simple,
    Y: Simple,
    B: Simple,
    C: Simple,
    Z: Simple,
    M: Simple,
>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let third = second.next();
    let fourth = third.next();
    let fifth = fourth.next();
    let (o, p) = (&at.cell().args, &second.cell().args);
    let (b, c, q) = (&third.cell().args, &fourth.cell().args, &fifth.cell().args);
    let index = X::result(o, 0, r[o.s()], m).and_then(|own| Y::result(p, own, 0, m));
    let index = match index {
        Ok(index) => index,
        Err(denied) => return m.deny(at, fuel, denied),
    };
    r[o.d()] = index;
    let address = B::result(b, 0, r[b.s()], m)
        .and_then(|own| C::result(c, own, 0, m))
        .and_then(|own| Z::result(q, own, index, m));
    match address {
        Ok(address) => done::<A, M>(fifth.next(), r, m, fuel, address),
        Err(denied) => m.deny(third, fuel, denied),
    }
}

/// One step of a shift register with feedback: a copy shifted, and a polynomial where the lowest
/// bit was set.
pub(crate) fn feedback<A: Access, X: Simple, Y: Simple, K: Simple, N: Simple, J: Simple>(
    at: At<'_, A>,
    r: &mut Regs,
    m: &mut Run<'_, A>,
    fuel: i64,
) -> Exit {
    let second = at.next();
    let third = second.next();
    let fourth = third.next();
    let fifth = fourth.next();
    let last = fifth.next();
    let (o, p, q) = (&at.cell().args, &second.cell().args, &third.cell().args);
    let (n, k, j) = (&fourth.cell().args, &fifth.cell().args, &last.cell().args);
    let from = r[o.s()];
    let result = X::result(o, 0, from, m)
        .and_then(|copy| Y::result(p, copy, 0, m))
        .and_then(|copy| {
            let own = K::result(q, from, 0, m)?;
            let own = N::result(n, own, 0, m)?;
            let own = K::result(k, own, 0, m)?;
            Ok((copy, J::result(j, own, copy, m)?))
        });
    match result {
        Ok((copy, own)) => (r[o.d()], r[o.s()]) = (copy, own),
        Err(denied) => return m.deny(at, fuel, denied),
    }
    next(last, r, m, fuel)
}
