//! How long skep and libbpf take to parse, index, dump and deduplicate the same types, in
//! turn in one process. One JSON object a case: `case, skep_ns, libbpf_ns, target`.

use std::collections::HashMap;
use std::ffi::{CString, c_char, c_void};
use std::hint::black_box;
use std::time::Duration;

use libbpf_sys as lb;
use skep_btf::{Btf, Builder, Kind, TypeId, dedup, dump};

/// How often each is done; the shortest time counts.
const ROUNDS: usize = 9;
/// How many names are looked up.
const NAMES: usize = 2000;

/// libbpf's view of a blob.
struct Theirs(*mut lb::btf);

impl Theirs {
    fn parse(raw: &[u8]) -> Theirs {
        let size = u32::try_from(raw.len()).expect("BTF below 4 GiB");
        // SAFETY: the pointer and the length are of one slice, which libbpf copies.
        let btf = unsafe { lb::btf__new(raw.as_ptr().cast::<c_void>(), size) };
        assert!(!btf.is_null(), "libbpf does not take the types");
        Theirs(btf)
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        // SAFETY: it came from btf__new and is freed once.
        unsafe { lb::btf__free(self.0) }
    }
}

unsafe extern "C" {
    fn vsnprintf(to: *mut c_char, len: usize, format: *const c_char, args: *mut c_void) -> i32;
}

/// Appends what libbpf prints to a `Vec<u8>`, as bpftool appends it to a buffered file.
unsafe extern "C" fn print(
    out: *mut c_void,
    format: *const c_char,
    args: *mut lb::__va_list_tag,
) {
    // SAFETY: `out` is the vector that the caller of btf_dump__new lent, and nothing else
    // refers to it while libbpf prints.
    let out = unsafe { &mut *out.cast::<Vec<u8>>() };
    let mut line = [0u8; 4096];
    // SAFETY: the buffer has the length that is told, and the arguments fit the format,
    // which libbpf made.
    let len = unsafe { vsnprintf(line.as_mut_ptr().cast(), line.len(), format, args.cast()) };
    let len = usize::try_from(len).unwrap_or(0).min(line.len() - 1);
    out.extend_from_slice(&line[..len]);
}

fn their_dump(raw: &[u8]) -> usize {
    let btf = Theirs::parse(raw);
    let mut out: Vec<u8> = Vec::new();
    // SAFETY: the types outlive the dump, and so does the vector.
    unsafe {
        let to = (&raw mut out).cast::<c_void>();
        let dump = lb::btf_dump__new(btf.0, Some(print), to, std::ptr::null());
        assert!(!dump.is_null(), "no dump");
        for id in 1..lb::btf__type_cnt(btf.0) {
            assert_eq!(lb::btf_dump__dump_type(dump, id), 0, "type {id}");
        }
        lb::btf_dump__free(dump);
    }
    out.len()
}

/// All types of a blob twice over, as a linker meets them.
fn doubled(btf: &Btf) -> Vec<u8> {
    let mut builder = Builder::from_btf(btf);
    let shift = btf.type_count() - 1;
    for ty in btf.types() {
        builder.copy(&ty, |id| match id {
            TypeId::VOID => id,
            TypeId(id) => TypeId(id + shift),
        });
    }
    builder.finish()
}

/// The shortest times of both, taken in turn.
fn measure(case: &str, target: f64, ours: impl Fn() -> Duration, theirs: impl Fn() -> Duration) {
    let (mut skep, mut libbpf) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        skep = skep.min(ours());
        libbpf = libbpf.min(theirs());
    }
    let row = serde_json::json!({
        "case": case,
        "skep_ns": skep.as_nanos(),
        "libbpf_ns": libbpf.as_nanos(),
        "target": target,
    });
    println!("{row}");
}

/// The time that this thread ran, whatever else the machine did meanwhile.
fn now() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the structure is valid for writing, and the clock exists on Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    let (seconds, nanos) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    Duration::from_secs(seconds) + Duration::from_nanos(nanos)
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = now();
    let made = black_box(work());
    let took = now().saturating_sub(start);
    drop(made);
    took
}

fn main() {
    let path = std::env::args().nth(1);
    let path = path.unwrap_or_else(|| "/sys/kernel/btf/vmlinux".to_string());
    let raw = std::fs::read(&path).expect("a file of types");
    let btf = Btf::parse(&raw).expect("types");
    measure(
        "parse",
        0.5,
        || timed(|| Btf::parse(&raw).expect("types")),
        || timed(|| Theirs::parse(&raw)),
    );

    let structs = btf.types().filter(|ty| ty.kind() == Kind::Struct && !ty.name().is_empty());
    let names: Vec<String> = structs.map(|ty| ty.name().to_string()).collect();
    let step = (names.len() / NAMES).max(1);
    let names: Vec<&str> = names.iter().step_by(step).map(String::as_str).collect();
    let c_names: Vec<CString> = names.iter().map(|n| CString::new(*n).expect("a name")).collect();
    measure(
        "parse and find names",
        0.5,
        || {
            timed(|| {
                let btf = Btf::parse(&raw).expect("types");
                names.iter().for_each(|name| {
                    black_box(btf.find_by_name_kind(name, Kind::Struct));
                });
            })
        },
        || {
            timed(|| {
                let btf = Theirs::parse(&raw);
                for name in &c_names {
                    // SAFETY: the types are alive, and the name ends in NUL.
                    black_box(unsafe { lb::btf__find_by_name_kind(btf.0, name.as_ptr(), 4) });
                }
            })
        },
    );

    measure(
        "parse and dump C",
        0.5,
        || {
            timed(|| {
                let btf = Btf::parse(&raw).expect("types");
                dump::c::all(&btf).expect("C").len()
            })
        },
        || timed(|| their_dump(&raw)),
    );

    let twice = doubled(&btf);
    measure(
        "deduplicate",
        1.0,
        || {
            let btf = Btf::parse(&twice).expect("types");
            timed(|| dedup(&btf, &HashMap::new()))
        },
        || {
            let btf = Theirs::parse(&twice);
            // SAFETY: the types are alive, and null options are the defaults.
            let took = timed(|| unsafe { lb::btf__dedup(btf.0, std::ptr::null()) });
            took
        },
    );
    // SAFETY: the types are alive; what is compared is a count.
    let (ours, theirs) = unsafe {
        let their = Theirs::parse(&twice);
        lb::btf__dedup(their.0, std::ptr::null());
        let btf = Btf::parse(&twice).expect("types");
        let deduped = dedup(&btf, &HashMap::new());
        let count = Btf::parse(&deduped.raw).expect("types").type_count();
        (count, lb::btf__type_cnt(their.0))
    };
    eprintln!("types after deduplication: skep {ours}, libbpf {theirs}");
}
