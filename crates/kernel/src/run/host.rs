//! What a running program can reach: its input, its maps, and through helpers the kernel.

use std::sync::{Arc, OnceLock};

use skep_abi::{Errno, MapType, ProgFlags, ProgType};
use skep_maps::{Pass, Record};
use skep_vm::{Host, Machine, Trap};

use super::packet::Packet;
use super::{skb, xdp};
use crate::helpers;
use crate::kernel::Kernel;
use crate::map::MapObject;
use crate::map::references::Owner;
use crate::memory::Block;
use crate::objects::{ObjectFile, Role, Socket};
use crate::prog::Program;

/// What the context describes.
pub(crate) enum Input {
    /// Nothing beyond its own bytes.
    None,
    Xdp(Packet),
    Skb(Skb),
    Flow(Flow),
    /// What an argument points at.
    Argument(Block),
}

/// A packet without a socket buffer, and what its headers are said to be.
pub(crate) struct Flow {
    pub(crate) packet: Packet,
    /// `struct bpf_flow_keys`.
    pub(crate) keys: Block,
}

/// A socket buffer. The fields of `struct __sk_buff` live in the context.
pub(crate) struct Skb {
    pub(crate) packet: Packet,
    /// Where the Ethernet header and the one behind it begin, in the packet's block.
    pub(crate) mac: usize,
    pub(crate) network: usize,
}

/// One run, or several on the same input.
pub(crate) struct RunHost<'k> {
    pub(crate) kernel: &'k Kernel,
    pub(crate) ctx: Block,
    pub(crate) input: Input,
    pub(crate) cpu: u32,
    /// Keeps what maps point at while the program runs.
    pub(crate) pass: Pass<'k>,
    pub(crate) prog_type: Option<ProgType>,
    /// Where a redirect went last.
    pub(crate) redirect: Option<(u32, u64)>,
    /// The maps that programs of this run know, by handle.
    maps: Vec<(u64, Arc<MapObject>)>,
    /// Records that were reserved and not given back, with the map they lie in.
    pub(crate) reserved: Vec<(Record, u64, Arc<MapObject>)>,
    /// The socket that the packet belongs to.
    pub(crate) socket: Option<Block>,
    /// The same as the owner of values in socket storages, once a program asks for one.
    socket_owner: OnceLock<Arc<ObjectFile>>,
    /// Memory that a helper shows to a callback: address and length.
    pub(crate) lent: Option<(u64, u64)>,
    /// The tunnel that the packet is to go through.
    pub(crate) tunnel: Option<[u8; 44]>,
    /// Resilient locks that this run holds.
    pub(crate) res_locks: Vec<u64>,
    /// Programs that ran, which keep their own maps.
    programs: Vec<Arc<Program>>,
}

impl<'k> RunHost<'k> {
    pub(super) fn new(kernel: &'k Kernel, input: Input, ctx: usize) -> Result<Self, Errno> {
        Ok(RunHost {
            kernel,
            ctx: Block::new(ctx)?,
            input,
            cpu: 0,
            pass: kernel.rcu.plain.enter(),
            prog_type: None,
            redirect: None,
            maps: Vec::new(),
            reserved: Vec::new(),
            lent: None,
            socket: None,
            socket_owner: OnceLock::new(),
            tunnel: None,
            res_locks: Vec::new(),
            programs: Vec::new(),
        })
    }

    #[inline]
    pub(super) fn ctx_address(&self) -> u64 {
        self.ctx.at(0)
    }

    /// Makes a program and its maps known before it runs.
    ///
    /// # Errors
    /// `EOPNOTSUPP` when it calls a helper that has no implementation.
    pub(super) fn enter(&mut self, prog: &Arc<Program>, cpu: u32) -> Result<(), Errno> {
        self.cpu = cpu;
        if prog.flags.contains(ProgFlags::SLEEPABLE) {
            self.pass = self.kernel.rcu.sleepable.enter();
        }
        self.prog_type = ProgType::from_u32(prog.prog_type);
        self.adopt(prog)
    }

