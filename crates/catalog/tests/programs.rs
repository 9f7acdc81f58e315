//! Are rights, attach types, results and test runs of program types those of Linux 6.18?

use skep_abi::ProgType;
use skep_catalog::{
    Capability, LoadRight, Sleep, TestRun, helper_capability, helper_set, prog_type, return_range,
};

const RECORDED: &str = include_str!("data/programs.txt");

/// The numbers of a list such as `1,4-6`.
fn ranges(list: &str, separator: char) -> Vec<u32> {
    let number = |text: &str| text.parse::<u32>().expect("a number");
    list.split(separator)
        .filter(|part| !part.is_empty())
        .flat_map(|part| match part.split_once('-') {
            Some((first, last)) => number(first)..=number(last),
            None => number(part)..=number(part),
        })
        .collect()
}

fn kind(number: &str) -> ProgType {
    ProgType::from_u32(number.parse().expect("a number")).expect("a program type")
}

fn right(sets: &str) -> LoadRight {
    match sets {
        "bpf bpf+net_admin bpf+perfmon" => LoadRight::Bpf,
        "bpf+net_admin" => LoadRight::NetAdmin,
        "bpf+perfmon" => LoadRight::Perfmon,
        other => panic!("{other:?} is no right"),
    }
}

fn check(line: &str) {
    let (key, value) = line.split_once(": ").expect("a row has a colon");
    let keys: Vec<&str> = key.split(' ').collect();
    let row = |number: &str| prog_type(kind(number)).expect("a row");
    match keys.as_slice() {
        ["attach", number] => {
            let recorded = ranges(value, ' ');
            for attach in 0..58 {
                let here = row(number).attach_types.contain(attach);
                // Programs of this type are not checked before their flags are.
                let ignored = kind(number) == ProgType::Syscall;
                assert!(
                    ignored || here == recorded.contains(&attach),
                    "{key} {attach}"
                );
            }
        }
        ["returns", number, attach_types] => {
            let recorded = value.split_once(' ').map(|(low, high)| {
                (
                    low.parse().expect("a number"),
                    high.parse().expect("a number"),
                )
            });
            for attach in ranges(attach_types, ',') {
                assert_eq!(
                    return_range(kind(number), attach),
                    recorded,
                    "{key} {attach}"
                );
            }
        }
        ["caps", number] => {
            let here = match row(number).right {
                LoadRight::Anybody => LoadRight::Bpf,
                other => other,
            };
            assert_eq!(here, right(value), "{key}");
        }
        ["test_run", number] => assert_eq!(
            row(number).test_run != TestRun::Never,
            value == "1",
            "{key}"
        ),
        ["perfmon", number] => {
            let attach = match kind(number) {
                ProgType::CgroupSock => 2,
                ProgType::CgroupSockAddr => 10,
                ProgType::CgroupSockopt => 21,
                _ => 0,
            };
            let here: Vec<u32> = helper_set(kind(number), attach)
                .expect("a set")
                .iter()
                .filter(|id| helper_capability(kind(number), *id) == Capability::Perfmon)
                .collect();
            assert_eq!(here, ranges(value, ' '), "{key}");
        }
        ["sleepable"] => {
            let recorded = ranges(value, ' ');
            // Where a target of the kernel decides, the recording has no answer.
            let asked = |ty: &ProgType| skep_catalog::ctx_fields(*ty).is_some();
            for ty in ProgType::ALL.iter().filter(|ty| asked(ty)) {
                let here = row(&ty.as_u32().to_string()).sleep != Sleep::Never;
                assert_eq!(here, recorded.contains(&ty.as_u32()), "{ty} sleeping");
            }
        }
        other => panic!("{other:?} is no row"),
    }
}

#[test]
fn program_types_are_as_in_linux() {
    let rows: Vec<&str> = RECORDED
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert!(rows.len() > 100, "the recording is whole");
    rows.into_iter().for_each(check);
}
