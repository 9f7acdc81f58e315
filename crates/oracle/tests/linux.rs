//! The runner against the running kernel; each test ends at once where `bpf(2)` is refused.

use skep_abi::Errno;
use skep_oracle::mapmodel::{Campaign, Things, follower};
use skep_oracle::{Filetest, Linux, Subject};

/// Asks Linux and wants no complaint.
fn check(text: &str) {
    let Ok(linux) = Linux::whole() else { return };
    let test = Filetest::parse(text).unwrap();
    if !test.case.capabilities.allow(skep_abi::Capabilities::BPF) && !linux.takes_unprivileged() {
        let answer = linux.ask(&test.case).unwrap();
        assert_eq!(answer.verdict, Err(Errno::EPERM));
        return;
    }
    let answer = linux.ask(&test.case).unwrap();
    let wrong = test.judge(&answer);
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", answer.log.text());
    let again = linux.ask(&test.case).unwrap();
    assert_eq!(again.differences(&answer), Vec::<String>::new());
    assert!(again.agrees(&answer).all());
}

#[test]
fn refusals_are_located() {
    check(
        "reject EACCES\nlog: 0: R1=ctx() R10=fp0\nstats: processed 2 insns\n---\nr1 = 0\nexit //! R0 !read_ok\n",
    );
    check("reject EINVAL\n---\nr0 = 0\n");
    check("reject EPERM\ncaps: none\ntype: xdp\n---\nr0 = 0\nexit\n");
}

#[test]
fn states_are_found() {
    check("level: 2\naccept\nstate: 0: R0=7\nstate: 1: exit\n---\nr0 = 7\nexit\n");
}

#[test]
fn programs_run_with_their_maps() {
    check(
        "type: xdp
map: counts array key=4 value=8 entries=2
elem: counts 01000000 2a00000000000000
accept
level: 2
log: map_ptr
run: 000102030405060708090a0b0c0d -> 42 out=000102030405060708090a0b0c0d
run: 00 -> EINVAL
---
  *(u32 *)(r10 -4) = 1
  r2 = r10
  r2 += -4
  r1 = map[counts]
  call bpf_map_lookup_elem#1
  if r0 == 0x0 goto none
  r0 = *(u64 *)(r0 +0)
  exit
none:
  r0 = 0
  exit
",
    );
    check(
        "type: syscall
flags: sleepable
accept
run: ctx=0100000002000000 -> 1 ctx=0100000007000000
---
r0 = *(u32 *)(r1 +0)
*(u32 *)(r1 +4) = 7
exit
",
    );
    check(
        "type: sched_cls
map: jumps prog_array key=4 value=4 entries=1
elem: jumps 00000000 self
accept
run: 000102030405060708090a0b0c0d0e0f -> 9
---
r2 = map[jumps]
r3 = 0
call bpf_tail_call#12
r0 = 9
exit
",
    );
    check(
        "map: inner array key=4 value=4 entries=1
map: outer array_of_maps key=4 value=4 entries=1 inner=inner
elem: outer 00000000 map=inner
accept
---
r1 = map[outer]
r0 = 0
exit
",
    );
}

#[test]
fn raw_tracepoints_take_a_context() {
    check(
        "type: raw_tracepoint\naccept\nrun: ctx=07000000000000000100000000000000 -> 7\n---\nr0 = *(u64 *)(r1 +0)\nexit\n",
    );
}

/// A kernel that answers like the host, with errors in chosen places.
struct Wrong(skep_host::Host);

impl skep_abi::Bpf for Wrong {
    fn bpf(
        &self,
        cmd: u32,
        attr: &mut [u8],
        memory: &mut dyn skep_abi::UserMemory,
    ) -> Result<u32, Errno> {
        if cmd == u32::from(skep_abi::Cmd::MapFreeze) {
            return Err(Errno::EBUSY);
        }
        let result = self.0.bpf(cmd, attr, memory);
        if cmd == u32::from(skep_abi::Cmd::ProgTestRun) {
            let mut run = skep_abi::attr::ProgTestRun::prefix(attr);
            run.set_retval(99).write_back(attr);
        }
        result
    }
}

impl skep_abi::Files for Wrong {
    fn close(&self, fd: u32) -> Result<(), Errno> {
        self.0.close(fd)
    }
    fn dup(&self, fd: u32) -> Result<u32, Errno> {
        self.0.dup(fd)
    }
    fn kernel_btf(&self) -> Result<Vec<u8>, Errno> {
        self.0.kernel_btf()
    }
}

#[test]
fn two_kernels_are_compared() {
    if Linux::whole().is_err() {
        return;
    }
    let case = Filetest::parse(
        "type: sched_cls
map: inner array key=4 value=4 entries=1 frozen
map: outer array_of_maps key=4 value=4 entries=1 inner=inner
map: jumps prog_array key=4 value=4 entries=1
elem: outer 00000000 map=inner
elem: jumps 00000000 self
accept
run: 000102030405060708090a0b0c0d0e0f -> 5
---
r1 = map[outer]
r2 = map[jumps]
r0 = 5
exit
",
    )
    .unwrap()
    .case;
    let host = skep_host::Host::new;
    let same = skep_oracle::Both::new(host(), host());
    let answer = skep_oracle::ask(&same, &case).unwrap();
    assert_eq!(answer.runs.len(), 1);
    assert_eq!(same.differences(), []);

    let wrong = skep_oracle::Both::new(host(), Wrong(host()));
    assert_eq!(skep_oracle::ask(&wrong, &case), Ok(answer));
    let differences = wrong.differences();
    let what: Vec<&str> = differences
        .iter()
        .map(|found| found.what.as_str())
        .collect();
    assert_eq!(
        what,
        [
            "result: success and EBUSY",
            "retval and sizes: (5, 16, 0) and (99, 16, 0)"
        ]
    );
}

#[test]
fn random_map_commands_have_one_answer() {
    let Ok(linux) = Linux::whole() else { return };
    let cpus = linux.host().possible_cpus().unwrap_or(1);
    if cpus != 2 {
        // The model knows how large values of per-CPU maps are on two CPUs.
        return;
    }
    let skep = follower(linux.host(), cpus).unwrap();
    let campaign = Campaign {
        steps: 5_000,
        seed: 11,
        only: None,
        length: 30,
    };
    let mut found = Vec::new();
    let tally = campaign
        .run(linux.host(), &skep, &Things::default(), &mut |d| {
            found.push(d)
        })
        .unwrap();
    assert!(found.is_empty(), "{found:#?}");
    assert!(tally.maps > 50, "{tally:?}");
}
