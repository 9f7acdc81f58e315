//! Are the helpers' names, numbers and availability those of the running Linux 6.18?

use skep_abi::ProgType;
use skep_catalog::{Caps, helper, helper_allowed, helper_id};

const RECORDED: &str = include_str!("data/helpers.txt");

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

#[test]
fn programs_may_call_what_linux_lets_them_call() {
    let mut differences = Vec::new();
    let mut checked = 0;
    for line in RECORDED.lines().filter(|line| !line.starts_with('#')) {
        let (key, helpers) = line.split_once(": ").expect("a row has a colon");
        let (number, attach_types) = key.split_once(' ').expect("a type and attach types");
        let prog_type = ProgType::from_u32(number.parse().expect("a number")).expect("a type");
        let helpers = ranges(helpers, ' ');
        for attach in ranges(attach_types, ',') {
            for id in 1..=211 {
                let here = helper_allowed(prog_type, attach, id, Caps::FULL);
                if here != helpers.contains(&id) {
                    differences.push(format!("{prog_type} {attach} helper {id}: here {here}"));
                }
                checked += 1;
            }
        }
    }
    assert!(checked > 200_000, "the recording is whole");
    assert!(
        differences.is_empty(),
        "{}:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

#[test]
fn rows_lie_at_their_numbers_under_their_names() {
    assert_eq!(helper_id::ALL.len(), 211);
    for (name, id) in helper_id::ALL {
        let row = helper(*id).expect("every number has a row");
        assert_eq!(row.id, *id);
        assert_eq!(row.name, format!("bpf_{}", name.to_lowercase()));
    }
    assert!(helper(0).is_none() && helper(212).is_none());
}
