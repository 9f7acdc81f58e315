//! What Linux 6.18.44 answered to blobs, good and bad: errno and the end of the log.

use skep_abi::Errno;
use skep_btf::{Builder, Kind, TypeId, check};

const FLAG: u32 = 1 << 31;

/// A blob that begins with `int`; the rest is written word by word.
fn blob(names: &[&str], records: &[&[u32]]) -> Vec<u8> {
    let mut builder = Builder::new();
    builder.int("int", 4, false);
    // Names are given by their place in the list, from 1.
    let offsets: Vec<u32> = names.iter().map(|name| builder.string(name)).collect();
    for record in records {
        let id = builder.add(Kind::Ptr, "", (0, false), 0, &[]);
        let mut words = record.to_vec();
        if let Some(name) = words[0].checked_sub(1) {
            words[0] = offsets[name as usize];
        }
        builder.replace(id, words);
    }
    builder.finish()
}

fn info(kind: Kind, vlen: u32) -> u32 {
    kind.number() << 24 | vlen
}

#[test]
fn answers_of_linux() {
    let check = |records: &[&[u32]], errno: Result<(), Errno>, tail: &str| {
        let raw = blob(&["x", "a b"], records);
        let report = check(&raw, true);
        let log = String::from_utf8_lossy(&report.log).into_owned();
        assert_eq!(report.verdict, errno, "{log}");
        assert!(log.ends_with(tail), "{tail:?} is not the end of {log}");
        assert_eq!(check(&raw, false).verdict, errno, "without a log");
    };
    let einval = Err(Errno::EINVAL);
    let ptr = info(Kind::Ptr, 0);
    check(&[&[0, ptr, 0]], Ok(()), "[2] PTR (anon) type_id=0\n");
    check(
        &[&[0, ptr, 2]],
        Err(Errno::EEXIST),
        "[2] PTR (anon) type_id=2 Loop detected\n",
    );
    check(
        &[&[0, ptr, 99]],
        einval,
        "[2] PTR (anon) type_id=99\n[2] PTR (anon) type_id=99 Invalid type_id\n",
    );
    // A section looks into each variable, also behind one that is a pointer.
    check(
        &[
            &[1, info(Kind::DataSec, 2), 12, 3, 0, 8, 4, 8, 4],
            &[1, info(Kind::Var, 0), 5, 0],
            &[1, info(Kind::Var, 0), 6, 0],
            &[0, ptr, 6],
            &[1, info(Kind::Struct, 1), 4, 1, 7, 0],
            &[0, info(Kind::Const, 0), 0],
            &[1, info(Kind::Func, 0), 1],
        ],
        einval,
        "[6] STRUCT x size=4 vlen=1\n\tint type_id=7 bits_offset=0 Invalid member\n",
    );
    check(
        &[&[1, ptr | 1, 1 << 20]],
        einval,
        "[2] PTR x type_id=1048576 vlen != 0\n",
    );
    check(
        &[&[0, ptr | FLAG, 1]],
        einval,
        "type_id=1 Invalid btf_info kind_flag\n",
    );
    check(
        &[&[0, 21 << 24, 1]],
        einval,
        "encoding=(none)\n[2] Invalid kind:21",
    );
    check(
        &[&[0, ptr | 1 << 16, 1]],
        einval,
        "[2] Invalid btf_info:2010000",
    );
    check(
        &[&[2, info(Kind::Typedef, 0), 1]],
        einval,
        "[2] TYPEDEF a b type_id=1 Invalid name\n",
    );
    check(
        &[&[2, info(Kind::TypeTag, 0), 1]],
        Ok(()),
        "[2] TYPE_TAG a b type_id=1\n",
    );
    check(
        &[
            &[0, info(Kind::Const, 0), 3],
            &[1, info(Kind::TypeTag, 0), 1],
        ],
        einval,
        "[3] TYPE_TAG x type_id=1\nType tags don't precede modifiers",
    );
    let array = info(Kind::Array, 0);
    check(
        &[&[0, array, 0, 1, 1, 1 << 30]],
        einval,
        "nr_elems=1073741824 Array size overflows U32_MAX\n",
    );
    check(
        &[&[0, array, 0, 1, 1]],
        einval,
        "[2] ARRAY (anon) meta_left:8 meta_needed:12\n",
    );
    let pair = info(Kind::Struct, 1);
    check(
        &[&[1, pair, 3, 0, 1, 0]],
        einval,
        "[2] STRUCT x size=3 vlen=1\n\t(anon) type_id=1 bits_offset=0\n\
         [2] STRUCT x size=3 vlen=1\n\t(anon) type_id=1 bits_offset=0 Member exceeds struct_size\n",
    );
    check(
        &[&[1, pair | FLAG, 4, 0, 1, 33 << 24]],
        einval,
        "bitfield_size=33 bits_offset=0 Invalid member bitfield_size\n",
    );
    check(
        &[&[1, pair, 8, 0, 3, 0], &[0, ptr, 2]],
        Ok(()),
        "[3] PTR (anon) type_id=2\n",
    );
    check(
        &[&[1, pair, 8, 0, 3, 0], &[0, info(Kind::Const, 0), 2]],
        Err(Errno::EEXIST),
        "[2] STRUCT x size=8 vlen=1 Loop detected\n",
    );
    let float = info(Kind::Float, 0);
    check(
        &[&[1, float, 3]],
        einval,
        "[2] FLOAT x size=3 Invalid type_size\n",
    );
    check(
        &[&[1, info(Kind::Var, 0), 1, 2]],
        einval,
        "linkage=2 Linkage not supported\n",
    );
    check(
        &[&[1, info(Kind::Func, 2), 1]],
        einval,
        "[2] FUNC x type_id=1 Invalid func linkage\n",
    );
    check(
        &[&[1, info(Kind::DeclTag, 0), 1, u32::MAX]],
        einval,
        "[2] DECL_TAG x type=1 component_idx=-1 Invalid type_id\n",
    );
    check(
        &[&[1, info(Kind::DataSec, 1), 4, 1, 0, 4]],
        einval,
        "[2] DATASEC x size=4 vlen=1\n\t type_id=1 offset=0 size=4 Not a VAR kind member\n",
    );
    check(
        &[&[1, info(Kind::Enum, 1) | FLAG, 4, 0, 5]],
        einval,
        "[2] ENUM x size=4 vlen=1 Invalid name\n",
    );
}

