//! Do maps go with helpers and sleepable programs as in the running Linux 6.18?

use skep_abi::{MapType, ProgType};
use skep_catalog::{map_fits, sleepable_map};

const RECORDED: &str = include_str!("data/maps.txt");

fn types(list: &str) -> Vec<MapType> {
    list.split_whitespace()
        .map(|number| number.parse().expect("a number"))
        .map(|number| MapType::from_u32(number).expect("a map type"))
        .collect()
}

/// Compares one row: types taken and types refused, in a program of this type.
fn check(helper: u32, prog_type: ProgType, taken: &[MapType], refused: &[MapType]) -> usize {
    for (list, fits) in [(taken, true), (refused, false)] {
        for map_type in list {
            assert_eq!(
                map_fits(*map_type, helper, prog_type, 0),
                fits,
                "{map_type} with helper {helper} in {prog_type}"
            );
        }
    }
    taken.len() + refused.len()
}

#[test]
fn helpers_take_the_maps_that_linux_lets_them_take() {
    let mut checked = 0;
    for line in RECORDED.lines().filter(|line| line.starts_with("helper ")) {
        let (key, lists) = line["helper ".len()..]
            .split_once(": ")
            .expect("a row has a colon");
        let (taken, refused) = lists.split_once('|').expect("a row has a bar");
        let (helper, prog_type) = key
            .split_once(" in ")
            .expect("a row names its program type");
        let prog_type = ProgType::from_u32(prog_type.parse().expect("a number")).expect("a type");
        let helper = helper.parse().expect("a number");
        checked += check(helper, prog_type, &types(taken), &types(refused));
    }
    assert!(checked > 10_000, "the recording is whole");
}

#[test]
fn sleepable_programs_use_the_maps_that_linux_lets_them_use() {
    let line = RECORDED
        .lines()
        .find_map(|line| line.strip_prefix("sleepable "))
        .expect("a row");
    let recorded = types(line);
    assert!(!recorded.is_empty());
    // Arenas and structures of operations could not be made for the recording.
    for map_type in MapType::ALL {
        if !matches!(
            map_type,
            MapType::Unspec | MapType::Arena | MapType::StructOps
        ) {
            assert_eq!(
                sleepable_map(*map_type),
                recorded.contains(map_type),
                "{map_type}"
            );
        }
    }
}
