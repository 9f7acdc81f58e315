//! What the part of a section's name behind the `/` means: where the program is to be attached.

use crate::error::LoadError;
use crate::load::Loaded;
use crate::map::{MapDef, MapOrigin};
use crate::program::ProgIndex;

/// How a target is written. The variants are the grammar of the section names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttachForm {
    /// No target.
    None,
    /// `kprobe/FUNCTION[+OFFSET]`
    Kprobe,
    /// `kretprobe/FUNCTION`
    Kretprobe,
    /// `kprobe.multi/PATTERN`
    KprobeMulti,
    /// `kretprobe.multi/PATTERN`
    KretprobeMulti,
    /// `kprobe.session/PATTERN`
    KprobeSession,
    /// `ksyscall/SYSCALL`
    Ksyscall,
    /// `kretsyscall/SYSCALL`
    Kretsyscall,
    /// `uprobe/BINARY:FUNCTION[+OFFSET]`
    Uprobe,
    /// `uretprobe/BINARY:FUNCTION[+OFFSET]`
    Uretprobe,
    /// `uprobe.multi/BINARY:PATTERN`
    UprobeMulti,
    /// `uretprobe.multi/BINARY:PATTERN`
    UretprobeMulti,
    /// `uprobe.session/BINARY:PATTERN`
    UprobeSession,
    /// `usdt/BINARY:PROVIDER:NAME`
    Usdt,
    /// `tp/CATEGORY/NAME`
    Tracepoint,
    /// `raw_tp/NAME`
    RawTracepoint,
    /// `tp_btf/NAME`, found in the kernel's BTF as the typedef `btf_trace_NAME`.
    BtfTracepoint,
    /// `fentry/FUNCTION`, found in the kernel's BTF.
    BtfFunction,
    /// `lsm/HOOK`, found in the kernel's BTF as the function `bpf_lsm_HOOK`.
    LsmHook,
    /// `iter/NAME`, found in the kernel's BTF as the function `bpf_iter_NAME`.
    Iterator,
    /// `freplace/FUNCTION`, found in another program's BTF.
    Replace,
    /// `struct_ops/NAME`; the name is only for people.
    StructOps,
}

impl AttachForm {
    /// The prefix and whether it is a typedef, for targets that the kernel knows by BTF id.
    pub fn btf_target(self) -> Option<(&'static str, bool)> {
        match self {
            AttachForm::BtfTracepoint => Some(("btf_trace_", true)),
            AttachForm::BtfFunction => Some(("", false)),
            AttachForm::LsmHook => Some(("bpf_lsm_", false)),
            AttachForm::Iterator => Some(("bpf_iter_", false)),
            _ => None,
        }
    }
}

/// What attaching a whole object means for one of its programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AutoAttach {
    /// It is attached, to what its section's name says.
    Yes,
    /// It is not loaded, or somebody said that it shall not be attached.
    Off,
    /// Programs of its section are attached by hand.
    ByHand,
    /// It would be, but its section does not say to what; it is passed over.
    NoTarget,
    /// It would be, but what its section says is not written as it should; that is an error.
    BadTarget,
}

/// Where a program is to be attached, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AttachTarget {
    /// A function of the kernel, at an offset of bytes.
    KernelFunction {
        /// Its name.
        function: String,
        /// Bytes from its start.
        offset: u64,
    },
    /// Every function of the kernel that matches (`*` and `?`).
    KernelPattern(String),
    /// A system call, by its name without prefix.
    Syscall(String),
    /// A function of a program in user space, at an offset of bytes.
    UserFunction {
        /// The file.
        binary: String,
        /// Its name.
        function: String,
        /// Bytes from its start.
        offset: u64,
    },
    /// Every function of a program in user space that matches.
    UserPattern {
        /// The file.
        binary: String,
        /// The pattern.
        pattern: String,
    },
    /// A static probe of a program in user space.
    Usdt {
        /// The file.
        binary: String,
        /// Who declares the probe.
        provider: String,
        /// Its name.
        name: String,
    },
    /// A tracepoint.
    Tracepoint {
        /// The directory it lies in.
        category: String,
        /// Its name.
        name: String,
    },
    /// Anything with a single name: raw tracepoint, hook, iterator, function.
    Name(String),
}

