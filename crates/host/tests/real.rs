//! The host against the running kernel; each test ends at once where `bpf(2)` is refused.

use skep_abi::{Bpf, Buffers, Cmd, Errno, Files, MapType, ProgType, attr, info};
use skep_host::Host;

fn host() -> Option<Host> {
    Host::available().ok().map(|()| Host::new())
}

fn create(host: &Host, map_type: MapType, value_size: u32) -> u32 {
    let mut create = attr::MapCreate::new();
    create
        .set_map_type(map_type.into())
        .set_key_size(4)
        .set_value_size(value_size);
    create.set_max_entries(4);
    host.bpf(Cmd::MapCreate.into(), create.as_attr(), &mut Buffers::new())
        .unwrap()
}

/// One element command with buffers of the given lengths; what lies in `value` afterwards.
fn element(host: &Host, cmd: Cmd, fd: u32, key: &[u8], value: &mut [u8]) -> Result<(), Errno> {
    let mut memory = Buffers::new();
    let mut elem = attr::MapElem::new();
    elem.set_map_fd(fd)
        .set_key(memory.input(key))
        .set_value(memory.output(value));
    host.bpf(cmd.into(), elem.as_attr(), &mut memory).map(drop)
}

#[test]
fn elements_go_in_and_out() {
    let Some(host) = host() else { return };
    let cpus = usize::try_from(host.possible_cpus().unwrap()).unwrap();
    for (map_type, one, bytes) in [
        (MapType::Array, 8, 8),
        (MapType::Hash, 8, 8),
        (MapType::PercpuArray, 5, 8 * cpus),
        (MapType::PercpuHash, 16, 16 * cpus),
    ] {
        let fd = create(&host, map_type, one);
        let key = 2u32.to_ne_bytes();
        let mut value = vec![7; bytes];
        assert_eq!(
            element(&host, Cmd::MapUpdateElem, fd, &key, &mut value),
            Ok(()),
            "{map_type}"
        );
        let mut back = vec![0; bytes];
        assert_eq!(
            element(&host, Cmd::MapLookupElem, fd, &key, &mut back),
            Ok(()),
            "{map_type}"
        );
        let whole = usize::try_from(one).unwrap();
        assert_eq!(back[..whole], value[..whole], "{map_type}");
        let short = element(&host, Cmd::MapLookupElem, fd, &key, &mut vec![0; bytes - 1]);
        assert_eq!(short, Err(Errno::EFAULT), "{map_type}");
        let short = element(&host, Cmd::MapLookupElem, fd, &key[..3], &mut back);
        assert_eq!(short, Err(Errno::EFAULT), "{map_type}");
        assert_eq!(host.close(fd), Ok(()));
        assert_eq!(host.close(fd), Err(Errno::EBADF));
    }
}

#[test]
fn a_batch_tells_how_many() {
    let Some(host) = host() else { return };
    let fd = create(&host, MapType::Array, 4);
    let (mut next, mut keys, mut values) = ([0; 4], [0; 16], [9; 16]);
    let mut memory = Buffers::new();
    let mut batch = attr::MapBatch::new();
    batch
        .set_out_batch(memory.output(&mut next))
        .set_keys(memory.output(&mut keys));
    batch
        .set_values(memory.output(&mut values))
        .set_count(4)
        .set_map_fd(fd);
    let result = host.bpf(Cmd::MapLookupBatch.into(), batch.as_attr(), &mut memory);
    drop(memory);
    assert!(matches!(result, Ok(0) | Err(Errno::ENOENT)), "{result:?}");
    assert_eq!(batch.count(), 4);
    assert_eq!((keys[4], values), (1, [0; 16]));
}

/// Loads a program with a log and says what came of it.
fn load(host: &Host, insns: &[u8]) -> (Result<u32, Errno>, String) {
    let mut log = vec![0xff; 1 << 16];
    let mut memory = Buffers::new();
    let mut load = attr::ProgLoad::new();
    load.set_prog_type(ProgType::SocketFilter.into());
    load.set_insn_cnt(u32::try_from(insns.len() / 8).unwrap())
        .set_insns(memory.input(insns));
    load.set_license(memory.input(b"GPL\0")).set_log_level(1);
    load.set_log_size(1 << 16)
        .set_log_buf(memory.output(&mut log));
    let result = host.bpf(Cmd::ProgLoad.into(), load.as_attr(), &mut memory);
    drop(memory);
    let end = log.iter().position(|byte| *byte == 0).unwrap();
    assert_eq!(load.log_true_size(), u32::try_from(end + 1).unwrap());
    (result, String::from_utf8(log[..end].to_vec()).unwrap())
}

