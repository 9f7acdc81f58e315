//! Accesses that may fault: which instructions of the process may, and what happens then.
//!
//! An object of the host may be gone when a program looks at it, an address that a program
//! was allowed to make up may lead nowhere, and an arena has pages only where somebody asked for
//! them. Linux lets loads read zero there, and stores do nothing. Here the machine
//! is asked first and believed: code says which of its instructions may fault ([`Forgiven`]),
//! and a handler of `SIGSEGV` and `SIGBUS` puts zero into their register, if that is what
//! the code wants, and goes on behind them. Before that, whose memory it is may put a page
//! there ([`Pages`]). All other faults go to the handler that was there before, as if there was
//! no other.
//!
//! The handler takes no lock, calls nothing of the system, and allocates nothing. It is
//! installed when the first code asks for it, and again when code asks for it after the host
//! installed one of its own. A host that replaces it while such code exists must pass faults
//! on that it does not know.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::registry::{Entry, Registry};

/// One instruction that may fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recovery {
    /// Where it begins, in bytes from the start of the code.
    pub at: u32,
    /// Where the run goes on.
    pub resume: u32,
    /// The number of the machine's register that becomes zero; `None` where all stay as they
    /// are.
    pub register: Option<u8>,
}

/// The instructions of one piece of code, ascending.
#[derive(Debug)]
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

static TABLES: Registry<Table> = Registry::new();
static PAGERS: Registry<Range> = Registry::new();

/// Held while handlers are installed.
static INSTALLING: Mutex<()> = Mutex::new(());

/// Where the run goes on that faulted at `place`.
fn find(place: usize) -> Option<(usize, Option<u8>)> {
    TABLES.find(|table| {
        let recovery = table.find(place)?;
        Some((table.start + recovery.resume as usize, recovery.register))
    })
}

/// Whether somebody put a page at `addr`, where there was none.
fn fetch(addr: u64) -> bool {
    let found = PAGERS.find(|range| range.holds(addr).then(|| range.pages.fetch(addr)));
    found.unwrap_or(false)
}

/// Tells whose memory it is that an instruction was forgiven an access at `addr`.
fn miss(addr: u64, write: bool) {
    PAGERS.find(|range| range.holds(addr).then(|| range.pages.miss(addr, write)));
}

/// Memory whose pages may come to be only when an instruction that may fault needs them.
///
/// # Safety
/// [`fetch`](Self::fetch) is called in a signal handler: it takes no lock, allocates nothing,
/// does not unwind, and calls nothing of the system that is not allowed there. Where it answers true,
/// the byte can be read and written from then on, until somebody takes the page away.
pub unsafe trait Pages: Send + Sync {
    /// Puts a page at the address, when there is to be one.
    fn fetch(&self, addr: u64) -> bool;

    /// There was none: the load gave zero, or the store (`write`) did nothing. Called in a
    /// signal handler, too.
    fn miss(&self, addr: u64, write: bool) {
        let _ = (addr, write);
    }
}

/// Addresses with their pages.
struct Range {
    start: u64,
    len: u64,
    pages: Arc<dyn Pages>,
}

impl Range {
    fn holds(&self, addr: u64) -> bool {
        addr.checked_sub(self.start).is_some_and(|at| at < self.len)
    }
}

/// Asks for pages of a range of addresses, for as long as this lives.
pub struct Pager {
    _entry: Entry<Range>,
}

impl Pager {
    /// Lets `pages` be asked about faults at `len` bytes from `start` on.
    pub fn new(start: u64, len: u64, pages: Arc<dyn Pages>) -> Pager {
        let range = Range { start, len, pages };
        Pager {
            _entry: PAGERS.add(range),
        }
    }
}

impl std::fmt::Debug for Pager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pager")
    }
}

/// Instructions that may fault, for as long as this lives.
#[derive(Debug)]
pub struct Forgiven {
    _entry: Entry<Table>,
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
        let installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
        machine::install()?;
        drop(installing);
        recoveries.sort_unstable_by_key(|recovery| recovery.at);
        let table = Table {
            start: start as usize,
            len,
            recoveries: recoveries.into(),
        };
        Ok(Forgiven {
            _entry: TABLES.add(table),
        })
    }
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod machine {
    use std::io;
    use std::mem::MaybeUninit;
    use std::ptr;
    use std::sync::atomic::{AtomicPtr, Ordering::SeqCst};

    use super::{fetch, find, miss};

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
            // SAFETY: the kernel hands over a valid record, of which a fault has an address.
            let addr = unsafe { (*info).si_addr() } as u64;
            if signal == libc::SIGSEGV && keeping_errno(|| fetch(addr)) {
                // The instruction is done again.
                return;
            }
            // Bit 1 of a page fault's code is set by who writes.
            let write = registers[libc::REG_ERR as usize] & 2 != 0;
            miss(addr, write);
            let register = register.and_then(|number| REGISTERS.get(usize::from(number)));
            if let Some(register) = register {
                registers[*register as usize] = 0;
            }
            registers[libc::REG_RIP as usize] = resume as i64;
            return;
        }
        pass_on(signal, info, context);
    }

    /// Leaves the host's errno as it was.
    fn keeping_errno<T>(body: impl FnOnce() -> T) -> T {
        // SAFETY: the place is this thread's own, and nobody else holds a reference to it.
        unsafe {
            let errno = libc::__errno_location();
            let before = *errno;
            let answer = body();
            *errno = before;
            answer
        }
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
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod machine {
    use std::io;

    pub(super) fn install() -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
