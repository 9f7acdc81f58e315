//! The world a program sees besides its arguments: clock, random numbers, CPUs, task.
//!
//! [`Real`] is the machine this process runs on; [`Scripted`] answers only what a test told
//! it, so that a run can be repeated.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Which clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// Since boot, sleep excluded (`bpf_ktime_get_ns`).
    Monotonic,
    /// Since boot, sleep included (`bpf_ktime_get_boot_ns`).
    Boot,
    /// Since 1970 in atomic time (`bpf_ktime_get_tai_ns`).
    Tai,
}

/// The task in whose name a program runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Task {
    /// The thread.
    pub pid: u32,
    /// The process.
    pub tgid: u32,
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The name, NUL-terminated.
    pub comm: [u8; 16],
}

impl Default for Task {
    fn default() -> Task {
        let mut comm = [0; 16];
        comm[..4].copy_from_slice(b"skep");
        Task {
            pid: 1,
            tgid: 1,
            uid: 0,
            gid: 0,
            comm,
        }
    }
}

/// Whose calls led to a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StackOf {
    /// The kernel's, the program's own frame first.
    Kernel,
    /// Those of the process that entered the kernel.
    User,
}

/// Return addresses as deep as those of a test run in Linux, where a world has none of its own.
const KERNEL_STACK: [u64; 7] = [
    0xffff_ffff_c000_0100,
    0xffff_ffff_81f0_5800,
    0xffff_ffff_81f0_7700,
    0xffff_ffff_814d_bd00,
    0xffff_ffff_814d_e100,
    0xffff_ffff_821e_cc00,
    0xffff_ffff_8100_0130,
];
/// The same of a process.
const USER_STACK: [u64; 2] = [0x7f00_0000_1000, 0x5500_0000_2000];

/// The world a program sees.
pub trait World: Send + Sync {
    /// Nanoseconds on a clock.
    fn now_ns(&self, clock: Clock) -> u64;
    /// A random number.
    fn random_u32(&self) -> u32;
    /// How many CPUs there are.
    fn cpus(&self) -> u32;
    /// The NUMA node of a CPU.
    fn numa_node(&self, cpu: u32) -> u32 {
        let _ = cpu;
        0
    }
    /// The current task.
    fn task(&self) -> Task;
    /// The instructions that lie on the current task's stack, the innermost first.
    fn stack(&self, of: StackOf) -> Vec<u64> {
        match of {
            StackOf::Kernel => KERNEL_STACK.to_vec(),
            StackOf::User => USER_STACK.to_vec(),
        }
    }
}

/// The next number of a sequence that looks random (SplitMix64).
fn scramble(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The machine this process runs on.
#[derive(Debug)]
pub struct Real {
    start: Instant,
    /// What the monotonic clock showed at `start`.
    start_ns: u64,
    random: AtomicU64,
    cpus: u32,
    task: Task,
}

impl Real {
    /// The world as it is now. `uptime_ns` is what the monotonic clock shows; programs
    /// compare its readings with zero, so a small one is a different world.
    pub fn new(uptime_ns: u64, cpus: u32, task: Task) -> Real {
        let seed = RandomState::new().build_hasher().finish();
        Real {
            start: Instant::now(),
            start_ns: uptime_ns,
            random: AtomicU64::new(seed),
            cpus: cpus.max(1),
            task,
        }
    }
}

impl World for Real {
    fn now_ns(&self, clock: Clock) -> u64 {
        match clock {
            Clock::Monotonic | Clock::Boot => {
                let passed = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
                self.start_ns.saturating_add(passed)
            }
            Clock::Tai => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)),
        }
    }

    fn random_u32(&self) -> u32 {
        (scramble(self.random.fetch_add(GOLDEN, Relaxed)) >> 32) as u32
    }

    fn cpus(&self) -> u32 {
        self.cpus
    }

    fn task(&self) -> Task {
        self.task.clone()
    }
}

/// A world that answers what it was told.
#[derive(Debug)]
pub struct Scripted {
    state: Mutex<Script>,
}

/// What a scripted world answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    /// What every clock shows.
    pub now_ns: u64,
    /// How far every reading moves the clocks.
    pub step_ns: u64,
    /// The next random numbers.
    pub random: VecDeque<u32>,
    /// What the random numbers after those are made from.
    pub seed: u64,
    /// How many CPUs there are.
    pub cpus: u32,
    /// The current task.
    pub task: Task,
    /// The addresses on its stack in the kernel, the innermost first.
    pub kernel_stack: Vec<u64>,
    /// Those of its process.
    pub user_stack: Vec<u64>,
}

impl Default for Script {
    /// One CPU; a clock that stands at one second past boot and moves a microsecond with
    /// every reading; random numbers from seed 1.
    fn default() -> Script {
        Script {
            now_ns: 1_000_000_000,
            step_ns: 1_000,
            random: VecDeque::new(),
            seed: 1,
            cpus: 1,
            task: Task::default(),
            kernel_stack: KERNEL_STACK.to_vec(),
            user_stack: USER_STACK.to_vec(),
        }
    }
}

impl Scripted {
    /// The world of this script.
    pub fn new(script: Script) -> Scripted {
        Scripted {
            state: Mutex::new(script),
        }
    }

    /// Changes what comes next.
    pub fn edit<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for Scripted {
    fn default() -> Scripted {
        Scripted::new(Script::default())
    }
}

impl World for Scripted {
    fn now_ns(&self, _: Clock) -> u64 {
        self.edit(|s| {
            let now = s.now_ns;
            s.now_ns = now.saturating_add(s.step_ns);
            now
        })
    }

    fn random_u32(&self) -> u32 {
        self.edit(|s| {
            s.random.pop_front().unwrap_or_else(|| {
                s.seed = s.seed.wrapping_add(GOLDEN);
                (scramble(s.seed) >> 32) as u32
            })
        })
    }

    fn cpus(&self) -> u32 {
        self.edit(|s| s.cpus.max(1))
    }

    fn task(&self) -> Task {
        self.edit(|s| s.task.clone())
    }

    fn stack(&self, of: StackOf) -> Vec<u64> {
        self.edit(|s| match of {
            StackOf::Kernel => s.kernel_stack.clone(),
            StackOf::User => s.user_stack.clone(),
        })
    }
}
