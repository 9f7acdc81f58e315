//! Pulling fragments of packets into their linear part, with the answers that Linux 6.18 gave.

use std::path::Path;
use std::sync::Arc;

use skep::abi::ProgType;
use skep::{Kernel, LoadOptions, LogOptions, Object, ProgIndex, RunInput, test_run};
use skep_btf::Btf;

const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";
const FILE: &str = "programs/kfunc_pull.bpf.o";
/// `XDP_PASS`.
const PASS: u32 = 2;

/// The size of the packet and of its linear part (0 for as much as fits), what is asked for
/// (`struct asked`), and the answer (`struct answer`).
type Case = ([usize; 2], [i32; 5], [i32; 6]);

const CASES: &[Case] = &[
    ([9000, 0], [64, 0, 0, 0, 216], [0, 3520, 3520, 0, 9000, 0]),
    ([9000, 0], [64, 0, 0, 0, 217], [0, 3520, 3520, 0, 9000, -22]),
    ([9000, 0], [3521, 0, 0, 0, 215], [0, 3520, 3521, 0, 9000, 0]),
    (
        [9000, 0],
        [3521, 0, 0, 0, 216],
        [0, 3520, 3521, 0, 9000, -22],
    ),
    ([9000, 0], [3736, 0, 0, 0, 0], [0, 3520, 3736, 0, 9000, 0]),
    (
        [9000, 0],
        [3737, 0, 0, 0, 216],
        [-22, 3520, 3520, 0, 9000, 0],
    ),
    (
        [9000, 100],
        [3520, 0, 0, 0, 216],
        [0, 100, 3520, 0, 9000, 0],
    ),
    ([9000, 100], [3700, 0, 0, 0, 36], [0, 100, 3700, 0, 9000, 0]),
    (
        [9000, 100],
        [3700, 0, 0, 0, 37],
        [0, 100, 3700, 0, 9000, -22],
    ),
    ([300, 100], [300, 0, 0, 0, 216], [0, 100, 300, 0, 300, 0]),
    ([300, 100], [301, 0, 0, 0, 0], [-22, 100, 100, 0, 300, 0]),
    ([300, 100], [64, 0, 0, 0, 0], [0, 100, 100, 0, 300, 0]),
    (
        [9000, 100],
        [3704, 0, 32, 0, 0],
        [0, 100, 3704, 32, 9000, 0],
    ),
    (
        [9000, 100],
        [3705, 0, 32, 0, 0],
        [-22, 100, 100, 32, 9000, 0],
    ),
    (
        [9000, 100],
        [3521, 0, 4, 0, 211],
        [0, 100, 3521, 4, 9000, 0],
    ),
    (
        [9000, 100],
        [3521, 0, 4, 0, 212],
        [0, 100, 3521, 4, 9000, -22],
    ),
    (
        [9000, 100],
        [3000, 60, 0, 0, 276],
        [0, 40, 3000, 0, 8940, 0],
    ),
    ([9000, 100], [3796, 60, 0, 0, 0], [-22, 40, 40, 0, 8940, 0]),
    ([9000, 100], [3797, 60, 0, 0, 0], [-22, 40, 40, 0, 8940, 0]),
    (
        [9000, 100],
        [3676, -60, 0, 0, 0],
        [0, 160, 3676, 0, 9060, 0],
    ),
    ([200, 0], [300, 0, 0, 0, 0], [-22, 200, 200, 0, 200, 0]),
    ([200, 0], [100, 0, 0, 0, 0], [0, 200, 200, 0, 200, 0]),
    ([9000, 100], [-1, 0, 0, 0, 0], [-22, 100, 100, 0, 9000, 0]),
    (
        [9000, 100],
        [3700, 0, 0, -6000, 0],
        [-22, 100, 100, 0, 3000, 0],
    ),
    (
        [5000, 100],
        [1000, 0, 0, 100, 0],
        [0, 100, 1000, 0, 5100, 0],
    ),
    ([4096, 100], [4000, 0, 0, 0, 0], [-22, 100, 100, 0, 4096, 0]),
];

fn bytes<const N: usize>(words: &[i32; N]) -> impl Iterator<Item = u8> + '_ {
    words.iter().flat_map(|word| word.to_ne_bytes())
}

#[test]
fn fragments_are_pulled() {
    let Ok(types) = std::fs::read(KERNEL_BTF) else {
        return;
    };
    let types = Arc::new(Btf::parse_on(types, None).expect("the kernel's types"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(FILE);
    let object = std::fs::read(path).expect("the object is there");
    let object = Object::open(&object, FILE).expect("an object");
    for native in [true, false] {
        let kernel = Kernel::builder()
            .kernel_btf(types.clone())
            .native(native)
            .build();
        let mut loaded = object
            .prepare(&kernel, LoadOptions::default())
            .expect("no maps");
        let load = loaded
            .load_program(ProgIndex(0), &LogOptions::BRIEF)
            .expect("a program");
        loaded.keep(ProgIndex(0), load.outcome.expect("a program"));
        let fd = loaded.program(ProgIndex(0)).expect("a descriptor").raw();
        for &([size, linear], asked, answer) in CASES {
            let rest = (20..size).map(|at| at as u8);
            let data: Vec<u8> = bytes(&asked).chain(rest.clone()).collect();
            let ctx: Vec<u8> = bytes(&[0, linear as i32, 0, 0, 0, 0]).collect();
            let input = RunInput {
                data,
                ctx: if linear == 0 { Vec::new() } else { ctx },
                ..RunInput::default()
            };
            let out = test_run(&kernel, fd, ProgType::Xdp, &input).expect("it runs");
            assert_eq!(out.retval, PASS);
            // Metadata comes first.
            let meta = answer[3] as usize;
            let got = out.data.get(meta..).expect("a packet");
            let expected: Vec<u8> = bytes(&answer).collect();
            assert_eq!(&got[..24], expected, "{size} {linear} {asked:?}");
            // A packet whose head has not moved is otherwise what it was.
            let kept = asked[1] == 0 && asked[3] == 0;
            let same = got[24..].iter().copied().eq(rest.skip(4));
            assert!(same || !kept, "{size} {linear} {asked:?}: other bytes");
        }
    }
}
