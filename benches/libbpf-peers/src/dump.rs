//! Types as text: C beside libbpf's, records and JSON beside bpftool's.

use std::ffi::{c_char, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use libbpf_sys as lb;
use skep_btf::{Btf, dump};
use skep_elf::ObjectFile;
use skep_smith::Source;

use crate::made::Made;

unsafe extern "C" {
    fn vsnprintf(to: *mut c_char, len: usize, format: *const c_char, args: *mut c_void) -> i32;
}

/// libbpf's view of a blob, and perhaps of what it stands on.
pub struct Theirs {
    pub btf: *mut lb::btf,
    base: Vec<Theirs>,
}

impl Theirs {
    /// Takes what libbpf made.
    pub fn own(btf: *mut lb::btf) -> Theirs {
        let base = Vec::new();
        Theirs { btf, base }
    }

    /// Keeps what it refers to.
    pub fn keep(&mut self, base: Theirs) {
        self.base.push(base);
    }

    /// `None` when libbpf does not take it.
    pub fn parse(raw: &[u8], base: Option<Theirs>) -> Option<Theirs> {
        let size = u32::try_from(raw.len()).ok()?;
        let on = base.as_ref().map_or(std::ptr::null_mut(), |base| base.btf);
        // SAFETY: the pointer and the length are of one slice, which libbpf copies; the base
        // is kept as long as what stands on it.
        let btf = unsafe { lb::btf__new_split(raw.as_ptr().cast::<c_void>(), size, on) };
        let base = base.into_iter().collect();
        (!btf.is_null()).then_some(Theirs { btf, base })
    }

    /// How many types it has, `void` and the base's included.
    pub fn count(&self) -> u32 {
        // SAFETY: the types are alive.
        unsafe { lb::btf__type_cnt(self.btf) }
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        // SAFETY: it came from libbpf and is freed once, before its base.
        unsafe { lb::btf__free(self.btf) }
        self.base.clear();
    }
}

/// Appends what libbpf prints to a `Vec<u8>`.
///
/// # Safety
/// `out` is such a vector, lent to nobody else, and the arguments fit the format.
pub unsafe extern "C" fn print(
    out: *mut c_void,
    format: *const c_char,
    args: *mut lb::__va_list_tag,
) {
    // SAFETY: as the caller promises.
    let out = unsafe { &mut *out.cast::<Vec<u8>>() };
    let mut line = [0u8; 8192];
    // SAFETY: the buffer has the length that is told.
    let len = unsafe { vsnprintf(line.as_mut_ptr().cast(), line.len(), format, args.cast()) };
    let len = usize::try_from(len).unwrap_or(0).min(line.len() - 1);
    out.extend_from_slice(&line[..len]);
}

/// All types as C, or the error and the type it is about.
fn their_c(theirs: &Theirs) -> Result<String, String> {
    let mut out: Vec<u8> = Vec::new();
    // SAFETY: the types outlive the dump, and so does the vector.
    unsafe {
        let to = (&raw mut out).cast::<c_void>();
        let dump = lb::btf_dump__new(theirs.btf, Some(print), to, std::ptr::null());
        if dump.is_null() {
            return Err("no dump".to_string());
        }
        for id in 1..theirs.count() {
            let error = lb::btf_dump__dump_type(dump, id);
            if error != 0 {
                lb::btf_dump__free(dump);
                return Err(format!("type {id}: {error}"));
            }
        }
        lb::btf_dump__free(dump);
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

struct Wish {
    show: usize,
    count: u64,
    seed: u64,
    save: Option<String>,
    skep: Option<String>,
    base: Option<String>,
    files: Vec<PathBuf>,
}

fn wish(args: &[String]) -> Wish {
    let mut wish = Wish {
        show: 3,
        count: 0,
        seed: 1,
        save: None,
        skep: None,
        base: None,
        files: Vec::new(),
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut number = |or| args.next().and_then(|n| n.parse().ok()).unwrap_or(or);
        match arg.as_str() {
            "--show" => wish.show = number(3) as usize,
            "--count" => wish.count = number(1000),
            "--seed" => wish.seed = number(1),
            "--save" => wish.save = args.next().cloned(),
            "--skep" => wish.skep = args.next().cloned(),
            "--base" => wish.base = args.next().cloned(),
            path => collect(Path::new(path), &mut wish.files),
        }
    }
    wish
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if !path.is_dir() {
        files.push(path.to_path_buf());
        return;
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut below: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    below.sort();
    for path in below {
        let taken = |extension: &std::ffi::OsStr| extension == "o" || extension == "btf";
        if path.is_dir() || path.extension().is_some_and(taken) {
            collect(&path, files);
        }
    }
}

/// The types of an object, or a blob of them.
pub fn blob(path: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(path).ok()?;
    if bytes.starts_with(b"\x9f\xeb") {
        return Some(bytes);
    }
    let object = ObjectFile::parse(&bytes).ok()?;
    Some(object.section_by_name(".BTF")?.data.to_vec())
}

/// How many texts were compared, and how many are equal.
#[derive(Default)]
struct Count {
    all: usize,
    equal: usize,
    refused: usize,
}

impl Count {
    fn told(&self, what: &str, beside: &str) -> bool {
        let Count {
            all,
            equal,
            refused,
        } = self;
        println!(
            "{what}: {all} texts, the same as {beside}'s: {equal} (of which refused {refused})"
        );
        all == equal
    }

    /// Compares what both say; shows where they part.
    fn add(
        &mut self,
        name: &str,
        theirs: Result<String, String>,
        ours: Result<String, String>,
        show: usize,
    ) {
        self.all += 1;
        match (&theirs, &ours) {
            (Ok(a), Ok(b)) if a == b => self.equal += 1,
            (Err(_), Err(_)) => {
                self.equal += 1;
                self.refused += 1;
            }
            _ if self.all - self.equal > show => {}
            (Ok(a), Ok(b)) => {
                println!("== {name}");
                let same = a.lines().zip(b.lines()).take_while(|(a, b)| a == b).count();
                for (sign, text) in [('-', a), ('+', b)] {
                    for line in text.lines().skip(same.saturating_sub(4)).take(9) {
                        println!("   {sign}{line}");
                    }
                }
            }
            _ => {
                println!("== {name}");
                let said = |of: &Result<String, String>| of.as_ref().err().cloned();
                println!("   libbpf: {:?}", said(&theirs));
                println!("   skep:   {:?}", said(&ours));
            }
        }
    }
}

fn our_c(btf: &Btf) -> Result<String, String> {
    dump::c::all(btf).map_err(|error| error.to_string())
}

/// What a program prints.
fn told(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

/// Compares files, and as many made-up blobs as are asked for. Good when all is equal.
pub fn run(args: &[String]) -> bool {
    let wish = wish(args);
    let base = wish.base.as_ref().map(|path| {
        let raw = blob(Path::new(path)).expect("the base's types");
        Arc::new(Btf::parse(&raw).expect("the base's types"))
    });
    let (mut c, mut raw, mut json) = (Count::default(), Count::default(), Count::default());
    for file in &wish.files {
        let name = file.to_string_lossy();
        let Some(bytes) = blob(file) else { continue };
        let Ok(btf) = Btf::parse_on(bytes.clone(), base.clone()) else {
            continue;
        };
        let on = base
            .as_ref()
            .and_then(|base| Theirs::parse(base.raw(), None));
        let Some(theirs) = Theirs::parse(&bytes, on) else {
            continue;
        };
        c.add(&name, their_c(&theirs), our_c(&btf), wish.show);
        let mut words = vec!["btf", "dump", "file", &name];
        if let Some(base) = &wish.base {
            words.splice(0..0, ["-B", base]);
        }
        if let Some(text) = told("bpftool", &words) {
            let mut own = String::new();
            dump::raw::all(&btf, &mut own).expect("text");
            raw.add(&name, Ok(text), Ok(own), wish.show);
        }
        let Some(skep) = &wish.skep else { continue };
        for flag in ["-j", "-p"] {
            let words: Vec<&str> = [flag].into_iter().chain(words.iter().copied()).collect();
            if let Some(text) = told("bpftool", &words) {
                let own = told(skep, &words).ok_or_else(|| "it fails".to_string());
                json.add(&name, Ok(text), own, wish.show);
            }
        }
    }
    let mut made = Count::default();
    for seed in wish.seed..wish.seed + wish.count {
        let mut source = Source::seeded(seed);
        let bytes = Made::types(&mut source, 3, 40).builder.finish();
        if let Some(path) = &wish.save {
            std::fs::write(path, &bytes).expect("a place to save to");
        }
        let btf = Btf::parse(&bytes).expect("made-up types");
        let theirs = Theirs::parse(&bytes, None).expect("made-up types");
        made.add(
            &format!("seed {seed}"),
            their_c(&theirs),
            our_c(&btf),
            wish.show,
        );
    }
    let mut good = true;
    good &= c.all == 0 || c.told("C", "libbpf");
    good &= raw.all == 0 || raw.told("records", "bpftool");
    good &= json.all == 0 || json.told("JSON", "bpftool");
    good &= made.all == 0 || made.told("C of made-up types", "libbpf");
    good
}
