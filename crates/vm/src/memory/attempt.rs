//! Accesses that the machine is asked to make, and that leave everything as it is where there
//! is no memory.

use std::sync::OnceLock;

use super::Change;
use super::fault::Forgiven;

/// Whether accesses may fault here.
pub(crate) fn can_attempt() -> bool {
    static READY: OnceLock<Option<Forgiven>> = OnceLock::new();
    READY.get_or_init(machine::forgive).is_some()
}

/// Reads `size` bytes at any address; `otherwise` where nothing can be read.
///
/// Cost: a load, where it does not fault; a signal, where it does. On machines where accesses
/// cannot fault so, that is nowhere.
pub(super) fn load(addr: u64, size: u32, otherwise: u64) -> u64 {
    match can_attempt() {
        true => machine::load(addr, size, otherwise),
        false => otherwise,
    }
}

/// Writes the low `size` bytes of a value at any address; nothing where it cannot be written.
pub(super) fn store(addr: u64, size: u32, value: u64) {
    if can_attempt() {
        machine::store(addr, size, value);
    }
}

/// Changes memory in one step and gives the old value, of operations that tell it. Where there
/// is none, that is what the register held that would have got it, as far as four or eight bytes
/// of it go.
pub(super) fn atomic(addr: u64, change: Change) -> u64 {
    match can_attempt() {
        true => machine::atomic(addr, change),
        false => 0,
    }
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod machine {
    use std::arch::naked_asm;

    use skep_isa::AtomicOp;

    use super::super::Change;
    use super::super::fault::{Forgiven, Recovery};

    /// An address, and two more numbers.
    type Attempt = unsafe extern "sysv64" fn(u64, u64, u64) -> u64;

    macro_rules! attempts {
        ($($name:ident: $($line:literal),*;)*) => { $(
            #[unsafe(naked)]
            unsafe extern "sysv64" fn $name(_: u64, _: u64, _: u64) -> u64 {
                naked_asm!($($line),*)
            }
        )* };
    }

    attempts! {
        load_1: "mov rax, rsi", "movzx eax, byte ptr [rdi]", "ret";
        load_2: "mov rax, rsi", "movzx eax, word ptr [rdi]", "ret";
        load_4: "mov rax, rsi", "mov eax, dword ptr [rdi]", "ret";
        load_8: "mov rax, rsi", "mov rax, qword ptr [rdi]", "ret";
        store_1: "mov byte ptr [rdi], sil", "ret";
        store_2: "mov word ptr [rdi], si", "ret";
        store_4: "mov dword ptr [rdi], esi", "ret";
        store_8: "mov qword ptr [rdi], rsi", "ret";
        add_4: "mov eax, esi", "lock xadd dword ptr [rdi], eax", "ret";
        add_8: "mov rax, rsi", "lock xadd qword ptr [rdi], rax", "ret";
        or_4: "lock or dword ptr [rdi], esi", "ret";
        or_8: "lock or qword ptr [rdi], rsi", "ret";
        and_4: "lock and dword ptr [rdi], esi", "ret";
        and_8: "lock and qword ptr [rdi], rsi", "ret";
        xor_4: "lock xor dword ptr [rdi], esi", "ret";
        xor_8: "lock xor qword ptr [rdi], rsi", "ret";
        xchg_4: "mov eax, esi", "xchg dword ptr [rdi], eax", "ret";
        xchg_8: "mov rax, rsi", "xchg qword ptr [rdi], rax", "ret";
        cmpxchg_4: "mov rax, rdx", "lock cmpxchg dword ptr [rdi], esi", "mov eax, eax", "ret";
        cmpxchg_8: "mov rax, rdx", "lock cmpxchg qword ptr [rdi], rsi", "ret";
    }

    /// Each with where the access begins, and how long it is.
    type Row = (Attempt, u32, u32);

    const LOADS: [Row; 4] = [
        (load_1, 3, 3),
        (load_2, 3, 3),
        (load_4, 3, 2),
        (load_8, 3, 3),
    ];
    const STORES: [Row; 4] = [
        (store_1, 0, 3),
        (store_2, 0, 3),
        (store_4, 0, 2),
        (store_8, 0, 3),
    ];
    /// Of four bytes, and of eight.
    const ADD: [Row; 2] = [(add_4, 2, 4), (add_8, 3, 5)];
    const OR: [Row; 2] = [(or_4, 0, 3), (or_8, 0, 4)];
    const AND: [Row; 2] = [(and_4, 0, 3), (and_8, 0, 4)];
    const XOR: [Row; 2] = [(xor_4, 0, 3), (xor_8, 0, 4)];
    const XCHG: [Row; 2] = [(xchg_4, 2, 2), (xchg_8, 3, 3)];
    const CMPXCHG: [Row; 2] = [(cmpxchg_4, 3, 4), (cmpxchg_8, 3, 5)];

    fn all() -> impl Iterator<Item = Row> {
        let pairs = [ADD, OR, AND, XOR, XCHG, CMPXCHG];
        LOADS
            .into_iter()
            .chain(STORES)
            .chain(pairs.into_iter().flatten())
    }

    fn by_size(rows: [Row; 4], size: u32) -> Attempt {
        rows[size.trailing_zeros().min(3) as usize].0
    }

    pub(super) fn load(addr: u64, size: u32, otherwise: u64) -> u64 {
        // SAFETY: the access may fault, see `forgive`; it is what a program was allowed.
        unsafe { by_size(LOADS, size)(addr, otherwise, 0) }
    }

    pub(super) fn store(addr: u64, size: u32, value: u64) {
        // SAFETY: as above.
        unsafe { by_size(STORES, size)(addr, value, 0) };
    }

    pub(super) fn atomic(addr: u64, change: Change) -> u64 {
        let rows = match change.op {
            AtomicOp::Add => ADD,
            AtomicOp::Or => OR,
            AtomicOp::And => AND,
            AtomicOp::Xor => XOR,
            AtomicOp::Xchg => XCHG,
            AtomicOp::Cmpxchg => CMPXCHG,
        };
        let attempt = rows[usize::from(change.wide)].0;
        // SAFETY: as above.
        unsafe { attempt(addr, change.operand, change.expected) }
    }

    pub(super) fn forgive() -> Option<Forgiven> {
        let start = |row: Row| row.0 as *const () as usize;
        let (first, last) = (all().map(start).min()?, all().map(start).max()?);
        let recoveries = all().map(|row| {
            let at = (start(row) - first) as u32 + row.1;
            Recovery {
                at,
                resume: at + row.2,
                register: None,
            }
        });
        // SAFETY: the code is this program's own. Behind the access, which changes nothing when
        // it faults, it returns what rax held before.
        unsafe { Forgiven::new(first as *const u8, last - first + 16, recoveries.collect()) }.ok()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_instructions_are_as_long_as_is_said() {
            const RET: u8 = 0xc3;
            /// `mov eax, eax`, in either of its forms.
            const MOV: [u8; 2] = [0x89, 0x8b];
            for (attempt, at, len) in all() {
                // SAFETY: the byte behind the access is code of the function.
                let behind = unsafe { *(attempt as *const u8).add((at + len) as usize) };
                let narrow = attempt as usize == cmpxchg_4 as *const () as usize;
                assert!(behind == RET || narrow && MOV.contains(&behind));
            }
        }
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod machine {
    use super::super::Change;
    use super::super::fault::Forgiven;

    pub(super) fn forgive() -> Option<Forgiven> {
        None
    }

    pub(super) fn load(_: u64, _: u32, otherwise: u64) -> u64 {
        otherwise
    }

    pub(super) fn store(_: u64, _: u32, _: u64) {}

    pub(super) fn atomic(_: u64, _: Change) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use skep_isa::AtomicOp;

    use super::*;

    /// The first page, the kernel's half, and what is no address at all.
    const NOWHERE: [u64; 5] = [0, 8, u64::MAX, 0xffff_8000_0000_0000, 0x8000_0000_0000_0000];

    #[test]
    fn loads_and_stores() {
        if !can_attempt() {
            return;
        }
        let mut word = 0x1122_3344_5566_7788u64;
        let at = (&raw mut word).expose_provenance() as u64;
        for (size, mask) in [(8, u64::MAX), (4, 0xffff_ffff), (2, 0xffff), (1, 0xff)] {
            assert_eq!(load(at, size, 5), 0x1122_3344_5566_7788 & mask);
            for addr in NOWHERE {
                store(addr, size, 7);
                assert_eq!(load(addr, size, 0), 0, "{size} bytes at {addr:#x}");
                assert_eq!(load(addr, size, 1 << 63), 1 << 63);
            }
        }
        for (size, left) in [
            (1, 0x1122_3344_5566_77ff),
            (2, 0x1122_3344_5566_ffff),
            (4, 0x1122_3344_ffff_ffff),
            (8, u64::MAX),
        ] {
            store(at, size, u64::MAX);
            assert_eq!(load(at, 8, 0), left);
        }
    }

    #[test]
    fn operations() {
        use AtomicOp::{Add, And, Cmpxchg, Or, Xchg, Xor};
        const HIGH: u64 = 0xaaaa_aaaa_0000_0000;
        if !can_attempt() {
            return;
        }
        for (op, becomes) in [
            (Add, 12 + 10),
            (Or, 14),
            (And, 8),
            (Xor, 6),
            (Xchg, 10),
            (Cmpxchg, 10),
        ] {
            for wide in [false, true] {
                let mut word = HIGH | 12;
                let at = (&raw mut word).expose_provenance() as u64;
                let upper = if wide { HIGH } else { 0 };
                // The upper halves do not matter to the narrow ones.
                let change = Change {
                    wide,
                    op,
                    operand: HIGH | 10,
                    expected: HIGH | 12,
                };
                let old = atomic(at, change);
                if matches!(op, Add | Xchg | Cmpxchg) {
                    assert_eq!(old, upper | 12, "{op:?} {wide}");
                }
                let upper = match (op, wide) {
                    (Add, true) => HIGH.wrapping_mul(2),
                    (Xor, true) => 0,
                    _ => HIGH,
                };
                assert_eq!(load(at, 8, 0), upper | becomes, "{op:?} {wide}");
                for addr in NOWHERE.into_iter().filter(|addr| addr % 8 == 0) {
                    let kept = match (op, wide) {
                        (Cmpxchg, _) => change.expected,
                        _ => change.operand,
                    };
                    let kept = if wide { kept } else { kept & 0xffff_ffff };
                    let old = atomic(addr, change);
                    if matches!(op, Add | Xchg | Cmpxchg) {
                        assert_eq!(old, kept, "{op:?} at {addr:#x}");
                    }
                }
            }
        }
    }
}
