//! What the views promise about short, long and foreign bytes, and what names say.

use skep_abi::{
    ATTR_SIZE, AttachType, Buffers, Cmd, Errno, LinkType, LogLevel, MapFlags, MapType, ProgType,
    UserMemory, attr, check_attr_size, context, copy_in, copy_in_string, info, object_name,
};

/// An attribute of `len` zeros with one byte set.
fn attr_with(len: usize, at: Option<usize>) -> Vec<u8> {
    let mut bytes = vec![0; len];
    if let Some(byte) = at {
        bytes[byte] = 1;
    }
    bytes
}

#[test]
fn bytes_behind_a_view_must_be_zero() {
    let check = |len: usize, at: Option<usize>, want: Result<(), Errno>| {
        let got = attr::MapFreeze::checked(&attr_with(len, at)).map(|_| ());
        assert_eq!(got, want, "{len} bytes, set at {at:?}");
    };
    check(0, None, Ok(()));
    check(4, Some(3), Ok(()));
    check(ATTR_SIZE, Some(0), Ok(()));
    check(ATTR_SIZE, Some(4), Err(Errno::EINVAL));
    check(ATTR_SIZE, Some(ATTR_SIZE - 1), Err(Errno::EINVAL));
    check(ATTR_SIZE + 1, None, Ok(()));
    check(ATTR_SIZE + 1, Some(ATTR_SIZE), Err(Errno::E2BIG));
    check(4096, None, Ok(()));
    check(4097, None, Err(Errno::E2BIG));
    assert_eq!(check_attr_size(&attr_with(ATTR_SIZE, Some(9))), Ok(()));
    let behind_info = info::MapInfo::checked(&attr_with(info::MapInfo::SIZE + 1, Some(104)));
    assert_eq!(behind_info, Err(Errno::E2BIG));
}

#[test]
fn short_attributes_continue_with_zeros() {
    let mut load = attr::ProgLoad::new();
    load.set_prog_type(6).set_insn_cnt(2).set_keyring_id(-1);
    let short = attr::ProgLoad::checked(&load.bytes()[..6]).unwrap();
    assert_eq!(
        (short.prog_type(), short.insn_cnt(), short.keyring_id()),
        (6, 2, 0)
    );
    let whole = attr::ProgLoad::checked(load.bytes()).unwrap();
    assert_eq!(whole, load);
    let mut answer = [0xff; 6];
    whole.write_back(&mut answer);
    assert_eq!(answer, load.bytes()[..6]);
}

#[test]
fn fields_do_not_overlap_unless_linux_says_so() {
    let check = |view: &str, size: usize, fields: &[(&str, usize, usize)], shared: &[&str]| {
        let mut end = 0;
        for (name, offset, len) in fields {
            assert!(offset + len <= size, "{view}.{name} leaves the view");
            assert!(
                *offset >= end || shared.contains(name),
                "{view}.{name} overlaps"
            );
            end = end.max(offset + len);
        }
    };
    check(
        "MapCreate",
        attr::MapCreate::SIZE,
        attr::MapCreate::FIELDS,
        &[],
    );
    check(
        "MapBatch",
        attr::MapBatch::SIZE,
        attr::MapBatch::FIELDS,
        &[],
    );
    check(
        "ProgLoad",
        attr::ProgLoad::SIZE,
        attr::ProgLoad::FIELDS,
        &["attach_btf_obj_fd"],
    );
    check(
        "ProgTestRun",
        attr::ProgTestRun::SIZE,
        attr::ProgTestRun::FIELDS,
        &[],
    );
    check("BtfLoad", attr::BtfLoad::SIZE, attr::BtfLoad::FIELDS, &[]);
    check(
        "ProgInfo",
        info::ProgInfo::SIZE,
        info::ProgInfo::FIELDS,
        &[],
    );
    check("MapInfo", info::MapInfo::SIZE, info::MapInfo::FIELDS, &[]);
    check("XdpMd", context::XdpMd::SIZE, context::XdpMd::FIELDS, &[]);
    check(
        "SkBuff",
        context::SkBuff::SIZE,
        context::SkBuff::FIELDS,
        &[],
    );
}

#[test]
fn names_are_bpftools() {
    assert_eq!(ProgType::from_name("sched_cls"), Some(ProgType::SchedCls));
    assert_eq!(ProgType::RawTracepoint.name(), "raw_tracepoint");
    assert_eq!(
        MapType::from_u32(6).map(MapType::name),
        Some("percpu_array")
    );
    assert_eq!(MapType::from_u32(34), None);
    assert_eq!(
        AttachType::SkSkbStreamVerdict.c_name(),
        "BPF_SK_SKB_STREAM_VERDICT"
    );
    assert_eq!(LinkType::Tcx.to_string(), "tcx");
    assert_eq!(Cmd::from_u32(22), Some(Cmd::MapFreeze));
    for number in 0..64 {
        let known = ProgType::from_u32(number);
        assert_eq!(known.map(ProgType::as_u32), known.and(Some(number)));
        assert_eq!(
            known.and_then(|known| ProgType::from_name(known.name())),
            known
        );
    }
}

#[test]
fn errors_and_flags_print_by_name() {
    assert_eq!(Errno::EACCES.to_string(), "EACCES");
    assert_eq!(format!("{:?}", Errno(524)), "ENOTSUPP");
    assert_eq!(Errno(4000).to_string(), "errno 4000");
    assert_eq!(Errno::from_name("E2BIG"), Some(Errno(7)));
    let flags = MapFlags::RDONLY_PROG | MapFlags::MMAPABLE | MapFlags(1 << 30);
    assert_eq!(format!("{flags:?}"), "rdonly_prog|mmapable|0x40000000");
    assert_eq!(flags.beyond(MapFlags::KNOWN), MapFlags(1 << 30));
    assert_eq!(format!("{:?}", LogLevel(0)), "0x0");
}

#[test]
fn object_names_are_cut_and_cleaned() {
    assert_eq!(&object_name("a-b.c_d"), b"a_b.c_d\0\0\0\0\0\0\0\0\0");
    assert_eq!(&object_name("0123456789abcdef"), b"0123456789abcde\0");
}

#[test]
fn strings_end_at_their_nul_or_at_the_limit() {
    // What lies between the two is not lent.
    let whole = *b"open|GPL\0rest";
    let (open, text) = (&whole[..4], &whole[5..]);
    let mut memory = Buffers::new();
    let text = memory.input(text);
    let open = memory.input(open);
    assert_eq!(copy_in_string(&memory, text, 128), Ok(b"GPL".to_vec()));
    assert_eq!(copy_in_string(&memory, text, 2), Ok(b"GP".to_vec()));
    assert_eq!(copy_in_string(&memory, open, 128), Err(Errno::EFAULT));
    assert_eq!(copy_in(&memory, text + 4, 4), Ok(b"rest".to_vec()));
    assert_eq!(copy_in(&memory, text + 4, 5), Err(Errno::EFAULT));
    assert_eq!(memory.write(text, b"x"), Err(Errno::EFAULT));
    assert_eq!(memory.read(u64::MAX, &mut [0; 2]), Err(Errno::EFAULT));
}
