//! Does every access to every context end as it ended in the running Linux 6.18?

use std::collections::HashMap;

use skep_abi::ProgType;
use skep_catalog::{CtxValue, ctx_access};

const RECORDED: &str = include_str!("data/contexts.txt");

/// How the log writes what a load leaves in r0.
fn text(value: CtxValue) -> String {
    match value {
        CtxValue::Scalar => "scalar".to_owned(),
        CtxValue::Packet => "pkt(r=0)".to_owned(),
        CtxValue::PacketEnd => "pkt_end()".to_owned(),
        CtxValue::PacketMeta => "pkt_meta(r=0)".to_owned(),
        CtxValue::Socket => "sock()".to_owned(),
        CtxValue::SocketOrNull => "sock_or_null()".to_owned(),
        CtxValue::SockCommonOrNull => "sock_common_or_null()".to_owned(),
        CtxValue::FlowKeys => "flow_keys()".to_owned(),
        CtxValue::TpBuffer => "tp_buffer()".to_owned(),
        CtxValue::TrustedPtr(name) => format!("trusted_ptr_{name}()"),
    }
}

fn numbers(columns: &[&str]) -> Vec<u32> {
    columns
        .iter()
        .map(|column| column.parse().expect("a number"))
        .collect()
}

#[test]
fn accesses_end_as_in_linux() {
    let mut windows = Vec::new();
    let mut accepted = HashMap::new();
    for line in RECORDED.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split(' ').collect();
        match columns.as_slice() {
            ["window", rest @ ..] => windows.push(numbers(rest)),
            [key @ .., way, result] => {
                accepted.insert((numbers(key), *way == "w"), *result);
            }
            _ => panic!("{line:?} is no row"),
        }
    }
    let mut checked = 0;
    let mut differences = Vec::new();
    for window in windows {
        let &[number, attach, bytes] = window.as_slice() else {
            panic!("a window has three")
        };
        let prog_type = ProgType::from_u32(number).expect("a program type");
        for offset in 0..bytes {
            for size in [1, 2, 4, 8] {
                for write in [false, true] {
                    let field = ctx_access(prog_type, attach, offset, size, write);
                    let here = field.map(|field| match write {
                        true => "stored".to_owned(),
                        false => text(field.value),
                    });
                    let linux = accepted.get(&(vec![number, attach, offset, size], write));
                    if here.as_deref() != linux.copied() {
                        differences.push(format!(
                            "{prog_type} attach {attach} offset {offset} size {size} write \
                             {write}: linux {linux:?}, here {here:?}"
                        ));
                    }
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 100_000, "the recording is whole");
    assert!(
        differences.is_empty(),
        "{}:\n{}",
        differences.len(),
        differences.join("\n")
    );
}
