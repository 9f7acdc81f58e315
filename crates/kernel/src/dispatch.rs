//! Which command goes where.

use skep_abi::{Capabilities, Cmd, Errno, UserMemory, attr, check_attr_size};

use crate::kernel::Kernel;

impl Kernel {
    /// Carries out a command. Known commands that this kernel does not model answer
    /// `EOPNOTSUPP`, which Linux answers to none of them.
    pub(crate) fn dispatch(
        &self,
        cmd: u32,
        bytes: &mut [u8],
        memory: &mut dyn UserMemory,
    ) -> Result<u32, Errno> {
        self.run_timers();
        self.command(cmd, bytes, memory)
    }

    /// The same for a program that carries out a command, while no timer may run.
    pub(crate) fn command(
        &self,
        cmd: u32,
        bytes: &mut [u8],
        memory: &mut dyn UserMemory,
    ) -> Result<u32, Errno> {
        check_attr_size(bytes)?;
        let cmd = Cmd::from_u32(cmd).ok_or(Errno::EINVAL)?;
        match cmd {
            Cmd::MapCreate => self.map_create(&attr::MapCreate::checked(bytes)?, memory),
            Cmd::MapLookupElem => self
                .map_lookup(&attr::MapElem::checked(bytes)?, memory)
                .map(|()| 0),
            Cmd::MapUpdateElem => self
                .map_update(&attr::MapElem::checked(bytes)?, memory)
                .map(|()| 0),
            Cmd::MapDeleteElem => self
                .map_delete(&attr::MapDeleteElem::checked(bytes)?, memory)
                .map(|()| 0),
            Cmd::MapGetNextKey => self
                .map_next_key(&attr::MapGetNextKey::checked(bytes)?, memory)
                .map(|()| 0),
            Cmd::MapLookupAndDeleteElem => self
                .map_take(&attr::MapElem::checked(bytes)?, memory)
                .map(|()| 0),
            Cmd::MapFreeze => self
                .map_freeze(&attr::MapFreeze::checked(bytes)?)
                .map(|()| 0),
            Cmd::MapLookupBatch
            | Cmd::MapLookupAndDeleteBatch
            | Cmd::MapUpdateBatch
            | Cmd::MapDeleteBatch => {
                let mut view = attr::MapBatch::checked(bytes)?;
                let done = self.map_batch(cmd, &mut view, memory);
                view.write_back(bytes);
                done.map(|()| 0)
            }
            Cmd::BtfLoad => {
                let mut view = attr::BtfLoad::checked(bytes)?;
                let done = self.btf_load(&mut view, memory);
                view.write_back(bytes);
                done
            }
            Cmd::ProgLoad => {
                let mut view = attr::ProgLoad::checked(bytes)?;
                let done = self.prog_load(&mut view, memory);
                view.write_back(bytes);
                done
            }
            Cmd::ProgTestRun => {
                let mut view = attr::ProgTestRun::checked(bytes)?;
                let done = self.test_run(&mut view, memory);
                view.write_back(bytes);
                done.map(|()| 0)
            }
            Cmd::ProgGetNextId | Cmd::MapGetNextId | Cmd::BtfGetNextId => {
                let mut view = attr::GetNextId::checked(bytes)?;
                if view.start_id() >= i32::MAX as u32 {
                    return Err(Errno::EINVAL);
                }
                self.need(Capabilities::SYS_ADMIN)?;
                let next = match cmd {
                    Cmd::ProgGetNextId => self.progs.next(view.start_id()),
                    Cmd::MapGetNextId => self.maps.next(view.start_id()),
                    _ => self.btfs.next(view.start_id()),
                }?;
                view.set_next_id(next).write_back(bytes);
                Ok(0)
            }
            Cmd::ProgGetFdById => {
                let view = attr::ProgGetFdById::checked(bytes)?;
                self.need(Capabilities::SYS_ADMIN)?;
                self.fds
                    .insert(crate::fds::File::Prog(self.progs.get(view.prog_id())?))
            }
            Cmd::MapGetFdById => self.map_fd_by_id(&attr::MapGetFdById::checked(bytes)?),
            Cmd::BtfGetFdById => {
                let view = attr::BtfGetFdById::checked(bytes)?;
                self.need(Capabilities::SYS_ADMIN)?;
                self.fds
                    .insert(crate::fds::File::Btf(self.btfs.get(view.btf_id())?))
            }
            Cmd::ObjGetInfoByFd => {
                let mut view = attr::ObjGetInfo::checked(bytes)?;
                self.info_by_fd(&mut view, memory)?;
                view.write_back(bytes);
                Ok(0)
            }
            Cmd::ProgBindMap => self
                .prog_bind_map(&attr::ProgBindMap::checked(bytes)?)
                .map(|()| 0),
            Cmd::EnableStats => self.enable_stats(&attr::EnableStats::checked(bytes)?),
            Cmd::ProgStreamReadByFd => {
                self.stream_read(&attr::ProgStreamRead::checked(bytes)?, memory)
            }
            _ => Err(Errno::EOPNOTSUPP),
        }
    }
}
