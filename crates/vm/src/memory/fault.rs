//! Loads that may fault: which instructions of the process may, and what happens then.
//!
//! An object of the host may be gone when a program looks at it, and an address that a program
//! was allowed to make up may lead nowhere. Linux lets such loads read zero. Here the machine
//! is asked first and believed: code says which of its instructions may fault ([`Forgiven`]),
//! and a handler of `SIGSEGV` and `SIGBUS` puts zero into their register and goes on behind
//! them. All other faults go to the handler that was there before, as if there was no other.
//!
//! The handler takes no lock, calls nothing of the system, and allocates nothing. It is
//! installed when the first code asks for it, and again when code asks for it after the host
//! installed one of its own. A host that replaces it while such code exists must pass faults
//! on that it does not know.

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, OnceLock, PoisonError};

/// One instruction that may fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recovery {
    /// Where it begins, in bytes from the start of the code.
    pub at: u32,
    /// Where the run goes on.
    pub resume: u32,
    /// The number of the machine's register that becomes zero; `None` for a store.
    pub register: Option<u8>,
}

/// The instructions of one piece of code, ascending.
struct Table {
    start: usize,
    len: usize,
    recoveries: Box<[Recovery]>,
}

impl Table {
    fn find(&self, place: usize) -> Option<Recovery> {
        let offset = place.checked_sub(self.start).filter(|o| *o < self.len)?;
        let at = u32::try_from(offset).ok()?;
        let found = self.recoveries.binary_search_by_key(&at, |r| r.at).ok()?;
        self.recoveries.get(found).copied()
    }
}

const SLOTS: usize = 64;

/// Tables as the handler finds them. Chunks are never given back.
struct Chunk {
    tables: [AtomicPtr<Table>; SLOTS],
    next: AtomicPtr<Chunk>,
}

