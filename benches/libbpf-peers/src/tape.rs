//! What a loader hands to the kernel, as lines: the same lines for the same commands, whoever
//! gives them.

use std::collections::HashMap;

use skep_abi::{Cmd, Errno, MapType, UserMemory, attr, copy_in, copy_in_string};

/// The lines of one load.
#[derive(Default)]
pub struct Tape {
    pub lines: Vec<String>,
    maps: HashMap<u32, Map>,
}

#[derive(Clone)]
struct Map {
    name: String,
    map_type: u32,
    value_size: u32,
}

/// What is to be done with a command that was looked at.
pub enum Verdict {
    /// The kernel shall answer, and [`Tape::answered`] shall hear what.
    Ask,
    /// It is a program: the loader gets a descriptor that stands for one.
    StandIn,
    /// It would fail, for a stand-in is among its arguments: it succeeds.
    Succeed,
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}

/// FNV-1a over 64 bits.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Programs and maps by which a loader finds out what the kernel can do.
fn is_probe(name: &str) -> bool {
    let probes = [
        "",
        "test",
        "global",
        "bpf_prog_load",
        "libbpf_nametest",
        "libbpf_global",
        "libbpf_mmap",
        "libbpf_det_bind",
        "arr",
        "global_reloc",
        "named",
    ];
    probes.contains(&name) || name.starts_with("det_")
}

impl Tape {
    fn name(&self, fd: u32) -> String {
        let found = self.maps.get(&fd);
        found.map_or_else(|| format!("fd{fd}"), |map| map.name.clone())
    }

    /// `dup3`: the loader keeps numbers for its maps before they are there.
    pub fn duplicated(&mut self, old: u32, new: u32) {
        if let Some(map) = self.maps.get(&old).cloned() {
            self.maps.insert(new, map);
        }
    }

    /// Looks at a command before it is carried out.
    pub fn asked(&mut self, cmd: u32, attr: &[u8], memory: &dyn UserMemory) -> Verdict {
        match Cmd::from_u32(cmd) {
            Some(Cmd::ProgLoad) => match attr::ProgLoad::checked(attr) {
                Ok(load) if is_probe(&text(&load.prog_name())) => Verdict::Ask,
                Ok(load) => {
                    self.program(&load, memory).unwrap_or(());
                    Verdict::StandIn
                }
                Err(_) => Verdict::Ask,
            },
            Some(Cmd::MapUpdateElem) => {
                let Ok(elem) = attr::MapElem::checked(attr) else {
                    return Verdict::Ask;
                };
                match self.update(&elem, memory) {
                    Ok(Some(MapType::ProgArray)) => Verdict::Succeed,
                    _ => Verdict::Ask,
                }
            }
            Some(Cmd::ProgBindMap) => Verdict::Succeed,
            _ => Verdict::Ask,
        }
    }

    /// Hears what the kernel answered.
    pub fn answered(
        &mut self,
        cmd: u32,
        attr: &[u8],
        memory: &dyn UserMemory,
        answer: Result<u32, Errno>,
    ) {
        let said = match answer {
            Ok(_) => "taken".to_string(),
            Err(errno) => errno.to_string(),
        };
        match Cmd::from_u32(cmd) {
            Some(Cmd::MapCreate) => {
                let Ok(map) = attr::MapCreate::checked(attr) else {
                    return;
                };
                let name = text(&map.map_name());
                if is_probe(&name) {
                    return;
                }
                let inner = match map.inner_map_fd() {
                    0 => "-".to_string(),
                    fd => self.name(fd),
                };
                self.lines.push(format!(
                    "map {name} type={} {}/{} x{} flags={:#x} extra={} numa={} inner={inner} \
                     btf={} key={} value={} kernel={} -> {said}",
                    map.map_type(),
                    map.key_size(),
                    map.value_size(),
                    map.max_entries(),
                    map.map_flags(),
                    map.map_extra(),
                    map.numa_node(),
                    u32::from(map.btf_fd() != 0),
                    map.btf_key_type_id(),
                    map.btf_value_type_id(),
                    map.btf_vmlinux_value_type_id(),
                ));
                if let Ok(fd) = answer {
                    let (map_type, value_size) = (map.map_type(), map.value_size());
                    let map = Map {
                        name,
                        map_type,
                        value_size,
                    };
                    self.maps.insert(fd, map);
                }
            }
            Some(Cmd::MapFreeze) => {
                if let Ok(freeze) = attr::MapFreeze::checked(attr) {
                    let line = format!("freeze {} -> {said}", self.name(freeze.map_fd()));
                    self.lines.push(line);
                }
            }
            Some(Cmd::BtfLoad) => {
                let Ok(load) = attr::BtfLoad::checked(attr) else {
                    return;
                };
                // Probes are small.
                let size = load.btf_size();
                let blob = copy_in(memory, load.btf(), size as usize).unwrap_or_default();
                let line = format!("btf {size} {:016x} -> {said}", hash(&blob));
                // libbpf asks again for a log of what was refused.
                if size > 500 && self.lines.last() != Some(&line) {
                    self.lines.push(line);
                }
            }
            _ => {}
        }
    }