    fn adopt(&mut self, prog: &Arc<Program>) -> Result<(), Errno> {
        if self.programs.iter().any(|p| Arc::ptr_eq(p, prog)) {
            return Ok(());
        }
        let unknown = prog
            .runnable()?
            .helpers()
            .iter()
            .copied()
            .find(|id| !helpers::runs(*id));
        if let Some(id) = unknown {
            let what = helpers::name_of(id);
            self.kernel
                .note_trap(format!("unsupported: {what} cannot be run here"));
            return Err(Errno::EOPNOTSUPP);
        }
        let maps = prog
            .maps
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for map in maps.iter() {
            self.learn(map);
        }
        self.programs.push(prog.clone());
        Ok(())
    }

    /// Makes a map known and gives its handle.
    pub(crate) fn learn(&mut self, map: &Arc<MapObject>) -> u64 {
        let handle = map.shown_address();
        if !self.maps.iter().any(|(h, _)| *h == handle) {
            self.maps.push((handle, map.clone()));
        }
        handle
    }

    /// The map behind a handle, which a helper is called on.
    ///
    /// # Errors
    /// A trap when the program made the handle up.
    #[inline]
    pub(crate) fn map(&self, handle: u64) -> Result<&Arc<MapObject>, Trap> {
        let found = self.maps.iter().find(|(h, _)| *h == handle);
        let (_, map) = found.ok_or_else(|| Trap::Host(format!("no map {handle:#x}")))?;
        if self.kernel.map_statistics {
            map.count_operation();
        }
        Ok(map)
    }

    /// What `find` finds in the first map that has it.
    pub(crate) fn find_map<T>(&self, find: impl Fn(&MapObject) -> Option<T>) -> Option<T> {
        self.maps.iter().find_map(|(_, map)| find(map))
    }

    /// The program behind a linked one.
    pub(crate) fn running(&self, linked: &skep_vm::Program) -> Option<Arc<Program>> {
        let same = |p: &&Arc<Program>| {
            p.linked
                .as_ref()
                .is_ok_and(|l| std::ptr::eq(Arc::as_ptr(l), linked))
        };
        self.programs.iter().find(same).cloned()
    }

    /// Whose value in a storage of this type the address of an object means. The packet's
    /// socket is nobody else's, and goes with the run.
    pub(crate) fn owner_at(&self, map_type: MapType, address: u64) -> Option<Owner> {
        if self.socket.as_ref().is_none_or(|s| s.at(0) != address) {
            return self.kernel.objects.owner_at(map_type, address);
        }
        let object = self.socket_owner.get_or_init(|| {
            let socket = Socket {
                family: 0,
                kind: 0,
                protocol: 0,
                state: 0,
                in_reuseport_group: false,
            };
            let cookie = self.kernel.next_cookie();
            ObjectFile::passing(Arc::new(Role::Socket(socket)), cookie)
        });
        (map_type == MapType::SkStorage).then(|| Owner::Object(object.clone()))
    }

    /// Whether `test` holds for one of the maps that the run knows.
    pub(crate) fn any_map(&self, test: impl Fn(&MapObject) -> bool) -> bool {
        self.maps.iter().any(|(_, map)| test(map))
    }

    /// The packet, when the input has one.
    pub(crate) fn packet(&self) -> Option<&Packet> {
        match &self.input {
            Input::None | Input::Argument(_) => None,
            Input::Xdp(packet) => Some(packet),
            Input::Skb(skb) => Some(&skb.packet),
            Input::Flow(flow) => Some(&flow.packet),
        }
    }

    /// The packet, to be written.
    pub(crate) fn packet_mut(&mut self) -> Option<&mut Packet> {
        match &mut self.input {
            Input::None | Input::Argument(_) => None,
            Input::Xdp(packet) => Some(packet),
            Input::Skb(skb) => Some(&mut skb.packet),
            Input::Flow(flow) => Some(&mut flow.packet),
        }
    }

