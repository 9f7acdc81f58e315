//! What a kernel says of a blob of BTF, and how two kernels differ over it.

use skep_abi::{Backend, Buffers, Cmd, Errno, attr};

/// An answer to `BPF_BTF_LOAD`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BtfAnswer {
    /// Whether it was taken.
    pub verdict: Result<(), Errno>,
    /// The log up to its NUL.
    pub log: Vec<u8>,
    /// How long the log really is.
    pub true_size: u32,
}

/// How a blob is to be loaded.
#[derive(Clone, Debug)]
pub struct BtfAsk<'a> {
    /// The blob.
    pub blob: &'a [u8],
    /// How long it is said to be.
    pub size: u32,
    /// The level of the log.
    pub level: u32,
    /// Room for the log.
    pub room: u32,
    /// Whether there is a place for the log.
    pub has_buffer: bool,
    /// `BPF_F_*`
    pub flags: u32,
    /// The descriptor of a token.
    pub token: i32,
}

impl<'a> BtfAsk<'a> {
    /// As loaders do it: with a log when there is room for one.
    pub fn plain(blob: &'a [u8], level: u32, room: u32) -> BtfAsk<'a> {
        let has_buffer = level != 0 && room != 0;
        BtfAsk {
            blob,
            size: u32::try_from(blob.len()).unwrap_or(u32::MAX),
            level: if has_buffer { level } else { 0 },
            room: if has_buffer { room } else { 0 },
            has_buffer,
            flags: 0,
            token: 0,
        }
    }
}

/// Loads a blob. What is taken is let go again at once.
pub fn ask_btf(kernel: &dyn Backend, ask: &BtfAsk<'_>) -> BtfAnswer {
    let mut buffer = vec![0u8; ask.room as usize];
    let mut memory = Buffers::new();
    let mut load = attr::BtfLoad::new();
    load.set_btf(memory.input(ask.blob))
        .set_btf_size(ask.size)
        .set_btf_log_level(ask.level)
        .set_btf_log_size(ask.room)
        .set_btf_flags(ask.flags)
        .set_btf_token_fd(ask.token);
    if ask.has_buffer {
        load.set_btf_log_buf(memory.output(&mut buffer));
    }
    let answer = kernel.bpf(Cmd::BtfLoad.into(), load.as_attr(), &mut memory);
    let true_size = load.btf_log_true_size();
    drop(memory);
    let verdict = answer.map(|fd| {
        // Nothing can be done about a descriptor that will not close.
        let _ = kernel.close(fd);
    });
    let end = buffer.iter().position(|byte| *byte == 0);
    buffer.truncate(end.unwrap_or(buffer.len()));
    BtfAnswer {
        verdict,
        log: buffer,
        true_size,
    }
}

impl BtfAnswer {
    /// Where this answer differs from another one, for a person.
    pub fn difference(&self, other: &BtfAnswer) -> Option<String> {
        if self == other {
            return None;
        }
        let tail = |log: &[u8]| {
            let text = String::from_utf8_lossy(log).into_owned();
            let lines: Vec<&str> = text.lines().collect();
            lines
                .get(lines.len().saturating_sub(4)..)
                .unwrap_or(&[])
                .join("\n        ")
        };
        Some(format!(
            "{:?} (log of {})\n        {}\n    against {:?} (log of {})\n        {}",
            self.verdict,
            self.true_size,
            tail(&self.log),
            other.verdict,
            other.true_size,
            tail(&other.log)
        ))
    }
}
