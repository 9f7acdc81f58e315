//! Whatever a caller sends, a kernel answers: no panic, no hang, and it still works after.

use skep_abi::{Bpf, Buffers, Cmd, Files, MapType, ProgType, attr};
use skep_kernel::Kernel;

/// Xorshift, so that every run is the same.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Mostly numbers that mean something somewhere.
    fn word(&mut self, addresses: &[u64]) -> u64 {
        match self.below(8) {
            0 => self.next(),
            1 => 1 << self.below(64),
            2 | 3 => self.below(40),
            4 => [4, 8, 16, 64, 4096][self.below(5) as usize],
            _ => addresses[self.below(addresses.len() as u64) as usize] + self.below(2) * 8,
        }
    }
}

#[test]
fn any_attribute_is_answered() {
    let kernel = Kernel::builder().cpus(2).fuel(Some(100_000)).build();
    let mut noise = Noise(0x1234_5678_9abc_def1);
    let returns = [0xb7, 0, 0, 0, 2, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
    for round in 0..40_000u32 {
        let mut junk = vec![0; 256];
        junk.iter_mut()
            .for_each(|b| *b = noise.next() as u8 & noise.next() as u8);
        let mut answer = vec![0; 512];
        let license = *b"GPL\0";
        let mut memory = Buffers::new();
        let addresses = [
            memory.input(&junk),
            memory.output(&mut answer),
            memory.input(&returns),
            memory.input(&license),
        ];
        let cmd = noise.below(40) as u32;
        let mut bytes = vec![0; noise.below(176) as usize];
        for word in bytes.chunks_mut(4) {
            let value = noise.word(&addresses);
            for (to, from) in word.iter_mut().zip(value.to_ne_bytes()) {
                *to = from;
            }
        }
        // Addresses only fit where both halves are set, so some words are set whole.
        for _ in 0..noise.below(4) {
            let at = noise.below(20) as usize * 8;
            if let Some(place) = bytes.get_mut(at..at + 8) {
                let address = addresses[noise.below(4) as usize];
                place.copy_from_slice(&address.to_ne_bytes());
            }
        }
        // What asks for memory by the gigabyte may get it; that is not what is tried here.
        if cmd == u32::from(Cmd::MapCreate) {
            for place in [4, 8, 12] {
                if let Some(word) = bytes.get_mut(place + 2..place + 4) {
                    word.fill(0);
                }
            }
        }
        if cmd == u32::from(Cmd::ProgTestRun)
            && let Some(repeat) = bytes.get_mut(33..36)
        {
            repeat.fill(0);
        }
        let _ = kernel.bpf(cmd, &mut bytes, &mut memory);
        if round % 64 == 0 {
            for fd in 20..200 {
                let _ = kernel.close(fd);
            }
        }
    }
    let mut create = attr::MapCreate::new();
    create
        .set_map_type(MapType::Array.into())
        .set_key_size(4)
        .set_value_size(8)
        .set_max_entries(1);
    let fd = kernel.bpf(Cmd::MapCreate.into(), create.as_attr(), &mut Buffers::new());
    assert!(fd.is_ok(), "{fd:?}");
}

/// The same for calls that are right but for a few words.
#[test]
fn almost_right_calls_are_answered() {
    let kernel = Kernel::builder()
        .cpus(2)
        .fuel(Some(100_000))
        .checking(true)
        .build();
    let mut noise = Noise(0xfeed_beef_1234_5677);
    let mut code = [0u8; 16 * 8];
    let mut accepted = 0;
    for round in 0..20_000u32 {
        // Arithmetic, context and stack accesses, jumps and calls on registers that hold
        // something: the verifier refuses many, and none of the others may do harm.
        const OPS: [u8; 20] = [
            0x07, 0x0f, 0x27, 0x3f, 0x57, 0x67, 0x77, 0xc7, 0x04, 0x0c, 0xb4, 0xbc, 0x61, 0x79,
            0x7b, 0x63, 0x15, 0x2d, 0xdb, 0x85,
        ];
        const CALLS: [i32; 6] = [5, 7, 8, 14, 42, 188];
        for slot in code.chunks_mut(8) {
            let op = OPS[noise.below(20) as usize];
            let regs = [0, 2, 3];
            let (dst, src) = (regs[noise.below(3) as usize], regs[noise.below(3) as usize]);
            let (dst, src, off) = match op {
                0x61 | 0x79 if noise.below(2) == 0 => (dst, 10, -8 * (1 + noise.below(2) as i16)),
                0x61 | 0x79 => (dst, 6, 4 * noise.below(20) as i16),
                0x7b | 0x63 | 0xdb => (10, src, -8 * (1 + noise.below(2) as i16)),
                _ => (dst, src, noise.below(3) as i16),
            };
            let imm = match op {
                0x85 => CALLS[noise.below(6) as usize],
                0xdb => 0,
                _ => noise.below(40) as i32,
            };
            slot[0] = op;
            slot[1] = if op == 0x85 { 0 } else { dst | src << 4 };
            let keeps_off = matches!(op, 0x61 | 0x79 | 0x7b | 0x63 | 0x15 | 0x2d | 0xdb);
            slot[2..4].copy_from_slice(&if keeps_off { off } else { 0 }.to_le_bytes());
            let keeps_imm = op & 8 == 0 && !matches!(op, 0x61 | 0x79 | 0x7b | 0x63);
            slot[4..8]
                .copy_from_slice(&if keeps_imm || op == 0x85 { imm } else { 0 }.to_le_bytes());
        }
        for (at, insn) in [
            [0xb7, 0, 0, 0, 1, 0, 0, 0],
            [0xbf, 0x16, 0, 0, 0, 0, 0, 0],
            [0x7b, 0x0a, 0xf8, 0xff, 0, 0, 0, 0],
            [0x7b, 0x0a, 0xf0, 0xff, 0, 0, 0, 0],
            [0xb7, 2, 0, 0, 9, 0, 0, 0],
            [0xb7, 3, 0, 0, 5, 0, 0, 0],
        ]
        .into_iter()
        .enumerate()
        {
            code[at * 8..at * 8 + 8].copy_from_slice(&insn);
        }
        let last = code.len() - 8;
        code[last..].copy_from_slice(&[0x95, 0, 0, 0, 0, 0, 0, 0]);
        let (license, packet, mut out) = (*b"GPL\0", [7u8; 80], [0u8; 200]);
        let mut memory = Buffers::new();
        let mut load = attr::ProgLoad::new();
        let types = [ProgType::Xdp, ProgType::SchedCls, ProgType::SocketFilter];
        load.set_prog_type(types[noise.below(3) as usize].into())
            .set_insn_cnt(16);
        load.set_insns(memory.input(&code))
            .set_license(memory.input(&license));
        let Ok(fd) = kernel.bpf(Cmd::ProgLoad.into(), load.as_attr(), &mut memory) else {
            continue;
        };
        accepted += 1;
        let mut run = attr::ProgTestRun::new();
        run.set_prog_fd(fd)
            .set_data_in(memory.input(&packet))
            .set_data_size_in(80);
        run.set_data_out(memory.output(&mut out))
            .set_data_size_out(200);
        let ran = kernel.bpf(Cmd::ProgTestRun.into(), run.as_attr(), &mut memory);
        let trap = kernel.last_trap();
        let harmless = trap
            .as_deref()
            .is_none_or(|t| t.contains("fuel") || t.contains("unsupported"));
        assert!(harmless, "round {round}: {ran:?} {trap:?} {code:02x?}");
        kernel.close(fd).expect("was open");
    }
    assert!(accepted > 100, "only {accepted} programs were accepted");
}