#[test]
fn headers() {
    let good = blob(&[], &[]);
    let check = |change: &dyn Fn(&mut Vec<u8>), errno: Errno, tail: &str| {
        let mut raw = good.clone();
        change(&mut raw);
        let report = check(&raw, true);
        let log = String::from_utf8_lossy(&report.log).into_owned();
        assert_eq!(
            (report.verdict, log.ends_with(tail)),
            (Err(errno), true),
            "{log}"
        );
    };
    check(&|raw| raw.truncate(7), Errno::EINVAL, "hdr_len not found");
    check(
        &|raw| raw.truncate(23),
        Errno::EINVAL,
        "btf_header not found",
    );
    check(
        &|raw| raw.truncate(24),
        Errno::EINVAL,
        "btf_total_size: 24\nNo data",
    );
    check(
        &|raw| raw[0] = 0,
        Errno::EINVAL,
        "btf_total_size: 45\nInvalid magic",
    );
    check(&|raw| raw[2] = 2, Errno::ENOTSUPP, "Unsupported version");
    check(&|raw| raw[3] = 1, Errno::ENOTSUPP, "Unsupported flags");
    check(&|raw| raw[4] = 45, Errno::E2BIG, "Unsupported btf_header");
    check(
        &|raw| raw[8] = 4,
        Errno::EINVAL,
        "Unsupported section found",
    );
    check(&|raw| raw[16] = 12, Errno::EINVAL, "Section overlap found");
    check(
        &|raw| raw[20] = 6,
        Errno::EINVAL,
        "Total section length too long",
    );
    check(&|raw| raw[44] = 1, Errno::EINVAL, "Invalid string section");
}

#[test]
fn fields_of_the_kernel() {
    let check = |size: u32, locks: &[u32], errno: Result<(), Errno>| {
        let mut b = Builder::new();
        b.int("int", 4, true);
        let lock = b.struct_("bpf_spin_lock", size, &[]);
        let members: Vec<(&str, TypeId, u32)> = locks.iter().map(|at| ("l", lock, *at)).collect();
        b.struct_("s", 64, &members);
        assert_eq!(check(&b.finish(), true).verdict, errno, "{size} {locks:?}");
    };
    check(4, &[0], Ok(()));
    check(4, &[0, 64], Err(Errno::E2BIG));
    check(4, &[16], Err(Errno::EFAULT));
    check(8, &[0], Err(Errno::EFAULT));
}

/// Chains and lists as long as they can be take no more than a moment.
#[test]
fn no_blow_up() {
    let mut b = Builder::new();
    let mut last = b.int("int", 4, true);
    for _ in 0..300_000 {
        last = b.refer(Kind::Const, "", last);
    }
    for _ in 0..60 {
        let member = ("m", last, 0);
        b.union_("u", 4, &vec![member; 60_000]);
    }
    let raw = b.finish();
    assert_eq!(check(&raw, false).verdict, Ok(()));
}
