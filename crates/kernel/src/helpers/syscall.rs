//! Helpers of programs that carry out commands themselves, as light skeletons do.

use std::cell::RefCell;

use skep_abi::{Cmd, Errno, Files, UserMemory};
use skep_btf::Kind;
use skep_catalog::helper_id as id;
use skep_vm::Trap;

use super::{Call, Done, Rows, err, ok, status};

pub(super) const ROWS: Rows = &[
    (id::SYS_BPF, command),
    (id::SYS_CLOSE, |c| {
        // Descriptors below are the caller's standard streams.
        let fd = c.arg32(0);
        status(c.host.kernel.close(fd))
    }),
    (id::BTF_FIND_BY_NAME_KIND, find_type),
    (id::KALLSYMS_LOOKUP_NAME, |c| {
        // No function of this kernel has an address that a program could use.
        c.zero(c.arg(3), 8)?;
        let len = c.arg(1);
        let ended = len > 1 && c.read(c.arg(0).wrapping_add(len - 1), 1)? == [0];
        if c.arg32(2) != 0 || !ended {
            return err(Errno::EINVAL);
        }
        err(Errno::ENOENT)
    }),
    (id::GET_ATTACH_COOKIE, |_| ok(0)),
    (id::GET_BRANCH_SNAPSHOT, |_| err(Errno::ENOENT)),
];

/// The commands that a program may carry out.
const ALLOWED: [Cmd; 9] = [
    Cmd::MapCreate,
    Cmd::MapDeleteElem,
    Cmd::MapUpdateElem,
    Cmd::MapFreeze,
    Cmd::MapGetFdById,
    Cmd::MapLookupElem,
    Cmd::ProgLoad,
    Cmd::BtfLoad,
    Cmd::LinkCreate,
];

/// The memory of the program as a command sees it.
struct Memory<'c, 'a, 'k, 'm> {
    call: &'c Call<'a, 'k, 'm>,
    /// What stopped the run when it was touched.
    trap: RefCell<Option<Trap>>,
}

impl Memory<'_, '_, '_, '_> {
    fn noted(&self, done: Result<(), Trap>) -> Result<(), Errno> {
        done.map_err(|trap| {
            self.trap.borrow_mut().get_or_insert(trap);
            Errno::EFAULT
        })
    }
}

impl UserMemory for Memory<'_, '_, '_, '_> {
    fn read(&self, addr: u64, into: &mut [u8]) -> Result<(), Errno> {
        if !self.call.reaches(addr, into.len() as u64) {
            return Err(Errno::EFAULT);
        }
        self.noted(self.call.read_into(addr, into))
    }

    fn write(&mut self, addr: u64, from: &[u8]) -> Result<(), Errno> {
        if !self.call.reaches(addr, from.len() as u64) {
            return Err(Errno::EFAULT);
        }
        self.noted(self.call.write(addr, from))
    }
}

fn command(c: &mut Call<'_, '_, '_>) -> Done {
    let (number, at, len) = (c.arg32(0), c.arg(1), c.arg32(2));
    let Some(cmd) = Cmd::from_u32(number).filter(|cmd| ALLOWED.contains(cmd)) else {
        return err(Errno::EINVAL);
    };
    let mut attr = c.read(at, len.into())?;
    let kernel = c.host.kernel;
    let mut memory = Memory {
        call: c,
        trap: RefCell::new(None),
    };
    let answer = kernel.command(cmd.into(), &mut attr, &mut memory);
    if let Some(trap) = memory.trap.into_inner() {
        return Err(trap);
    }
    c.write(at, &attr)?;
    match answer {
        Ok(value) => ok(value.into()),
        Err(errno) => err(errno),
    }
}

/// The id of a type of the kernel.
fn find_type(c: &mut Call<'_, '_, '_>) -> Done {
    let (name, len, kind, flags) = (c.arg(0), u64::from(c.arg32(1)), c.arg32(2), c.arg32(3));
    if flags != 0 || len <= 1 || c.read(name.wrapping_add(len - 1), 1)? != [0] {
        return err(Errno::EINVAL);
    }
    let text = c.read_text(name, len)?;
    let found = std::str::from_utf8(&text).ok().and_then(|text| {
        let kind = Kind::from_number(kind)?;
        c.host
            .kernel
            .kernel_btf
            .as_ref()?
            .find_by_name_kind(text, kind)
    });
    match found {
        Some(found) => ok(found.0.into()),
        None => err(Errno::ENOENT),
    }
}
