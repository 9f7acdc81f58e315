//! Do instructions that one handler runs together do what they do apart?

mod common;

use common::{TestHost, executable, run_checked, run_trusted};
use skep_vm::Limits;

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

/// Runs of instructions as compilers write them. `A` to `D` are registers, which may be the same
/// ones, `K` is a small number, `S` a size, `W` one or the other width, `L` a label of its own.
const IDIOMS: &[&str] = &[
    // What is behind another element, and near misses of it.
    "rD &= 3; rA = rD; rA <<= 3; rB = r1; rB += rA; rC = *(S *)(rB +0)",
    "rD &= 3; rA = rD; rA <<= 3; rB = r1; rB += 8; rB += rA; rC = *(S *)(rB +4)",
    "rD &= 3; rA = rD; rA <<= 3; rB = r1; rB += rA; *(S *)(rB +8) = rC",
    "rD &= 3; rA = rD; rA <<= 3; rB = r1; rB += 16; rB += rA; *(S *)(rB +0) = rC",
    "rD &= 3; rA = rD; rA <<= 3; rB = r1; rB += rA; rB += 8; rC = *(S *)(rB +0)",
    // Loads that are joined with something.
    "rD &= 31; rA = r1; rA += rD; rA = *(S *)(rA +2); WB += WA",
    "rD &= 31; rA = r1; rA += rD; rA = *(S *)(rA +0); WB ^= WA",
    "rD &= 31; rA = r1; rA += rD; rA = *(u16 *)(rA +0); rA = be16 rA; WB += WA",
    "rD &= 31; rA = r1; rA += rD; rA = *(u32 *)(rA +0); rA = be32 rA; WB ^= WA",
    "rD &= 31; rA = r1; rA += rD; rA = *(u64 *)(rA +0); rA = be64 rA; WB += WA",
    "rD &= 31; rA = r1; rA += rD; rA = *(u32 *)(rA +0); rA = be16 rA; WB += WA",
    "rA = *(S *)(r1 +8); WA *= WB; WC += WA",
    "rA = *(S *)(r1 +8); WA *= WB; WC += WB",
    // Ends of rounds.
    "rA = 0; rB = 0; L:; r9 += 77; rA += 2; rC = rB; rC += K; rB = rA; if rC < 20 goto L",
    "rA = 0; rB = 0; L:; r9 *= 5; rC = rB; rC += -K; rB = rA; rA += 3; rC = rB; rC += 1; rD = rA; if wC != 31 goto L",
    "rA = 9; L:; r9 ^= rA; wA += -1; if wA == 0 goto +1; goto L",
    "rA = 9; L:; r9 += rA; rA += -1; if rA != 0 goto +1; goto +1; goto L",
    "rA = 0; L:; r9 += rA; rA += 1; rB = rA; rB -= rC; if rA s< 5 goto L",
    // Bits.
    "WA = WB; WA >>= 1; WB &= 1; WB = -WB; WB &= 0x4db88320; WB ^= WA",
    "WA = WB; WA >>= 1; WB &= 1; WB = -WB; WB &= 0x4db88320; WB ^= WC",
    "WA = WB; WA >>= K; WB <<= 9; WB |= WA",
    "WA = WB; WA >>= K; WC = WB; WC <<= 9; WC |= WA",
    // Constants, and neighbours in turn.
    "rA = 0x123456789abcdef0 ll; rB *= rA; rC ^= rA",
    "rA = 0x123456789abcdef0 ll; rB += rA",
    "rA = 0x123456789abcdef0 ll; rA |= rB; rB &= rA",
    "rA = rB; wC += wD; rB += K",
    "wA = wB; rC ^= rD; wD ^= wA",
    "rA -= rB; if rA s> 5 goto +1; rB += 3",
    "if wA s< 77 goto +0; rA -= rC; rB |= rD",
];

/// A program of some idioms on random registers.
fn program(dice: &mut Dice) -> String {
    let mut source = String::from("r0 = 1; ");
    for r in 2..10 {
        let value = match dice.below(2) {
            0 => dice.below(40),
            _ => dice.below(u64::MAX),
        };
        source += &format!("r{r} = {value:#x} ll; ");
    }
    for n in 0..6 {
        let mut text = IDIOMS[dice.below(IDIOMS.len() as u64) as usize].to_string();
        let wide = dice.below(2) == 0;
        for name in ["A", "B", "C", "D"] {
            let r = 2 + dice.below(7);
            let width = if wide { 'r' } else { 'w' };
            text = text
                .replace(&format!("W{name}"), &format!("{width}{r}"))
                .replace(&format!("r{name}"), &format!("r{r}"))
                .replace(&format!("w{name}"), &format!("w{r}"));
        }
        let size = ["u8", "u16", "u32", "u64"][dice.below(4) as usize];
        text = text
            .replace("(S ", &format!("({size} "))
            .replace('K', &format!("{}", 1 + dice.below(14)))
            .replace('L', &format!("l{n}"));
        source += &text;
        source += "; ";
    }
    for r in 2..10 {
        source += &format!("r0 *= 31; r0 += r{r}; ");
    }
    source + "exit"
}

#[test]
fn idioms_are_what_they_are_apart() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let limits = Limits {
        fuel: Some(20_000),
        deadline: None,
    };
    let mut ran = 0;
    for _ in 0..3_000 {
        let source = program(&mut dice);
        let executable = executable(&source);
        // The same memory for both runs: addresses are numbers, too.
        let mut host = TestHost::new();
        let words: Vec<u64> = (0..8)
            .map(|n| 0x0123_4567_89ab_cdef_u64.rotate_left(n * 7))
            .collect();
        host.block.copy_from_slice(&words);
        // What goes astray, or does not end, is not run without checks.
        let Ok(r0) = run_checked(&executable, &mut host, limits) else {
            continue;
        };
        ran += 1;
        let left = host.block.clone();
        host.block.copy_from_slice(&words);
        let got = run_trusted(&executable, &mut host, limits);
        assert_eq!(got, Ok(r0), "{source}");
        assert_eq!(host.block, left, "{source}");
    }
    assert!(ran > 1_000, "{ran} programs end");
}
