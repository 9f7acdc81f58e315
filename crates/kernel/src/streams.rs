//! What programs say, and what is said of them when an access or a lock of theirs fails: two
//! streams of each program, read by command.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use skep_abi::{Errno, UserMemory, attr};
use skep_vm::world::StackOf;

use crate::kernel::Kernel;
use crate::prog::Program;

/// `BPF_STDOUT` is the first one.
const FIRST: u32 = 1;
/// `BPF_STDERR`.
pub(crate) const STDERR: u32 = 2;
/// A stream holds less than so many bytes (`BPF_STREAM_MAX_CAPACITY`).
const CAPACITY: usize = 100_000;

/// The streams of one program.
#[derive(Default)]
pub(crate) struct Streams([Mutex<VecDeque<u8>>; 2]);

impl Streams {
    /// # Errors
    /// `ENOENT` for a number that no stream has.
    pub(crate) fn stream(&self, number: u32) -> Result<MutexGuard<'_, VecDeque<u8>>, Errno> {
        let at = number.checked_sub(FIRST).ok_or(Errno::ENOENT)?;
        let stream = self.0.get(at as usize).ok_or(Errno::ENOENT)?;
        Ok(stream.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds text, all of it or nothing.
    ///
    /// # Errors
    /// `ENOENT`; `ENOSPC` when nobody has read for too long.
    pub(crate) fn push(&self, number: u32, text: &[u8]) -> Result<(), Errno> {
        let mut stream = self.stream(number)?;
        if stream.len() + text.len() >= CAPACITY {
            return Err(Errno::ENOSPC);
        }
        stream.extend(text);
        Ok(())
    }
}

impl Kernel {
    /// `BPF_PROG_STREAM_READ_BY_FD`: takes what there is, as far as it fits; how many bytes.
    ///
    /// # Errors
    /// `EBADF`, `EINVAL` for a descriptor of something else; `ENOENT` for a stream that is
    /// none; `EFAULT`, with nothing taken.
    pub(crate) fn stream_read(
        &self,
        view: &attr::ProgStreamRead,
        memory: &mut dyn UserMemory,
    ) -> Result<u32, Errno> {
        let prog = self.fds.prog(view.prog_fd())?;
        // Of runs that a runner still goes on with, whatever CPU it has.
        self.report_misses(&prog, 0);
        let mut stream = prog.streams.stream(view.stream_id())?;
        let len = stream.len().min(view.stream_buf_len() as usize);
        let text: Vec<u8> = stream.iter().take(len).copied().collect();
        memory.write(view.stream_buf(), &text)?;
        stream.drain(..len);
        Ok(len as u32)
    }

    /// Tells the program's standard error of accesses to an arena that found no page.
    pub(crate) fn report_misses(&self, prog: &Program, cpu: u32) {
        if prog.executable.arena.is_none() {
            return;
        }
        let maps = prog.maps.read().unwrap_or_else(PoisonError::into_inner);
        let arenas = maps.iter().filter_map(|map| map.map.arena());
        for (address, write) in arenas.flat_map(|arena| arena.take_misses()) {
            let access = if write { "WRITE" } else { "READ" };
            let what = format!("Arena {access} access at unmapped address {address:#x}\n");
            self.report(prog, cpu, &what);
        }
    }

    /// Writes what went wrong, and where, to a program's standard error.
    pub(crate) fn report(&self, prog: &Program, cpu: u32, what: &str) {
        let task = self.world.task();
        let name = task.comm.split(|byte| *byte == 0).next().unwrap_or(&[]);
        let mut text = format!("ERROR: {what}");
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "CPU: {cpu} UID: {} PID: {} Comm: {}\nCall trace:\nbpf_prog_{}_{}",
            task.uid,
            task.pid,
            String::from_utf8_lossy(name),
            prog.tag.iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            }),
            prog.name,
        );
        for address in self.world.stack(StackOf::Kernel).iter().skip(1) {
            let _ = writeln!(text, "{address:#x}");
        }
        // A full stream stays as it is.
        let _ = prog.streams.push(STDERR, text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_takes_whole_texts_until_it_is_full() {
        let streams = Streams::default();
        let push = |number, len| streams.push(number, &vec![b'x'; len]);
        assert_eq!(push(0, 1), Err(Errno::ENOENT));
        assert_eq!(push(3, 1), Err(Errno::ENOENT));
        assert_eq!(push(1, CAPACITY), Err(Errno::ENOSPC));
        assert_eq!(push(1, CAPACITY - 1), Ok(()));
        assert_eq!(push(1, 1), Err(Errno::ENOSPC));
        assert_eq!(push(STDERR, 1), Ok(()));
        streams.stream(1).expect("a stream").drain(..10);
        assert_eq!(push(1, 10), Ok(()));
    }
}
