//! A kernel that tells what it is asked and what it answers, as strace does.

use skep_abi::{Bpf, Cmd, Errno, Files, UserMemory, attr};

/// Passes everything on to `kernel`, and a line for each call to `sink`.
///
/// ```text
/// map_create MapCreate { map_type: 2, key_size: 4, value_size: 8, max_entries: 1 } = 3
/// close 3 = 0
/// ```
pub struct Trace<K, S> {
    kernel: K,
    sink: S,
}

impl<K, S: Fn(&str)> Trace<K, S> {
    /// Wraps `kernel`.
    pub fn new(kernel: K, sink: S) -> Self {
        Trace { kernel, sink }
    }

    /// The kernel behind.
    pub fn into_inner(self) -> K {
        self.kernel
    }

    fn tell<T: core::fmt::Display>(&self, call: &str, result: &Result<T, Errno>) {
        match result {
            Ok(value) => (self.sink)(&format!("{call} = {value}")),
            Err(errno) => {
                (self.sink)(&format!("{call} = -1 {errno} ({})", errno.description()));
            }
        }
    }
}

/// The attribute of a command in words: the fields that are set.
pub fn describe(cmd: u32, bytes: &[u8]) -> String {
    macro_rules! show {
        ($view:ident) => {
            format!("{:?}", attr::$view::prefix(bytes))
        };
    }
    let Some(known) = Cmd::from_u32(cmd) else {
        return format!("command {cmd} with {} bytes", bytes.len());
    };
    let shown = match known {
        Cmd::MapCreate => show!(MapCreate),
        Cmd::MapLookupElem | Cmd::MapUpdateElem | Cmd::MapLookupAndDeleteElem => show!(MapElem),
        Cmd::MapDeleteElem => show!(MapDeleteElem),
        Cmd::MapGetNextKey => show!(MapGetNextKey),
        Cmd::ProgLoad => show!(ProgLoad),
        Cmd::ObjPin | Cmd::ObjGet => show!(Obj),
        Cmd::ProgAttach | Cmd::ProgDetach => show!(ProgAttach),
        Cmd::ProgTestRun => show!(ProgTestRun),
        Cmd::ProgGetNextId | Cmd::MapGetNextId | Cmd::BtfGetNextId | Cmd::LinkGetNextId => {
            show!(GetNextId)
        }
        Cmd::ProgGetFdById => show!(ProgGetFdById),
        Cmd::MapGetFdById => show!(MapGetFdById),
        Cmd::BtfGetFdById => show!(BtfGetFdById),
        Cmd::LinkGetFdById => show!(LinkGetFdById),
        Cmd::ObjGetInfoByFd => show!(ObjGetInfo),
        Cmd::ProgQuery => show!(ProgQuery),
        Cmd::RawTracepointOpen => show!(RawTracepointOpen),
        Cmd::BtfLoad => show!(BtfLoad),
        Cmd::TaskFdQuery => show!(TaskFdQuery),
        Cmd::MapFreeze => show!(MapFreeze),
        Cmd::MapLookupBatch
        | Cmd::MapLookupAndDeleteBatch
        | Cmd::MapUpdateBatch
        | Cmd::MapDeleteBatch => show!(MapBatch),
        Cmd::LinkCreate => show!(LinkCreate),
        Cmd::LinkUpdate => show!(LinkUpdate),
        Cmd::EnableStats => show!(EnableStats),
        Cmd::IterCreate => show!(IterCreate),
        Cmd::LinkDetach => show!(LinkDetach),
        Cmd::ProgBindMap => show!(ProgBindMap),
        Cmd::TokenCreate => show!(TokenCreate),
        Cmd::ProgStreamReadByFd => show!(ProgStreamRead),
        _ => format!("{} bytes", bytes.len()),
    };
    format!("{known} {shown}")
}

impl<K: Bpf, S: Fn(&str)> Bpf for Trace<K, S> {
    fn bpf(&self, cmd: u32, attr: &mut [u8], memory: &mut dyn UserMemory) -> Result<u32, Errno> {
        let call = describe(cmd, attr);
        let result = self.kernel.bpf(cmd, attr, memory);
        self.tell(&call, &result);
        result
    }
}

impl<K: Files, S: Fn(&str)> Files for Trace<K, S> {
    fn close(&self, fd: u32) -> Result<(), Errno> {
        let result = self.kernel.close(fd);
        self.tell(&format!("close {fd}"), &result.map(|()| 0));
        result
    }

    fn dup(&self, fd: u32) -> Result<u32, Errno> {
        let result = self.kernel.dup(fd);
        self.tell(&format!("dup {fd}"), &result);
        result
    }

    fn kernel_btf(&self) -> Result<Vec<u8>, Errno> {
        let result = self.kernel.kernel_btf();
        let bytes = result
            .as_ref()
            .map(|btf| format!("{} bytes", btf.len()))
            .map_err(|e| *e);
        self.tell("kernel_btf", &bytes);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_abi::Buffers;
    use std::cell::RefCell;

    struct Three;
    impl Bpf for Three {
        fn bpf(&self, cmd: u32, _: &mut [u8], _: &mut dyn UserMemory) -> Result<u32, Errno> {
            if cmd == 0 { Ok(3) } else { Err(Errno::EPERM) }
        }
    }

    #[test]
    fn a_call_is_told_with_its_answer() {
        let lines = RefCell::new(Vec::new());
        let kernel = Trace::new(Three, |line: &str| lines.borrow_mut().push(line.to_owned()));
        let mut create = attr::MapCreate::new();
        create.set_map_type(2).set_key_size(4);
        let mut memory = Buffers::new();
        assert_eq!(kernel.bpf(0, create.as_attr(), &mut memory), Ok(3));
        assert_eq!(kernel.bpf(22, &mut [9, 0], &mut memory), Err(Errno::EPERM));
        assert_eq!(kernel.bpf(99, &mut [], &mut memory), Err(Errno::EPERM));
        assert_eq!(
            lines.into_inner(),
            [
                "map_create MapCreate { map_type: 2, key_size: 4 } = 3",
                "map_freeze MapFreeze { map_fd: 9 } = -1 EPERM (Operation not permitted)",
                "command 99 with 0 bytes = -1 EPERM (Operation not permitted)",
            ]
        );
    }
}
