//! What a filetest may say, and what it is told when it says something else.

use skep_abi::{Errno, MapFlags, ProgFlags, ProgType};
use skep_oracle::{Answer, Filetest, Ran};

const FULL: &str = "\
// A comment.
type: xdp
attach: xdp_devmap
license: none
flags: strict_alignment, test_state_freq
caps: none
level: 2
map: inner array key=4 value=8 entries=1 flags=rdonly_prog frozen
map: outer array_of_maps key=4 value=4 entries=2 inner=inner
elem: outer 00000000 map=inner
reject EACCES
log: r0 = 0
log: exit
stats: processed 3
---
start:
  r1 = map[outer]
  r0 = 0
  .raw 0x18 1 1 0 7
  .raw 0 0 0 0 0
  exit  //! R0 leaks
";

#[test]
fn a_whole_header_is_understood() {
    let test = Filetest::parse(FULL).unwrap();
    let case = &test.case;
    assert_eq!(
        (case.prog_type, case.attach_type, case.level),
        (ProgType::Xdp, 33, 2)
    );
    assert_eq!(
        case.flags,
        (ProgFlags::STRICT_ALIGNMENT | ProgFlags::TEST_STATE_FREQ).0
    );
    assert_eq!(
        (case.license.as_str(), case.capabilities),
        ("none", skep_abi::Capabilities::NONE)
    );
    assert_eq!(case.maps[0].flags, MapFlags::RDONLY_PROG.0);
    assert_eq!((case.maps[0].frozen, case.maps[1].inner), (true, Some(0)));
    assert_eq!(case.elements.len(), 1);
    // The raw load is no reference to a map of the header.
    assert_eq!(
        (case.insns.len(), case.map_slots.as_slice()),
        (6, &[(0, 1)][..])
    );
    assert_eq!(test.verdict, Err(Errno::EACCES));
    assert_eq!(test.log, ["r0 = 0", "exit"]);
    assert_eq!(test.fault, Some((5, "R0 leaks".to_owned())));
}

#[test]
fn the_key_follows_the_question() {
    let key = |text: &str| Filetest::parse(text).unwrap().case.key();
    let base = "accept\n---\nr0 = 0\nexit\n";
    assert_eq!(
        key(base),
        key("accept // why\nlog: x\n---\n r0 = 0\n\nexit\n")
    );
    for other in [
        "accept\n---\nr0 = 1\nexit\n",
        "type: xdp\naccept\n---\nr0 = 0\nexit\n",
        "level: 2\naccept\n---\nr0 = 0\nexit\n",
        "map: m array key=4 value=4 entries=1\naccept\n---\nr0 = 0\nexit\n",
        "accept\nrun: 00 -> 0\n---\nr0 = 0\nexit\n",
    ] {
        assert_ne!(key(base), key(other), "{other}");
    }
}

#[test]
fn what_is_not_understood_is_named_with_its_line() {
    let check = |text: &str, line: u32, part: &str| {
        let error = Filetest::parse(text).unwrap_err();
        assert_eq!(error.line, line, "{text}: {error}");
        assert!(error.message.contains(part), "{text}: {error}");
    };
    check("", 0, "no line `---`");
    check("---\nexit", 0, "neither");
    check("accept\naccept\n---\n", 2, "twice");
    check("accept\nreject EACCES\n---\n", 2, "twice");
    check("reject EWHAT\n---\n", 1, "no error");
    check("type: x\naccept\n---\n", 1, "no program type");
    check("tpye: xdp\n", 1, "no key");
    check("flags: nonsense\n", 1, "no flag");
    check("map: m array key=4 size=3\n", 1, "no `size=3`");
    check("map: m array inner=n\n", 1, "no map `n`");
    check("state: R1=0\n", 1, "a slot");
    check("run: 0 -> 1\n", 1, "not hexadecimal");
    check("run: 00\n", 1, "`->`");
    check("accept\n---\n\nr0 = \n", 4, "");
    check("accept\n---\nexit //! why\n", 0, "no instruction");
    check("reject EACCES\nrun: 00 -> 1\n---\nexit\n", 0, "cannot run");
}

#[test]
fn answers_are_judged() {
    let rejected = "reject EACCES\nlog: first\nlog: last\nstats: processed 7 insns\n---\nr0 = 0\nexit //! bad\n";
    let accepted = "accept\nrun: 0102 -> -1 out=0304\nrun: -> EINVAL\n---\nr0 = 0\nexit\n";
    let check = |text: &str, answer: Answer, parts: &[&str]| {
        let wrong = Filetest::parse(text).unwrap().judge(&answer);
        assert_eq!(wrong.len(), parts.len(), "{wrong:?}");
        for (wrong, part) in wrong.iter().zip(parts) {
            assert!(wrong.contains(part), "{wrong}");
        }
    };
    let said = |log: &str| Answer::new(Err(Errno::EACCES), log);
    check(
        rejected,
        said("first\nlast\n1: (95) exit\nbad thing\nprocessed 7 insns x\n"),
        &[],
    );
    check(
        rejected,
        said("last\nfirst\n1: (95) exit\nbad\nprocessed 7 insns\n"),
        &["`last`"],
    );
    check(
        rejected,
        said("first last\nlast\n0: (95) exit\nbad\nprocessed 8 insns\n"),
        &["stats", "fault"],
    );
    check(
        rejected,
        said("first\nlast\n1: (95) exit\ngood\nprocessed 7 insns\n"),
        &["message"],
    );
    check(
        rejected,
        Answer::new(Ok(()), ""),
        &["verdict: accept instead of EACCES"],
    );
    let ran = |retval, data: &[u8]| {
        Ok(Ran {
            retval,
            data: data.to_vec(),
            ctx: Vec::new(),
        })
    };
    let with = |runs| Answer {
        runs,
        ..Answer::new(Ok(()), "")
    };
    check(
        accepted,
        with(vec![ran(u32::MAX, &[3, 4]), Err(Errno::EINVAL)]),
        &[],
    );
    check(
        accepted,
        with(vec![ran(1, &[3, 4]), ran(0, &[])]),
        &["0x1 instead", "run 1: 0 instead of EINVAL"],
    );
    check(
        accepted,
        with(vec![ran(u32::MAX, &[3])]),
        &["out=03", "did not happen"],
    );
}
