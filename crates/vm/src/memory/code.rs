//! Where a program's cells lie, and the way from one to the next without a look for the end.

use std::marker::PhantomData;
use std::ptr::NonNull;

use super::Access;
use crate::cell::Cell;

/// The most cells that a handler takes at once, or skips.
const AHEAD: usize = 4;

/// The cells of a program, with cells behind them that go nowhere.
pub(crate) struct Code<A: Access> {
    cells: Box<[Cell<A>]>,
    len: usize,
}

impl<A: Access> Code<A> {
    /// Takes cells; `stop` is what stands behind the last, and its handler must end the run.
    ///
    /// Errors: the index of a cell that leads out of the program.
    pub(crate) fn new(mut cells: Vec<Cell<A>>, stop: Cell<A>) -> Result<Code<A>, usize> {
        let len = cells.len();
        let leaves = |(at, cell): (usize, &Cell<A>)| {
            let target = at as i64 + 1 + i64::from(cell.args.to);
            !(0..=len as i64).contains(&target)
        };
        if let Some(at) = cells.iter().enumerate().position(leaves) {
            return Err(at);
        }
        cells.extend([stop; AHEAD]);
        Ok(Code {
            cells: cells.into(),
            len,
        })
    }

    /// How many cells the program has.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The cell at an index; behind the end, one that ends the run.
    #[inline(always)]
    pub(crate) fn at(&self, index: usize) -> At<'_, A> {
        At {
            cell: NonNull::from(&*self.cells)
                .cast::<Cell<A>>()
                .wrapping(index.min(self.len)),
            cells: PhantomData,
        }
    }

    /// The index of a cell of this program.
    #[inline(always)]
    pub(crate) fn index(&self, at: At<'_, A>) -> usize {
        let first = self.cells.as_ptr() as usize;
        (at.cell.as_ptr() as usize).wrapping_sub(first) / size_of::<Cell<A>>()
    }
}

/// An element of a boxed slice that is inside it.
trait Element {
    fn wrapping(self, index: usize) -> Self;
}

impl<T> Element for NonNull<T> {
    #[inline(always)]
    fn wrapping(self, index: usize) -> NonNull<T> {
        // SAFETY: `Code::at` asks for an index of at most `len`, and there are `AHEAD` more.
        unsafe { self.add(index) }
    }
}

/// A cell among the others of its program.
pub(crate) struct At<'c, A: Access> {
    cell: NonNull<Cell<A>>,
    cells: PhantomData<&'c [Cell<A>]>,
}

impl<A: Access> Clone for At<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A: Access> Copy for At<'_, A> {}

impl<'c, A: Access> At<'c, A> {
    /// The cell.
    #[inline(always)]
    pub(crate) fn cell(self) -> &'c Cell<A> {
        // SAFETY: see `next` and `target`: it is a cell of the program, or one behind it.
        unsafe { self.cell.as_ref() }
    }

    /// The cell behind this one. Only the handlers of a program's own cells ask for it, once
    /// for each cell that they run or skip, so for no more than `AHEAD` in a row; the handler
    /// of the cells behind the program ends the run.
    #[inline(always)]
    pub(crate) fn next(self) -> At<'c, A> {
        At {
            // SAFETY: `AHEAD` cells stand behind the last one that asks.
            cell: unsafe { self.cell.add(1) },
            ..self
        }
    }

    /// The cell that this one leads to.
    #[inline(always)]
    pub(crate) fn target(self) -> At<'c, A> {
        let to = self.cell().args.to as isize;
        At {
            // SAFETY: `Code::new` saw that each cell leads to one of the program, or to the
            // first behind it.
            cell: unsafe { self.cell.offset(to).add(1) },
            ..self
        }
    }
}
