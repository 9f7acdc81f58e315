//! Which helper and which function of the kernel does what: one table by number for each, the
//! implementations beside what they serve.

mod arena;
mod clock;
mod cpumask;
mod csum;
mod dynptr;
mod format;
mod group;
mod iter;
mod list;
mod map;
mod object;
mod packet;
mod probe;
mod ring;
mod room;
mod section;
mod skb;
mod stack;
mod storage;
mod stream;
mod string;
mod syscall;
mod text;
mod timer;
mod trace;
mod tree;
mod tunnel;
mod vlan;
mod xdp;

use std::sync::LazyLock;

use skep_abi::Errno;
use skep_catalog::KFUNC_BASE;
use skep_vm::{Machine, Trap};

use crate::memory::Block;
use crate::run::host::RunHost;
pub(crate) use packet::classic_place;

/// What a helper gives: r0, or the end of the run. An errno is a value.
type Done = Result<u64, Trap>;
/// An implementation.
type Helper = fn(&mut Call<'_, '_, '_>) -> Done;
/// Rows of one file: a number of the catalog and what it does.
type Rows = &'static [(u32, Helper)];
/// The same for functions of the kernel, which the catalog knows by name.
type Kfuncs = &'static [(&'static str, Helper)];

/// One call in progress.
struct Call<'a, 'k, 'm> {
    host: &'a mut RunHost<'k>,
    machine: &'a mut Machine<'m>,
    args: [u64; 5],
}

/// Numbers below this are looked up in the table.
const NUMBERS: usize = 256;

const FILES: &[Rows] = &[
    clock::ROWS,
    csum::ROWS,
    dynptr::ROWS,
    group::ROWS,
    map::ROWS,
    object::ROWS,
    packet::ROWS,
    probe::ROWS,
    ring::ROWS,
    room::ROWS,
    skb::ROWS,
    stack::ROWS,
    storage::ROWS,
    syscall::ROWS,
    text::ROWS,
    timer::ROWS,
    trace::ROWS,
    tunnel::ROWS,
    xdp::ROWS,
];

static TABLE: [Option<Helper>; NUMBERS] = {
    let mut table: [Option<Helper>; NUMBERS] = [None; NUMBERS];
    let mut file = 0;
    while file < FILES.len() {
        let mut row = 0;
        while row < FILES[file].len() {
            let (id, helper) = FILES[file][row];
            assert!(
                table[id as usize].is_none(),
                "a helper has one implementation"
            );
            table[id as usize] = Some(helper);
            row += 1;
        }
        file += 1;
    }
    table
};

const KFUNC_FILES: &[Kfuncs] = &[
    arena::KFUNCS,
    cpumask::KFUNCS,
    dynptr::KFUNCS,
    group::KFUNCS,
    iter::KFUNCS,
    list::KFUNCS,
    map::KFUNCS,
    object::KFUNCS,
    probe::KFUNCS,
    section::KFUNCS,
    stream::KFUNCS,
    string::KFUNCS,
    timer::KFUNCS,
    tree::KFUNCS,
    xdp::KFUNCS,
];

/// The functions of the kernel, by their place in the catalog.
static KFUNC_TABLE: LazyLock<Vec<Option<Helper>>> = LazyLock::new(|| {
    let rows = || KFUNC_FILES.iter().flat_map(|file| file.iter());
    let find = |name: &str| rows().find(|(known, _)| *known == name).map(|(_, f)| *f);
    skep_catalog::kfuncs()
        .iter()
        .map(|k| find(k.name))
        .collect()
});

/// The tail call is an instruction of the interpreter, not a call.
const TAIL_CALL: i32 = skep_catalog::helper_id::TAIL_CALL as i32;

/// Whether a helper can be run here.
pub(crate) fn runs(id: i32) -> bool {
    id == TAIL_CALL || find(id).is_some()
}

#[inline]
fn find(id: i32) -> Option<Helper> {
    let id = id as u32;
    match TABLE.get(id as usize) {
        Some(helper) => *helper,
        None => find_kfunc(id),
    }
}

fn find_kfunc(number: u32) -> Option<Helper> {
    let at = number.checked_sub(KFUNC_BASE)?;
    KFUNC_TABLE.get(at as usize).copied().flatten()
}

/// What a trap says of a number that nothing implements.
pub(crate) fn name_of(number: i32) -> String {
    match skep_catalog::kfunc_by_number(number as u32) {
        Some(kfunc) => format!("kernel function {}", kfunc.name),
        None if number as u32 >= KFUNC_BASE => "a function of a module".into(),
        None => format!("helper {number}"),
    }
}

/// The functions of the kernel that run here, by name.
pub fn executable_kfuncs() -> Vec<&'static str> {
    let all = skep_catalog::kfuncs().iter();
    all.filter(|kfunc| runs(kfunc.number() as i32))
        .map(|kfunc| kfunc.name)
        .collect()
}

/// Calls a helper.
#[inline]
pub(crate) fn call(
    host: &mut RunHost<'_>,
    machine: &mut Machine<'_>,
    id: i32,
    args: [u64; 5],
) -> Done {
    match find(id) {
        Some(helper) => helper(&mut Call {
            host,
            machine,
            args,
        }),
        None => Err(Trap::UnknownHelper(id)),
    }
}