impl Chunk {
    const fn new() -> Chunk {
        Chunk {
            tables: [const { AtomicPtr::new(ptr::null_mut()) }; SLOTS],
            next: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// The chunk behind this one.
    fn next(&self) -> Option<&'static Chunk> {
        // SAFETY: a chunk is leaked before its address is stored, and never freed.
        unsafe { self.next.load(SeqCst).as_ref() }
    }
}

static FIRST: Chunk = Chunk::new();

/// How many handlers look at tables right now.
static READERS: AtomicUsize = AtomicUsize::new(0);

/// Held while tables and handlers change; handlers do not take it.
static CHANGES: Mutex<()> = Mutex::new(());

/// Where the run goes on that faulted at `place`.
fn find(place: usize) -> Option<(usize, Option<u8>)> {
    READERS.fetch_add(1, SeqCst);
    let mut chunk = Some(&FIRST);
    let mut found = None;
    while let Some(here) = chunk {
        for table in &here.tables {
            // SAFETY: a table whose address is stored is freed only after it was taken out
            // and no handler was looking any more, see `Forgiven::drop`.
            let table = unsafe { table.load(SeqCst).as_ref() };
            if let Some(table) = table
                && let Some(recovery) = table.find(place)
            {
                found = Some((table.start + recovery.resume as usize, recovery.register));
            }
        }
        chunk = here.next();
    }
    READERS.fetch_sub(1, SeqCst);
    found
}

/// Instructions that may fault, for as long as this lives.
#[derive(Debug)]
pub struct Forgiven {
    slot: &'static AtomicPtr<Table>,
}

impl Forgiven {
    /// Lets the listed instructions of `len` bytes of code at `start` fault.
    ///
    /// # Safety
    /// The code stays in place while the answer lives. To go on at `resume` with zero in the
    /// register, where an instruction at `at` did nothing else, must be what the code means.
    ///
    /// # Errors
    /// What the system says when it takes no handler; `Unsupported` on machines for which
    /// there is none.
    pub unsafe fn new(
        start: *const u8,
        len: usize,
        mut recoveries: Vec<Recovery>,
    ) -> io::Result<Forgiven> {
        let _changes = CHANGES.lock().unwrap_or_else(PoisonError::into_inner);
        machine::install()?;
        recoveries.sort_unstable_by_key(|recovery| recovery.at);
        let table = Box::into_raw(Box::new(Table {
            start: start as usize,
            len,
            recoveries: recoveries.into(),
        }));
        let mut chunk: &'static Chunk = &FIRST;
        loop {
            if let Some(slot) = chunk.tables.iter().find(|t| t.load(SeqCst).is_null()) {
                slot.store(table, SeqCst);
                return Ok(Forgiven { slot });
            }
            chunk = match chunk.next() {
                Some(next) => next,
                None => {
                    let next: &'static Chunk = Box::leak(Box::new(Chunk::new()));
                    chunk.next.store(ptr::from_ref(next).cast_mut(), SeqCst);
                    next
                }
            };
        }
    }
}

impl Drop for Forgiven {
    fn drop(&mut self) {
        /// A handler is done long before; a process that was forked during one has none.
        const PATIENCE: u32 = 1 << 20;
        let _changes = CHANGES.lock().unwrap_or_else(PoisonError::into_inner);
        let table = self.slot.swap(ptr::null_mut(), SeqCst);
        for _ in 0..PATIENCE {
            if READERS.load(SeqCst) == 0 {
                // SAFETY: the table came from `Box::into_raw`, is in no slot any more, and no
                // handler that may have found it before is still looking.
                drop(unsafe { Box::from_raw(table) });
                return;
            }
            std::hint::spin_loop();
        }
    }
}

/// Reads `size` bytes at any address; zero where nothing can be read.
///
/// Cost: a load, where it does not fault; a signal, where it does. `None` on machines where
/// loads cannot fault so.
pub(super) fn probe(addr: u64, size: u32) -> Option<u64> {
    static READY: OnceLock<Option<Forgiven>> = OnceLock::new();
    READY.get_or_init(machine::forgive_loads).as_ref()?;
    Some(machine::load(addr, size))
}

/// Whether [`probe`] works here.
pub(crate) fn can_probe() -> bool {
    probe(0, 1).is_some()
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod machine {
    use std::arch::naked_asm;
    use std::io;
    use std::mem::MaybeUninit;
    use std::ptr;
    use std::sync::atomic::{AtomicPtr, Ordering::SeqCst};

    use super::{Forgiven, Recovery, find};

    const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

    /// What was there before, by the order of the signals. Never freed: a handler may look.
    static BEFORE: [AtomicPtr<libc::sigaction>; 2] = [const { AtomicPtr::new(ptr::null_mut()) }; 2];

    /// The register file's places of rax to r15, by the numbers of the instruction set.
    const REGISTERS: [libc::c_int; 16] = [
        libc::REG_RAX,
        libc::REG_RCX,
        libc::REG_RDX,
        libc::REG_RBX,
        libc::REG_RSP,
        libc::REG_RBP,
        libc::REG_RSI,
        libc::REG_RDI,
        libc::REG_R8,
        libc::REG_R9,
        libc::REG_R10,
        libc::REG_R11,
        libc::REG_R12,
        libc::REG_R13,
        libc::REG_R14,
        libc::REG_R15,
    ];

    type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

    extern "C" fn handle(
        signal: libc::c_int,
        info: *mut libc::siginfo_t,
        context: *mut libc::c_void,
    ) {
        // SAFETY: the kernel hands a handler with `SA_SIGINFO` its own context, which nobody
        // else uses meanwhile.
        let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
        let place = registers[libc::REG_RIP as usize] as usize;
        if let Some((resume, register)) = find(place) {
            let register = register.and_then(|number| REGISTERS.get(usize::from(number)));
            if let Some(register) = register {
                registers[*register as usize] = 0;
            }
            registers[libc::REG_RIP as usize] = resume as i64;
            return;
        }
        pass_on(signal, info, context);
    }

    /// Does what was done about a signal before.
    fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        let at = usize::from(signal != SIGNALS[0]);
        // SAFETY: an action whose address is stored is never freed.
        let before = unsafe { BEFORE[at].load(SeqCst).as_ref() };
        // SAFETY: the kernel hands over a valid record.
        let sent = unsafe { (*info).si_code } <= 0;
        match before.map_or(libc::SIG_DFL, |before| before.sa_sigaction) {
            libc::SIG_IGN if sent => {}
            libc::SIG_DFL | libc::SIG_IGN => {
                // SAFETY: zeroes are the default action. The instruction faults once more
                // and ends the process as it would have; a signal that was sent is sent again.
                unsafe {
                    let action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
                    libc::sigaction(signal, &action, ptr::null_mut());
                    if sent {
                        libc::raise(signal);
                    }
                }
            }
            handler => {
                let with_info = before.is_some_and(|b| b.sa_flags & libc::SA_SIGINFO != 0);
                // SAFETY: that is the handler that the host installed, with the signature
                // that its flags tell.
                unsafe {
                    if with_info {
                        let handler = std::mem::transmute::<usize, Handler>(handler);
                        handler(signal, info, context);
                    } else {
                        let handler =
                            std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(handler);
                        handler(signal);
                    }
                }
            }
        }
    }

    /// Sees to it that faults come here first.
    pub(super) fn install() -> io::Result<()> {
        for (signal, before) in SIGNALS.into_iter().zip(&BEFORE) {
            let mut now = MaybeUninit::<libc::sigaction>::zeroed();
            // SAFETY: the record is ours, and large enough.
            if unsafe { libc::sigaction(signal, ptr::null(), now.as_mut_ptr()) } != 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: the call filled it.
            let now = unsafe { now.assume_init() };
            if now.sa_sigaction == handle as *const () as usize {
                continue;
            }
            // What the other handler asked of the system is asked for this one.
            let mut ours = now;
            ours.sa_sigaction = handle as *const () as usize;
            ours.sa_flags |= libc::SA_SIGINFO | libc::SA_ONSTACK;
            before.store(Box::into_raw(Box::new(now)), SeqCst);
            // SAFETY: the handler keeps to what is allowed in one.
            if unsafe { libc::sigaction(signal, &ours, ptr::null_mut()) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }

    #[unsafe(naked)]
    unsafe extern "sysv64" fn load_1(_: u64) -> u64 {
        naked_asm!("movzx eax, byte ptr [rdi]", "ret")
    }

    #[unsafe(naked)]
    unsafe extern "sysv64" fn load_2(_: u64) -> u64 {
        naked_asm!("movzx eax, word ptr [rdi]", "ret")
    }

    #[unsafe(naked)]
    unsafe extern "sysv64" fn load_4(_: u64) -> u64 {
        naked_asm!("mov eax, dword ptr [rdi]", "ret")
    }

    #[unsafe(naked)]
    unsafe extern "sysv64" fn load_8(_: u64) -> u64 {
        naked_asm!("mov rax, qword ptr [rdi]", "ret")
    }

    type Load = unsafe extern "sysv64" fn(u64) -> u64;

    /// The loads, and how long the first instruction of each is.
    const LOADS: [(Load, u32); 4] = [(load_1, 3), (load_2, 3), (load_4, 2), (load_8, 3)];

    pub(super) fn load(addr: u64, size: u32) -> u64 {
        let (load, _) = LOADS[size.trailing_zeros().min(3) as usize];
        // SAFETY: the loads may fault, see `forgive_loads`.
        unsafe { load(addr) }
    }

    pub(super) fn forgive_loads() -> Option<Forgiven> {
        let starts = LOADS.map(|(load, _)| load as *const () as usize);
        let first = *starts.iter().min()?;
        let end = starts.iter().max()? + 4;
        let recoveries = LOADS.iter().zip(starts).map(|((_, len), start)| Recovery {
            at: (start - first) as u32,
            resume: (start - first) as u32 + len,
            register: Some(0),
        });
        // SAFETY: the code is this program's own. Behind the first instruction of each load,
        // which only writes rax, it returns that.
        unsafe { Forgiven::new(first as *const u8, end - first, recoveries.collect()) }.ok()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_instructions_are_as_long_as_is_said() {
            const RET: u8 = 0xc3;
            for (load, len) in LOADS {
                // SAFETY: the byte behind the first instruction is code of the function.
                let behind = unsafe { *(load as *const u8).add(len as usize) };
                assert_eq!(behind, RET);
            }
        }
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod machine {
    use std::io;

    use super::Forgiven;

    pub(super) fn install() -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn forgive_loads() -> Option<Forgiven> {
        None
    }

    pub(super) fn load(_: u64, _: u32) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_read_zero() {
        if !can_probe() {
            return;
        }
        let word = 0x1122_3344_5566_7788u64;
        let at = (&raw const word).expose_provenance() as u64;
        assert_eq!(probe(at, 8), Some(word));
        assert_eq!(probe(at, 4), Some(word & 0xffff_ffff));
        assert_eq!(probe(at, 2), Some(word & 0xffff));
        assert_eq!(probe(at, 1), Some(word & 0xff));
        for size in [1, 2, 4, 8] {
            // The first page, the kernel's half, and what is no address at all.
            for addr in [0, 8, u64::MAX, 0xffff_8000_0000_0000, 0x8000_0000_0000_0000] {
                assert_eq!(probe(addr, size), Some(0), "{size} bytes at {addr:#x}");
            }
        }
    }

    #[test]
    fn tables_come_and_go() {
        // More than a chunk has, so that there must be a second one.
        let code = [0u8; 16];
        let one = |at| Recovery {
            at,
            resume: at + 1,
            register: None,
        };
        let start = code.as_ptr();
        let all: Vec<Forgiven> = (0..2 * SLOTS as u32)
            // SAFETY: nothing ever runs there.
            .filter_map(|n| unsafe { Forgiven::new(start, 16, vec![one(n % 16)]) }.ok())
            .collect();
        if all.is_empty() {
            return;
        }
        let at = start as usize;
        assert_eq!(find(at + 3), Some((at + 4, None)));
        assert_eq!(find(at + 16), None);
        drop(all);
        assert_eq!(find(at + 3), None);
        assert_eq!(READERS.load(SeqCst), 0);
    }

    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[test]
    fn other_faults_are_the_hosts() {
        const SEEN: i32 = 42;
        const WRONG: i32 = 1;
        extern "C" fn host(_: libc::c_int) {
            // SAFETY: a handler may do this.
            unsafe { libc::_exit(SEEN) }
        }
        // SAFETY: the child only does what is allowed after a fork, or what this test is about.
        let status = unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::signal(libc::SIGSEGV, host as *const () as usize);
                if probe(8, 8) != Some(0) {
                    libc::_exit(WRONG);
                }
                ptr::with_exposed_provenance::<u64>(8).read_volatile();
                libc::_exit(WRONG);
            }
            let mut status = 0;
            libc::waitpid(child, &mut status, 0);
            status
        };
        assert_eq!(libc::WEXITSTATUS(status), SEEN, "{status:#x}");
    }
}
