//! Does the running Linux 6.18 enforce of each helper what its prototype here says?

use skep_abi::ProgType;
use skep_catalog::{Arg, ArgKind, Helper, ResultBound, Ret, helper_for, packet_to_helper};

const RECORDED: &str = include_str!("data/arguments.txt");

/// What a number that a helper returned looked like when its size argument was 8, on two
/// processors; pointers as the log names them.
fn result(helper: &Helper) -> String {
    let range = match helper.bound {
        ResultBound::None => "scalar()",
        ResultBound::SizeOrErrno => "scalar(smin=smin32=-4095,smax=smax32=8)",
        ResultBound::Cpus => "scalar(smin=smin32=0,smax=umax=smax32=umax32=1,var_off=(0x0;0x1))",
    };
    match helper.ret {
        Ret::Int => range.to_owned(),
        Ret::MapValueOrNull => "map_value_or_null(ks=4,vs=64)".to_owned(),
        Ret::SocketOrNull => "sock_or_null()".to_owned(),
        Ret::TcpSockOrNull => "tcp_sock_or_null()".to_owned(),
        Ret::SockCommonOrNull => "sock_common_or_null()".to_owned(),
        Ret::BtfId(name) => format!("trusted_ptr_{name}()"),
        Ret::BtfIdOrNull(name) => format!("ptr_or_null_{name}()"),
        other => panic!("{other:?} was never recorded"),
    }
}

/// Whether a recorded answer, if there is one, is `here`.
fn agrees(recorded: &str, here: bool) -> bool {
    recorded == "?" || recorded == if here { "1" } else { "0" }
}

/// Compares one recorded argument; `-` says that the helper does not take it.
fn argument_agrees(recorded: &str, arg: &Arg, helper: &Helper, prog_type: ProgType) -> bool {
    if recorded == "-" {
        return !arg.is_used();
    }
    let (kinds, answers) = recorded.split_once(':').expect("kinds and answers");
    let answer = |index: usize| answers.get(index..=index).expect("four answers");
    let kinds_agree = match arg.expected() {
        Some(expected) => expected.replace(", ", "+") == kinds,
        None => kinds == "number",
    };
    arg.is_used()
        && kinds_agree
        && agrees(answer(0), arg.nullable)
        && agrees(answer(1), arg.writes)
        && agrees(answer(2), arg.kind == ArgKind::ConstSizeOrZero)
        && agrees(
            answer(3),
            packet_to_helper(prog_type, helper.pkt_access, arg.writes),
        )
}

fn check(line: &str) -> usize {
    let columns: Vec<&str> = line.split(' ').collect();
    let [id, types, gpl, changes, r0, arguments @ ..] = columns.as_slice() else {
        panic!("{line:?} is no row");
    };
    let value = |column: &'static str| {
        move |text: &str| {
            text.strip_prefix(column)
                .unwrap_or_else(|| panic!("{text:?} is not {column}"))
                .to_owned()
        }
    };
    let (gpl, changes, r0) = (
        value("gpl=")(gpl),
        value("changes=")(changes),
        value("r0=")(r0),
    );
    for number in types.split(',') {
        let prog_type = ProgType::from_u32(number.parse().expect("a number")).expect("a type");
        let helper = helper_for(prog_type, id.parse().expect("a number")).expect("a helper");
        let place = format!("{} in {prog_type}: {line}", helper.name);
        assert!(agrees(&gpl, helper.gpl_only), "licence of {place}");
        assert!(
            agrees(&changes, helper.changes_packet),
            "packet pointers after {place}"
        );
        assert!(r0 == "?" || r0 == result(helper), "result of {place}");
        for (recorded, arg) in arguments.iter().zip(&helper.args) {
            assert!(
                argument_agrees(recorded, arg, helper, prog_type),
                "{recorded} of {place}"
            );
        }
    }
    1
}

#[test]
fn prototypes_say_what_linux_enforces() {
    let checked: usize = RECORDED
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(check)
        .sum();
    assert!(checked > 300, "the recording is whole");
}