    fn update(
        &mut self,
        elem: &attr::MapElem,
        memory: &dyn UserMemory,
    ) -> Result<Option<MapType>, Errno> {
        let Some(map) = self.maps.get(&elem.map_fd()).cloned() else {
            return Ok(None);
        };
        let map_type = MapType::from_u32(map.map_type);
        let key = copy_in(memory, elem.key(), 4)?;
        let value = copy_in(memory, elem.value(), map.value_size as usize)?;
        let shown = match map_type {
            Some(MapType::ArrayOfMaps | MapType::HashOfMaps) => {
                let fd = value
                    .first_chunk()
                    .map_or(0, |bytes| u32::from_le_bytes(*bytes));
                self.name(fd)
            }
            Some(MapType::ProgArray) => "program".to_string(),
            _ => format!("{:016x}", hash(&value)),
        };
        let key = key
            .first_chunk()
            .map_or(0, |bytes| u32::from_le_bytes(*bytes));
        // An array of zeros is what it would be anyway.
        if value.iter().any(|byte| *byte != 0) {
            self.lines
                .push(format!("update {} [{key}] = {shown}", map.name));
        }
        Ok(map_type)
    }

    fn program(&mut self, load: &attr::ProgLoad, memory: &dyn UserMemory) -> Result<(), Errno> {
        let license = copy_in_string(memory, load.license(), 128)?;
        self.lines.push(format!(
            "prog {} type={} attach={} flags={:#x} id={} in={} btf={} funcs={} lines={} \
             license={} insns={}",
            text(&load.prog_name()),
            load.prog_type(),
            load.expected_attach_type(),
            load.prog_flags(),
            load.attach_btf_id(),
            u32::from(load.attach_prog_fd() != 0),
            u32::from(load.prog_btf_fd() != 0),
            load.func_info_cnt(),
            load.line_info_cnt(),
            String::from_utf8_lossy(&license),
            load.insn_cnt(),
        ));
        let insns = copy_in(memory, load.insns(), load.insn_cnt() as usize * 8)?;
        let mut second = false;
        for (at, slot) in insns.chunks_exact(8).enumerate() {
            let imm = i32::from_le_bytes([slot[4], slot[5], slot[6], slot[7]]);
            if std::mem::take(&mut second) {
                self.lines.push(format!("  {at}: {imm}"));
                continue;
            }
            second = slot[0] == 0x18;
            let (dst, src) = (slot[1] & 15, slot[1] >> 4);
            let off = i16::from_le_bytes([slot[2], slot[3]]);
            let imm = match (second, src) {
                (true, 1 | 2) => self.name(imm.cast_unsigned()),
                _ => imm.to_string(),
            };
            let line = format!("  {at}: {:02x} {dst} {src} {off} {imm}", slot[0]);
            self.lines.push(line);
        }
        let (func, line) = (load.func_info_cnt(), load.line_info_cnt());
        self.records("functions", memory, (load.func_info(), func), 8, &[0, 4])?;
        self.records("source", memory, (load.line_info(), line), 16, &[0, 12])
    }

    fn records(
        &mut self,
        what: &str,
        memory: &dyn UserMemory,
        (at, count): (u64, u32),
        size: usize,
        fields: &[usize],
    ) -> Result<(), Errno> {
        let bytes = copy_in(memory, at, count as usize * size)?;
        let mut line = format!("  {what}:");
        for record in bytes.chunks_exact(size) {
            let word = |at: &usize| {
                let bytes = record[*at..].first_chunk().copied();
                u32::from_le_bytes(bytes.unwrap_or_default()).to_string()
            };
            let words: Vec<String> = fields.iter().map(word).collect();
            line += &format!(" {}", words.join("/"));
        }
        self.lines.push(line);
        Ok(())
    }
}
