//! The same sources compiled by clang -O2 for this machine: `benches/native` holds what it wrote.

use crate::Ready;

type Code = unsafe extern "sysv64" fn(*mut u8, u64) -> u64;

macro_rules! programs {
    ($($name:literal $code:ident $end:ident;)*) => {
        $(std::arch::global_asm!(
            ".text",
            include_str!(concat!("../../native/", $name, ".s")),
            ".text",
            options(att_syntax, raw)
        );)*
        unsafe extern "sysv64" {
            $(fn $code(memory: *mut u8, len: u64) -> u64;
            fn $end();)*
        }
        fn find(name: &str) -> Option<(Code, usize)> {
            match name {
                $($name => Some(($code, $end as *const () as usize - $code as *const () as usize)),)*
                _ => None,
            }
        }
    };
}

programs! {
    "empty" bench_empty bench_empty_end;
    "bitcount" bench_bitcount bench_bitcount_end;
    "bsearch" bench_bsearch bench_bsearch_end;
    "chacha20" bench_chacha20 bench_chacha20_end;
    "crc32" bench_crc32 bench_crc32_end;
    "matmul8" bench_matmul8 bench_matmul8_end;
    "muldiv" bench_muldiv bench_muldiv_end;
    "murmur" bench_murmur bench_murmur_end;
    "nested" bench_nested bench_nested_end;
    "pktparse" bench_pktparse bench_pktparse_end;
    "sha256" bench_sha256 bench_sha256_end;
    "sieve" bench_sieve bench_sieve_end;
    "siphash" bench_siphash bench_siphash_end;
    "sort64" bench_sort64 bench_sort64_end;
    "strswitch" bench_strswitch bench_strswitch_end;
    "subcalls" bench_subcalls bench_subcalls_end;
}

pub fn ready<'a>(name: &str, memory: &'a mut [u8]) -> Result<Ready<'a>, String> {
    let (code, code_bytes) = find(name).ok_or("native: no such program")?;
    Ok(Ready {
        engine: "native",
        // SAFETY: the code reads the memory that it is given, and is told how long it is.
        run: Box::new(move || Ok(unsafe { code(memory.as_mut_ptr(), memory.len() as u64) })),
        compile_us: 0.0,
        code_bytes,
    })
}