/// The numbers of the helpers that programs may call and be verified, but not run here.
pub fn not_executable() -> Vec<u32> {
    let all = skep_catalog::helper_id::ALL.iter().map(|(_, id)| *id);
    all.filter(|id| !runs(*id as i32)).collect()
}

/// The most bytes that one helper call moves; no verified call asks for more.
const MOVE_MAX: u64 = 1 << 26;

fn ok(value: u64) -> Done {
    Ok(value)
}

/// A negative errno as r0.
fn err(errno: Errno) -> Done {
    Ok(-i64::from(errno.0) as u64)
}

/// A number of 32 bits, as a native function of the kernel leaves it in r0.
fn int(value: i32) -> Done {
    Ok(u64::from(value as u32))
}

/// The r0 of a function that gives nothing, which no program reads.
fn void() -> Done {
    Ok(0)
}

/// Nothing, or an errno, as r0.
fn status(result: Result<(), Errno>) -> Done {
    match result {
        Ok(()) => ok(0),
        Err(errno) => err(errno),
    }
}

impl Call<'_, '_, '_> {
    fn arg(&self, index: usize) -> u64 {
        self.args.get(index).copied().unwrap_or(0)
    }

    /// The low half of an argument, as helpers with `u32` parameters see it.
    fn arg32(&self, index: usize) -> u32 {
        self.arg(index) as u32
    }

    /// Copies memory of the program out.
    fn read(&self, addr: u64, len: u64) -> Result<Vec<u8>, Trap> {
        if len > MOVE_MAX {
            return Err(Trap::Memory {
                addr,
                len,
                write: false,
            });
        }
        let mut out = vec![0; len as usize];
        self.machine.read(&*self.host, addr, &mut out)?;
        Ok(out)
    }

    fn read_into(&self, addr: u64, out: &mut [u8]) -> Result<(), Trap> {
        self.machine.read(&*self.host, addr, out)
    }

    fn read_u32(&self, addr: u64) -> Result<u32, Trap> {
        let mut raw = [0; 4];
        self.read_into(addr, &mut raw)?;
        Ok(u32::from_ne_bytes(raw))
    }

    fn read_u64(&self, addr: u64) -> Result<u64, Trap> {
        let mut raw = [0; 8];
        self.read_into(addr, &mut raw)?;
        Ok(u64::from_ne_bytes(raw))
    }

    /// Whether there is memory at an address that may be any number.
    fn reaches(&self, addr: u64, len: u64) -> bool {
        self.machine.reaches(&*self.host, addr, len)
    }

    /// Copies bytes into memory of the program.
    fn write(&self, addr: u64, bytes: &[u8]) -> Result<(), Trap> {
        self.machine.write(&*self.host, addr, bytes)
    }

    /// Writes `len` zeros.
    fn zero(&self, addr: u64, len: u64) -> Result<(), Trap> {
        if len > MOVE_MAX {
            return Err(Trap::Memory {
                addr,
                len,
                write: true,
            });
        }
        self.write(addr, &vec![0; len as usize])
    }

    /// A string of the program, up to its NUL or `max` bytes.
    fn read_text(&self, addr: u64, max: u64) -> Result<Vec<u8>, Trap> {
        let mut out = Vec::new();
        let mut byte = [0];
        while (out.len() as u64) < max.min(MOVE_MAX) {
            self.read_into(addr.wrapping_add(out.len() as u64), &mut byte)?;
            if byte == [0] {
                break;
            }
            out.extend_from_slice(&byte);
        }
        Ok(out)
    }

    /// Calls a function of the program.
    fn call_back(&mut self, function: u64, args: [u64; 5]) -> Result<u64, Trap> {
        self.machine.call(self.host, function, args)
    }

    /// Native memory that lives as long as the call.
    fn scratch(&self, len: usize) -> Result<Block, Trap> {
        Block::new(len).map_err(|e| Trap::Host(format!("scratch memory: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::{TABLE, not_executable, runs};

    /// Every helper of the catalog is implemented or listed as not executable, and nothing
    /// is implemented that the catalog does not know.
    #[test]
    fn catalog_is_implemented_or_listed() {
        let listed = not_executable();
        for (name, id) in skep_catalog::helper_id::ALL {
            assert_ne!(runs(*id as i32), listed.contains(id), "{name} ({id})");
        }
        for id in 0..TABLE.len() as u32 {
            if TABLE[id as usize].is_some() {
                assert!(
                    skep_catalog::helper(id).is_some(),
                    "no helper {id} in the catalog"
                );
            }
        }
        let rows = || super::KFUNC_FILES.iter().flat_map(|file| file.iter());
        for (name, _) in rows() {
            assert!(
                skep_catalog::kfunc(name).is_some(),
                "no {name} in the catalog"
            );
            let times = rows().filter(|(other, _)| other == name).count();
            assert_eq!(times, 1, "{name} has one implementation");
        }
        let (run, all) = (
            TABLE.iter().flatten().count(),
            skep_catalog::helper_id::ALL.len(),
        );
        assert!(
            run > 90 && listed.len() + run + 1 == all,
            "{run} of {all} run"
        );
    }
}
