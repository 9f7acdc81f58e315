//! What libbpf hands to the kernel: its system calls are looked at before they are made.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::os::fd::IntoRawFd;

use libbpf_sys as lb;
use skep_abi::{Errno, UserMemory};

use crate::tape::{Tape, Verdict};

thread_local! {
    static TAPE: RefCell<Option<Tape>> = const { RefCell::new(None) };
    static SAID: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// This process, in which libbpf lives.
struct Own;

impl UserMemory for Own {
    fn read(&self, addr: u64, into: &mut [u8]) -> Result<(), Errno> {
        if addr == 0 {
            return if into.is_empty() {
                Ok(())
            } else {
                Err(Errno::EFAULT)
            };
        }
        // SAFETY: libbpf hands the kernel pointers into memory of this process that is as
        // long as the attribute says, and does not touch it before the call is over.
        unsafe { std::ptr::copy_nonoverlapping(addr as *const u8, into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    fn write(&mut self, _: u64, _: &[u8]) -> Result<(), Errno> {
        Err(Errno::EFAULT)
    }
}

/// The real `syscall` of the C library.
fn real(number: c_long, args: [c_long; 6]) -> c_long {
    type Syscall = unsafe extern "C" fn(c_long, ...) -> c_long;
    // SAFETY: the name is that of a function of the C library with this type; the arguments
    // are those that the caller gave.
    unsafe {
        let found = libc::dlsym(libc::RTLD_NEXT, c"syscall".as_ptr());
        let call: Syscall = std::mem::transmute(found);
        call(number, args[0], args[1], args[2], args[3], args[4], args[5])
    }
}

/// Stands before the C library's function of this name, for libbpf makes its calls by it.
///
/// # Safety
/// As for the function of the C library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall(
    number: c_long,
    a: c_long,
    b: c_long,
    c: c_long,
    d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    let args = [a, b, c, d, e, f];
    let tape = TAPE.try_with(|tape| tape.try_borrow_mut().ok()?.take());
    let Ok(Some(mut tape)) = tape else {
        return real(number, args);
    };
    let answer = match number {
        libc::SYS_bpf => recorded(&mut tape, args),
        libc::SYS_dup3 => {
            tape.duplicated(a as u32, b as u32);
            real(number, args)
        }
        _ => real(number, args),
    };
    let errno = errno();
    TAPE.with(|place| *place.borrow_mut() = Some(tape));
    set_errno(errno);
    answer
}

fn errno() -> c_int {
    // SAFETY: the C library gives a valid pointer to the thread's number.
    unsafe { *libc::__errno_location() }
}

fn set_errno(errno: c_int) {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno }
}

fn recorded(tape: &mut Tape, args: [c_long; 6]) -> c_long {
    let (cmd, size) = (args[0] as u32, args[2] as usize);
    // SAFETY: libbpf gives the attribute's address and its length.
    let attr = unsafe { std::slice::from_raw_parts(args[1] as *const u8, size) };
    match tape.asked(cmd, attr, &Own) {
        Verdict::Succeed => 0,
        Verdict::StandIn => {
            let file = std::fs::File::open("/dev/null").expect("/dev/null");
            c_long::from(file.into_raw_fd())
        }
        Verdict::Ask => {
            let answer = real(libc::SYS_bpf, args);
            let errno = errno();
            let told = match u32::try_from(answer) {
                Ok(fd) => Ok(fd),
                Err(_) => Err(Errno(errno)),
            };
            tape.answered(cmd, attr, &Own, told);
            set_errno(errno);
            answer
        }
    }
}

unsafe extern "C" {
    fn vsnprintf(to: *mut c_char, len: usize, format: *const c_char, args: *mut c_void) -> c_int;
}

/// Keeps what libbpf says; what it says only to people who debug it, when `SKEP_PEER_DEBUG` is
/// set.
unsafe extern "C" fn print(
    level: lb::libbpf_print_level,
    format: *const c_char,
    args: *mut lb::__va_list_tag,
) -> c_int {
    if level == lb::LIBBPF_DEBUG && std::env::var_os("SKEP_PEER_DEBUG").is_none() {
        return 0;
    }
    let mut line = [0u8; 4096];
    // SAFETY: the buffer has the length that is told; the arguments fit the format.
    let len = unsafe { vsnprintf(line.as_mut_ptr().cast(), line.len(), format, args.cast()) };
    let len = usize::try_from(len).unwrap_or(0).min(line.len() - 1);
    let text = String::from_utf8_lossy(&line[..len]).trim_end().to_string();
    SAID.with(|said| said.borrow_mut().push(text));
    len as c_int
}

fn said() -> Vec<String> {
    SAID.with(|said| std::mem::take(&mut *said.borrow_mut()))
}

fn owned(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: libbpf gives strings that end in NUL and live as long as the object.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

/// What came of an object.
pub struct Outcome {
    /// What was opened.
    pub opened: Vec<String>,
    /// What was handed to the kernel; `None` when nothing was loaded.
    pub loaded: Option<Vec<String>>,
    /// Whether all of it went well.
    pub good: bool,
    /// What was said.
    pub said: Vec<String>,
}

/// Opens an object, and loads it when `load` says so.
pub fn outcome(path: &str, target: Option<&str>, load: bool) -> Outcome {
    let c_path = CString::new(path).expect("no NUL in a path");
    let c_target = target.map(|target| CString::new(target).expect("no NUL in a path"));
    // SAFETY: the strings live until the object has been opened; the options have the size
    // that they tell; the object is closed once and not used after that.
    unsafe {
        lb::libbpf_set_print(Some(print));
        let mut options: lb::bpf_object_open_opts = std::mem::zeroed();
        options.sz = size_of::<lb::bpf_object_open_opts>() as _;
        if let Some(target) = &c_target {
            options.btf_custom_path = target.as_ptr();
        }
        let object = lb::bpf_object__open_file(c_path.as_ptr(), &options);
        if object.is_null() {
            let (opened, loaded) = (Vec::new(), None);
            return Outcome {
                opened,
                loaded,
                good: false,
                said: said(),
            };
        }
        let opened = opened(object);
        let mut good = true;
        let loaded = load.then(|| {
            let mut map = lb::bpf_object__next_map(object, std::ptr::null());
            while !map.is_null() {
                lb::bpf_map__set_pin_path(map, std::ptr::null());
                map = lb::bpf_object__next_map(object, map);
            }
            TAPE.with(|tape| *tape.borrow_mut() = Some(Tape::default()));
            good = lb::bpf_object__load(object) == 0;
            let tape = TAPE.with(|tape| tape.borrow_mut().take());
            tape.unwrap_or_default().lines
        });
        lb::bpf_object__close(object);
        Outcome {
            opened,
            loaded,
            good,
            said: said(),
        }
    }
}

/// # Safety
/// The object must be open.
unsafe fn opened(object: *mut lb::bpf_object) -> Vec<String> {
    let mut lines = Vec::new();
    // SAFETY: the object is open, and maps and programs belong to it.
    unsafe {
        let mut map = lb::bpf_object__next_map(object, std::ptr::null());
        while !map.is_null() {
            lines.push(format!(
                "M {} {}/{} x{} type={} flags={:#x} pin={} auto={}",
                owned(lb::bpf_map__name(map)),
                lb::bpf_map__key_size(map),
                lb::bpf_map__value_size(map),
                lb::bpf_map__max_entries(map),
                lb::bpf_map__type(map),
                lb::bpf_map__map_flags(map),
                u32::from(!lb::bpf_map__pin_path(map).is_null()),
                u32::from(lb::bpf_map__autocreate(map)),
            ));
            map = lb::bpf_object__next_map(object, map);
        }
        let mut program = lb::bpf_object__next_program(object, std::ptr::null_mut());
        while !program.is_null() {
            lines.push(format!(
                "P {} section={} type={} attach={} auto={} along={}",
                owned(lb::bpf_program__name(program)),
                owned(lb::bpf_program__section_name(program)),
                lb::bpf_program__type(program),
                lb::bpf_program__expected_attach_type(program),
                u32::from(lb::bpf_program__autoload(program)),
                u32::from(lb::bpf_program__autoattach(program)),
            ));
            program = lb::bpf_object__next_program(object, program);
        }
    }
    lines
}

/// Links files into one with libbpf's static linker.
///
/// # Errors
/// What libbpf said.
pub fn link(output: &str, inputs: &[String]) -> Result<(), Vec<String>> {
    let path = |path: &str| CString::new(path).expect("no NUL in a path");
    // SAFETY: the strings live as long as the calls that take them; the linker is freed once.
    unsafe {
        lb::libbpf_set_print(Some(print));
        let linker = lb::bpf_linker__new(path(output).as_ptr(), std::ptr::null_mut());
        if linker.is_null() {
            return Err(said());
        }
        let added = inputs.iter().all(|input| {
            lb::bpf_linker__add_file(linker, path(input).as_ptr(), std::ptr::null()) == 0
        });
        let good = added && lb::bpf_linker__finalize(linker) == 0;
        lb::bpf_linker__free(linker);
        let said = said();
        if good { Ok(()) } else { Err(said) }
    }
}
