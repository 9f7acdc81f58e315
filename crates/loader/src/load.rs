//! An object in a kernel: its BTF and maps, and programs one by one.

use std::cell::OnceCell;
use std::sync::Arc;

use skep_abi::{Backend, Errno};
use skep_btf::Btf;

use crate::create;
use crate::error::LoadError;
use crate::fd::Fd;
use crate::kconfig::{self, KernelConfig};
use crate::map::{MapIndex, MapOrigin, SlotTarget};
use crate::object::Object;
use crate::prog_load::{LogOptions, ProgramLoad};
use crate::program::ProgIndex;

/// What a load depends on besides the object and the kernel.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// The configuration that `.kconfig` variables read.
    pub config: KernelConfig,
    /// How many CPUs the kernel may have.
    pub possible_cpus: u32,
    /// Bytes of a page.
    pub page_size: u32,
    /// The types that CO-RE relocations are resolved against; the kernel's own when absent.
    pub target_btf: Option<Arc<Btf>>,
}

impl Default for LoadOptions {
    fn default() -> LoadOptions {
        let config = KernelConfig::default();
        LoadOptions {
            config,
            possible_cpus: 1,
            page_size: 4096,
            target_btf: None,
        }
    }
}

/// An object whose maps are in a kernel. Dropping it closes everything.
#[derive(Debug)]
pub struct Loaded<'k> {
    pub(crate) object: &'k Object,
    pub(crate) backend: Kernel<'k>,
    pub(crate) options: LoadOptions,
    pub(crate) btf: Option<Fd<'k>>,
    btf_refused: Option<Errno>,
    maps: Vec<Option<Fd<'k>>>,
    programs: Vec<Option<Fd<'k>>>,
    kernel_btf: OnceCell<Option<Arc<Btf>>>,
}

/// The kernel, with a name in debug output.
#[derive(Clone, Copy)]
pub(crate) struct Kernel<'k>(pub(crate) &'k dyn Backend);

impl core::fmt::Debug for Kernel<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Kernel")
    }
}

impl Object {
    /// Creates the object's BTF and maps in a kernel. Its programs can then be loaded.
    ///
    /// When the kernel refuses the BTF of an object that can do without, the load goes on
    /// without it, as libbpf's does; [`Loaded::btf_refused`] tells.
    ///
    /// # Errors
    /// [`LoadError`] names the map and the step that failed.
    pub fn prepare<'k>(
        &'k self,
        backend: &'k dyn Backend,
        options: LoadOptions,
    ) -> Result<Loaded<'k>, LoadError> {
        let mut loaded = Loaded {
            object: self,
            backend: Kernel(backend),
            options,
            btf: None,
            btf_refused: None,
            maps: Vec::new(),
            programs: self.programs.iter().map(|_| None).collect(),
            kernel_btf: OnceCell::new(),
        };
        loaded.load_btf()?;
        loaded.create_maps()?;
        Ok(loaded)
    }

    /// Creates the maps and loads every program that is meant to be loaded (`autoload`).
    ///
    /// # Errors
    /// [`LoadError`]; [`LoadError::Refused`] holds the log of the first program that the
    /// kernel does not take.
    pub fn load<'k>(
        &'k self,
        backend: &'k dyn Backend,
        options: LoadOptions,
    ) -> Result<Loaded<'k>, LoadError> {
        let mut loaded = self.prepare(backend, options)?;
        for (index, program) in self.programs.iter().enumerate() {
            if !program.autoload {
                continue;
            }
            let index = ProgIndex(index);
            let quiet = loaded.load_program(index, &LogOptions::NONE)?;
            match quiet.outcome {
                Ok(fd) => loaded.keep(index, fd),
                Err(errno) => {
                    let told = loaded.load_program(index, &LogOptions::BRIEF)?;
                    let program = program.name.clone();
                    return Err(LoadError::Refused {
                        program,
                        errno,
                        log: told.log,
                    });
                }
            }
        }
        loaded.fill_program_arrays()?;
        Ok(loaded)
    }
}