    /// Writes the packet's places into the context, as programs read them.
    pub(crate) fn sync_packet(&mut self) {
        let Some(packet) = self.packet() else { return };
        let (data, end, meta) = match &self.input {
            Input::Skb(_) | Input::Flow(_) => (skb::SHADOW_DATA, skb::SHADOW_END, skb::SHADOW_META),
            _ => (xdp::SHADOW_DATA, xdp::SHADOW_END, xdp::SHADOW_META),
        };
        self.ctx.set_u64(data, packet.data_address());
        self.ctx.set_u64(end, packet.end_address());
        self.ctx.set_u64(meta, packet.meta_address());
        if matches!(self.input, Input::Skb(_)) {
            self.ctx.set_u32(skb::LEN, packet.len() as u32);
        }
    }

    /// Whether a checked program may touch these bytes.
    pub(crate) fn is_granted(&self, addr: u64, len: u64, write: bool) -> bool {
        let within = |start: u64, size: u64| {
            addr >= start && addr.checked_add(len).is_some_and(|end| end <= start + size)
        };
        within(self.ctx.at(0), self.ctx.len() as u64)
            || self.packet().is_some_and(|p| p.covers(addr, len))
            || matches!(&self.input,
                Input::Flow(Flow { keys: block, .. }) | Input::Argument(block)
                    if within(block.at(0), block.len() as u64))
            || self
                .reserved
                .iter()
                .any(|(record, size, _)| within(record.0, *size))
            || self
                .socket
                .as_ref()
                .is_some_and(|s| !write && within(s.at(0), s.len() as u64))
            || self
                .lent
                .is_some_and(|(start, size)| !write && within(start, size))
            || self.maps.iter().any(|(_, m)| m.map.owns(addr, len, write))
            || self.kernel.heap.grants(addr, len, write)
    }
}

impl Host for RunHost<'_> {
    #[inline]
    fn call_helper(
        &mut self,
        machine: &mut Machine<'_>,
        id: i32,
        args: [u64; 5],
    ) -> Result<u64, Trap> {
        helpers::call(self, machine, id, args)
    }

    fn tail_call(
        &mut self,
        _ctx: u64,
        map: u64,
        index: u32,
    ) -> Result<Option<Arc<skep_vm::Program>>, Trap> {
        let array = self.map(map)?.clone();
        let next = match array.map.held(&index.to_ne_bytes(), &self.pass) {
            Some(held) => held.object.clone().downcast::<Program>(),
            None => return Ok(None),
        };
        let Ok(next) = next else { return Ok(None) };
        self.adopt(&next)
            .map_err(|e| Trap::Host(format!("tail call: {e}")))?;
        next.runnable()
            .map(Some)
            .map_err(|e| Trap::Host(format!("tail call: {e}")))
    }

    fn load_packet(&mut self, _ctx: u64, offset: i32, size: u32) -> Option<u64> {
        let Input::Skb(skb) = &self.input else {
            return None;
        };
        let at = helpers::classic_place(skb, offset)?;
        let mut raw = [0; 8];
        let bytes = raw.get_mut(8 - size as usize..)?;
        skb.packet.load_at(at, bytes).ok()?;
        Some(u64::from_be_bytes(raw))
    }
}

impl Skb {
    /// Where the headers are, counted from the data.
    pub(crate) fn headers(&self) -> (isize, isize) {
        let from_data = |at: usize| at as isize - self.packet.data as isize;
        (from_data(self.mac), from_data(self.network))
    }

    /// Puts the headers at places counted from the data.
    pub(crate) fn set_headers(&mut self, mac: isize, network: isize) {
        let place = |offset: isize| self.packet.data.saturating_add_signed(offset);
        (self.mac, self.network) = (place(mac), place(network));
    }

    /// Takes bytes out of the data or puts zeros in. The headers keep their distance from
    /// the start of the data, where they begin at or before the place.
    pub(crate) fn splice(&mut self, at: usize, remove: usize, insert: usize) -> Result<(), Errno> {
        let (mac, network) = self.headers();
        self.packet.splice(at, remove, insert)?;
        self.set_headers(mac, network);
        Ok(())
    }
}
