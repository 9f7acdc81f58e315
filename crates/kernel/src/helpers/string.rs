//! Functions on strings at addresses that may be any number: comparing, searching, measuring.
//!
//! A byte that cannot be read makes the answer an errno, and so does a string without an end
//! in reach.

use skep_abi::Errno;
use skep_vm::Trap;

use super::{Call, Done, Kfuncs, int};

pub(super) const KFUNCS: Kfuncs = &[
    ("bpf_strcmp", |c| compare(c, false)),
    ("bpf_strcasecmp", |c| compare(c, true)),
    ("bpf_strchr", |c| {
        let wanted = c.arg(1) as u8;
        find(c, LONGEST, wanted)
    }),
    ("bpf_strnchr", |c| {
        let (wanted, most) = (c.arg(2) as u8, c.arg(1));
        find(c, most, wanted)
    }),
    ("bpf_strchrnul", |c| {
        let wanted = c.arg(1) as u8;
        measure(c, LONGEST, |byte| byte == wanted)
    }),
    ("bpf_strrchr", find_last),
    ("bpf_strlen", |c| measure(c, LONGEST, |_| false)),
    ("bpf_strnlen", |c| {
        let most = c.arg(1);
        measure(c, most, |_| false)
    }),
    ("bpf_strspn", |c| span(c, true)),
    ("bpf_strcspn", |c| span(c, false)),
    ("bpf_strstr", |c| search(c, LONGEST)),
    ("bpf_strnstr", |c| {
        let most = c.arg(2);
        search(c, most)
    }),
];

/// The most bytes of a string that are looked at.
const LONGEST: u64 = 65536;
/// Where the kernel's own memory begins.
const KERNEL_START: u64 = 0xffff_8000_0000_0000;

/// A walk that ends with an answer of its own: an errno, or a trap.
enum Early {
    Errno(Errno),
    Trap(Trap),
}

impl From<Trap> for Early {
    fn from(trap: Trap) -> Early {
        Early::Trap(trap)
    }
}

fn done(result: Result<i32, Early>) -> Done {
    match result {
        Ok(value) => int(value),
        Err(Early::Errno(errno)) => int(-errno.0),
        Err(Early::Trap(trap)) => Err(trap),
    }
}

impl Call<'_, '_, '_> {
    /// One byte of a string.
    fn byte(&self, start: u64, at: u64) -> Result<u8, Early> {
        let addr = start.wrapping_add(at);
        if !self.reaches(addr, 1) {
            return Err(Early::Errno(if addr < KERNEL_START {
                Errno::ERANGE
            } else {
                Errno::EFAULT
            }));
        }
        let mut byte = [0];
        self.read_into(addr, &mut byte)?;
        Ok(byte[0])
    }
}

const TOO_LONG: Early = Early::Errno(Errno::E2BIG);
const MISSING: Early = Early::Errno(Errno::ENOENT);

fn compare(c: &mut Call<'_, '_, '_>, fold: bool) -> Done {
    let step = || {
        for at in 0..LONGEST {
            let (mut a, mut b) = (c.byte(c.arg(0), at)?, c.byte(c.arg(1), at)?);
            if fold {
                (a, b) = (lower(a), lower(b));
            }
            if a != b {
                return Ok(if a < b { -1 } else { 1 });
            }
            if a == 0 {
                return Ok(0);
            }
        }
        Err(TOO_LONG)
    };
    done(step())
}

/// As the kernel's table for Latin-1 has it.
fn lower(byte: u8) -> u8 {
    match byte {
        b'A'..=b'Z' | 0xc0..=0xd6 | 0xd8..=0xde => byte + 32,
        _ => byte,
    }
}

/// Where a byte stands first; the one that ends the string can be asked for too.
fn find(c: &mut Call<'_, '_, '_>, most: u64, wanted: u8) -> Done {
    let step = || {
        for at in 0..most.min(LONGEST) {
            let byte = c.byte(c.arg(0), at)?;
            if byte == wanted {
                return Ok(at as i32);
            }
            if byte == 0 {
                return Err(MISSING);
            }
        }
        Err(if most < LONGEST { MISSING } else { TOO_LONG })
    };
    done(step())
}

/// How many bytes come before the end or a byte that stops.
fn measure(c: &mut Call<'_, '_, '_>, most: u64, stops: impl Fn(u8) -> bool) -> Done {
    let step = || {
        for at in 0..most.min(LONGEST) {
            let byte = c.byte(c.arg(0), at)?;
            if byte == 0 || stops(byte) {
                return Ok(at as i32);
            }
        }
        match most < LONGEST {
            true => Ok(most as i32),
            false => Err(TOO_LONG),
        }
    };
    done(step())
}

fn find_last(c: &mut Call<'_, '_, '_>) -> Done {
    let wanted = c.arg(1) as u8;
    let step = || {
        let mut last = None;
        for at in 0..LONGEST {
            let byte = c.byte(c.arg(0), at)?;
            if byte == wanted {
                last = Some(at as i32);
            }
            if byte == 0 {
                return last.ok_or(MISSING);
            }
        }
        Err(TOO_LONG)
    };
    done(step())
}

/// How many bytes at the start are all in the second string, or all not.
fn span(c: &mut Call<'_, '_, '_>, inside: bool) -> Done {
    let step = || {
        for at in 0..LONGEST {
            let byte = c.byte(c.arg(0), at)?;
            if byte == 0 {
                return Ok(at as i32);
            }
            let mut found = false;
            let mut place = 0;
            loop {
                if place == LONGEST {
                    return Err(TOO_LONG);
                }
                match c.byte(c.arg(1), place)? {
                    0 => break,
                    one if one == byte => {
                        found = true;
                        break;
                    }
                    _ => place += 1,
                }
            }
            if found != inside {
                return Ok(at as i32);
            }
        }
        Err(TOO_LONG)
    };
    done(step())
}

/// Where the second string stands first in the first, of which `most` bytes are looked at.
fn search(c: &mut Call<'_, '_, '_>, most: u64) -> Done {
    let step = || {
        for start in 0..LONGEST {
            let mut at = 0;
            loop {
                if at == LONGEST {
                    return Err(TOO_LONG);
                }
                let wanted = c.byte(c.arg(1), at)?;
                if wanted == 0 {
                    return Ok(start as i32);
                }
                if start + at >= most {
                    return Err(MISSING);
                }
                let byte = c.byte(c.arg(0), start + at)?;
                if byte == 0 {
                    return Err(MISSING);
                }
                if byte != wanted {
                    break;
                }
                at += 1;
            }
        }
        Err(TOO_LONG)
    };
    done(step())
}