impl<'k> Loaded<'k> {
    /// The blueprint.
    pub fn object(&self) -> &'k Object {
        self.object
    }

    /// The kernel.
    pub fn backend(&self) -> &'k dyn Backend {
        self.backend.0
    }

    /// What the kernel said to the object's BTF, when it did not take it.
    pub fn btf_refused(&self) -> Option<Errno> {
        self.btf_refused
    }

    /// The descriptor of a map, when it was created.
    pub fn map(&self, map: MapIndex) -> Option<&Fd<'k>> {
        self.maps.get(map.0)?.as_ref()
    }

    /// The descriptor of a program that was kept.
    pub fn program(&self, program: ProgIndex) -> Option<&Fd<'k>> {
        self.programs.get(program.0)?.as_ref()
    }

    /// Keeps the descriptor of a loaded program, for [`Loaded::program`] and for
    /// [`Loaded::fill_program_arrays`].
    pub fn keep(&mut self, program: ProgIndex, fd: Fd<'k>) {
        if let Some(place) = self.programs.get_mut(program.0) {
            *place = Some(fd);
        }
    }

    /// Loads one program, on its own, and says what the kernel said. See [`ProgramLoad`].
    ///
    /// # Errors
    /// [`LoadError`] when the program cannot be handed to the kernel at all. That the kernel
    /// refuses it is no error.
    pub fn load_program(
        &self,
        program: ProgIndex,
        log: &LogOptions,
    ) -> Result<ProgramLoad<'k>, LoadError> {
        crate::prog_load::load(self, program, log)
    }

    /// Puts the programs that were kept into the program arrays that name them.
    ///
    /// # Errors
    /// [`LoadError::Map`] when the kernel refuses an element.
    pub fn fill_program_arrays(&self) -> Result<(), LoadError> {
        self.fill_slots(|target| match target {
            SlotTarget::Program(name) => self
                .object
                .program(name)
                .and_then(|index| self.program(index)),
            SlotTarget::Map(_) => None,
        })
    }

    /// The kernel's own types, read when first needed; `None` when it has none.
    pub fn kernel_btf(&self) -> Option<&Arc<Btf>> {
        let read = || {
            let raw = self.backend.0.kernel_btf().ok()?;
            Btf::parse_on(raw, None).ok().map(Arc::new)
        };
        self.kernel_btf.get_or_init(read).as_ref()
    }

    fn load_btf(&mut self) -> Result<(), LoadError> {
        let Some(btf) = &self.object.btf else {
            return Ok(());
        };
        let needed = self
            .object
            .maps
            .iter()
            .any(|map| map.origin == MapOrigin::StructOps);
        match create::btf(self.backend.0, btf) {
            Ok(fd) => self.btf = Some(fd),
            Err(errno) if needed => return Err(LoadError::Btf { errno }),
            Err(errno) => self.btf_refused = Some(errno),
        }
        Ok(())
    }

    fn create_maps(&mut self) -> Result<(), LoadError> {
        for def in &self.object.maps {
            // Maps of struct_ops need the kernel's own layout of the structure; programs do
            // not refer to them, so the rest of the object can be loaded.
            if !def.autocreate || def.origin == MapOrigin::StructOps {
                self.maps.push(None);
                continue;
            }
            let computed = match def.origin {
                MapOrigin::Kconfig => {
                    Some(kconfig::image(&self.object.externs, &self.options.config)?)
                }
                _ => None,
            };
            let initial = computed.as_deref().or(def.initial.as_deref());
            let backend = self.backend.0;
            let fd = create::map(backend, def, initial, self.btf.as_ref(), &self.options)?;
            self.maps.push(Some(fd));
        }
        self.fill_slots(|target| match target {
            SlotTarget::Map(index) => self.map(*index),
            SlotTarget::Program(_) => None,
        })
    }

    fn fill_slots<'s>(
        &'s self,
        find: impl Fn(&SlotTarget) -> Option<&'s Fd<'k>>,
    ) -> Result<(), LoadError> {
        for (def, map) in self.object.maps.iter().zip(&self.maps) {
            let Some(map) = map else { continue };
            for (key, target) in &def.slots {
                let Some(value) = find(target) else { continue };
                create::set_slot(self.backend.0, map, *key, value).map_err(|errno| {
                    let step = "setting an initial element";
                    let target = create::slot_name(target, &self.object.maps);
                    LoadError::Map {
                        map: format!("{}[{key}] = {target}", def.name),
                        step,
                        errno,
                    }
                })?;
            }
        }
        Ok(())
    }
}