impl AttachTarget {
    /// Takes a target apart. `None` when it is not written as the form demands; then the
    /// program can be loaded but not attached by its section name.
    pub fn parse(form: AttachForm, text: &str) -> Option<AttachTarget> {
        if text.is_empty() {
            return None;
        }
        match form {
            AttachForm::None => None,
            AttachForm::Kprobe | AttachForm::Kretprobe => {
                let (function, offset) = name_and_offset(text)?;
                Some(AttachTarget::KernelFunction { function, offset })
            }
            AttachForm::KprobeMulti | AttachForm::KretprobeMulti | AttachForm::KprobeSession => {
                Some(AttachTarget::KernelPattern(text.to_string()))
            }
            AttachForm::Ksyscall | AttachForm::Kretsyscall => {
                Some(AttachTarget::Syscall(text.to_string()))
            }
            AttachForm::Uprobe | AttachForm::Uretprobe => {
                let (binary, function) = text.rsplit_once(':')?;
                let (function, offset) = name_and_offset(function)?;
                Some(AttachTarget::UserFunction {
                    binary: binary.to_string(),
                    function,
                    offset,
                })
            }
            AttachForm::UprobeMulti | AttachForm::UretprobeMulti | AttachForm::UprobeSession => {
                let (binary, pattern) = text.split_once(':')?;
                let (binary, pattern) = (binary.to_string(), pattern.to_string());
                Some(AttachTarget::UserPattern { binary, pattern })
            }
            AttachForm::Usdt => {
                let (binary, rest) = text.split_once(':')?;
                let (provider, name) = rest.split_once(':')?;
                Some(AttachTarget::Usdt {
                    binary: binary.to_string(),
                    provider: provider.to_string(),
                    name: name.to_string(),
                })
            }
            AttachForm::Tracepoint => {
                let (category, name) = text.split_once('/')?;
                let (category, name) = (category.to_string(), name.to_string());
                Some(AttachTarget::Tracepoint { category, name })
            }
            _ => Some(AttachTarget::Name(text.to_string())),
        }
    }
}

/// `function`, `function+12` or `function+0x12`.
fn name_and_offset(text: &str) -> Option<(String, u64)> {
    let Some((name, offset)) = text.split_once('+') else {
        return Some((text.to_string(), 0));
    };
    let offset = match offset.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => offset.parse().ok()?,
    };
    Some((name.to_string(), offset))
}

impl Loaded<'_> {
    /// What attaching the object would attach: its programs, and its structures of operations.
    /// Attaching is not built yet.
    ///
    /// # Errors
    /// [`LoadError::Unsupported`] names the first that would have to be attached; an object with
    /// nothing to attach is attached.
    pub fn attach(&self) -> Result<(), LoadError> {
        for (index, program) in self.object.programs.iter().enumerate() {
            let name = &program.name;
            match program.auto_attach() {
                AutoAttach::Yes if self.program(ProgIndex(index)).is_some() => {
                    let place = &program.section;
                    let text = format!("attaching program '{name}' ({place})");
                    return Err(LoadError::Unsupported(text));
                }
                AutoAttach::BadTarget => {
                    return Err(LoadError::Unresolved {
                        program: name.clone(),
                        problem: format!("section '{}' names no place", program.section),
                    });
                }
                _ => {}
            }
        }
        let is_registered =
            |map: &&MapDef| map.origin == MapOrigin::StructOps && map.autocreate && map.autoattach;
        match self.object.maps.iter().find(is_registered) {
            Some(map) => {
                let text = format!("registering the struct_ops '{}'", map.name);
                Err(LoadError::Unsupported(text))
            }
            None => Ok(()),
        }
    }
}