const EXIT: [u8; 8] = [0x95, 0, 0, 0, 0, 0, 0, 0];
const RETURN_9: [u8; 16] = [0xb7, 0, 0, 0, 9, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn the_log_comes_back() {
    let Some(host) = host() else { return };
    let (result, log) = load(&host, &EXIT);
    assert_eq!(result, Err(Errno::EACCES));
    assert!(log.contains("R0 !read_ok"), "{log}");
    let (result, log) = load(&host, &RETURN_9);
    assert!(result.is_ok());
    assert!(log.starts_with("processed 2 insns"), "{log}");
}

#[test]
fn a_program_runs_and_says_what_it_is() {
    let Some(host) = host() else { return };
    let fd = load(&host, &RETURN_9).0.unwrap();
    let (packet, mut out) = ([1; 20], [0; 32]);
    let mut memory = Buffers::new();
    let mut run = attr::ProgTestRun::new();
    run.set_prog_fd(fd)
        .set_data_in(memory.input(&packet))
        .set_data_size_in(20);
    run.set_data_out(memory.output(&mut out))
        .set_data_size_out(32);
    host.bpf(Cmd::ProgTestRun.into(), run.as_attr(), &mut memory)
        .unwrap();
    drop(memory);
    assert_eq!((run.retval(), run.data_size_out()), (9, 20));
    // Linux clears the link-layer header of what a socket filter is given.
    assert_eq!(
        (&out[..14], &out[14..20], out[20]),
        (&[0; 14][..], &packet[14..], 0)
    );

    let mut xlated = [0; 16];
    let mut answer = info::ProgInfo::new();
    let mut memory = Buffers::new();
    answer
        .set_xlated_prog_insns(memory.output(&mut xlated))
        .set_xlated_prog_len(16);
    let pointer = answer.xlated_prog_insns();
    let info_at = memory.output(answer.as_attr());
    let mut request = attr::ObjGetInfo::new();
    request.set_bpf_fd(fd).set_info(info_at);
    request.set_info_len(u32::try_from(info::ProgInfo::SIZE).unwrap());
    host.bpf(Cmd::ObjGetInfoByFd.into(), request.as_attr(), &mut memory)
        .unwrap();
    drop(memory);
    assert_eq!((request.bpf_fd(), request.info()), (fd, info_at));
    assert_eq!(
        (answer.prog_type(), answer.xlated_prog_insns()),
        (1, pointer)
    );
    assert_eq!(xlated[8], 0x95);
}

#[test]
fn what_is_not_described_is_refused() {
    let Some(host) = host() else { return };
    let check = |cmd: u32, attr: &mut [u8], want: Errno| {
        assert_eq!(
            host.bpf(cmd, attr, &mut Buffers::new()),
            Err(want),
            "command {cmd}"
        );
    };
    check(200, &mut [0; 8], Errno::EINVAL);
    check(200, &mut [1; 200], Errno::E2BIG);
    check(Cmd::MapFreeze.into(), &mut [0, 0, 0, 0, 1], Errno::EINVAL);
    let mut link = attr::LinkCreate::new();
    link.set_attach_type(skep_abi::AttachType::TraceKprobeMulti.into());
    check(Cmd::LinkCreate.into(), link.as_attr(), Errno::EOPNOTSUPP);
    let mut run = attr::ProgTestRun::new();
    run.set_data_out(0x1000);
    check(Cmd::ProgTestRun.into(), run.as_attr(), Errno::EFAULT);
}

#[test]
fn a_thread_can_do_without_capabilities() {
    let Some(host) = host() else { return };
    let create = || {
        let mut create = attr::MapCreate::new();
        create
            .set_map_type(MapType::LpmTrie.into())
            .set_key_size(8)
            .set_value_size(4);
        create
            .set_max_entries(1)
            .set_map_flags(skep_abi::MapFlags::NO_PREALLOC.0);
        host.bpf(Cmd::MapCreate.into(), create.as_attr(), &mut Buffers::new())
    };
    assert!(create().is_ok());
    assert_eq!(
        skep_host::with_capabilities(skep_abi::Capabilities::NONE, create),
        Ok(Err(Errno::EPERM))
    );
    assert!(create().is_ok());
}
