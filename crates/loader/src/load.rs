//! An object in a kernel: its BTF and maps, and programs one by one.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use skep_abi::{Backend, Errno};
use skep_btf::Btf;
use skep_elf::ByteOrder;
use skep_isa::Insn;

use crate::core::Candidates;
use crate::create;
use crate::error::LoadError;
use crate::fd::Fd;
use crate::features::{Features, Support, Types};
use crate::kconfig::{self, KernelConfig};
use crate::map::{MapDef, MapIndex, MapOrigin, SlotTarget};
use crate::modules::{Module, ModuleBtf};
use crate::object::Object;
use crate::prog_load::{LogOptions, ProgramLoad};
use crate::program::{ProgIndex, Program};
use crate::shared::Mappings;
use crate::{pins, reduce, resolve, struct_ops_value};

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
    /// The types of the kernel's modules, on the kernel's own; the kernel is asked for them when
    /// none are given.
    pub modules: Vec<ModuleBtf>,
    /// The addresses of the kernel's symbols (`/proc/kallsyms`), which externs without a type
    /// stand for. Without them, an object that needs one is not supported.
    pub symbols: Option<Arc<BTreeMap<String, u64>>>,
    /// The directory of a BPF file system in which maps that say so are found again or
    /// pinned (`LIBBPF_PIN_BY_NAME`). Without it they are ordinary maps.
    pub pin_root: Option<String>,
    /// The descriptor of a token (`BPF_TOKEN_CREATE`) by which types, maps and programs are made,
    /// in the same kernel; it stays the caller's.
    pub token: Option<u32>,
    /// Maps to be used in place of new ones: the name in the object, and a descriptor in the
    /// same kernel, which stays the caller's.
    pub reuse: BTreeMap<String, u32>,
}

impl Default for LoadOptions {
    fn default() -> LoadOptions {
        let config = KernelConfig::default();
        LoadOptions {
            config,
            possible_cpus: 1,
            page_size: 4096,
            target_btf: None,
            modules: Vec::new(),
            symbols: None,
            pin_root: None,
            token: None,
            reuse: BTreeMap::new(),
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
    /// Whether the types that the kernel took say what functions are.
    pub(crate) functions_typed: bool,
    /// What the kernel can do, asked when it refuses something.
    pub(crate) features: Features<'k>,
    maps: Vec<MapState<'k>>,
    pub(crate) mappings: Mappings,
    programs: Vec<Option<Fd<'k>>>,
    kernel_btf: OnceCell<Option<Arc<Btf>>>,
    pub(crate) modules: OnceCell<Vec<Module<'k>>>,
    pub(crate) candidates: RefCell<Option<Candidates>>,
    /// Each program's instructions, fitted to the target's types.
    fitted: Vec<OnceCell<Result<Vec<Insn>, LoadError>>>,
    /// The kernel's objects of types that instructions refer to by number (`fd_array`); the
    /// first stands for the kernel proper.
    pub(crate) type_objects: RefCell<Vec<u32>>,
}

/// What became of a map of the object.
#[derive(Debug)]
enum MapState<'k> {
    /// It was not asked for.
    Left,
    /// It is there.
    Created(Fd<'k>),
    /// It could not be made, which concerns the programs that refer to it.
    Failed(LoadError),
}

fn is_made(def: &MapDef) -> bool {
    def.autocreate
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
    /// without it, as libbpf's does; [`Loaded::btf_refused`] tells. A map that cannot be made
    /// spoils only the programs that refer to it: [`Loaded::map_error`] tells, and so does
    /// loading such a program.
    ///
    /// # Errors
    /// [`LoadError`] when no program of the object could be loaded.
    pub fn prepare<'k>(
        &'k self,
        backend: &'k dyn Backend,
        options: LoadOptions,
    ) -> Result<Loaded<'k>, LoadError> {
        let mut loaded = Loaded::nothing(self, backend, options)?;
        loaded.load_btf();
        loaded.create_maps();
        Ok(loaded)
    }

    /// Creates the maps and loads every program that is meant to be loaded (`autoload`).
    ///
    /// What can be found out without the kernel making anything is found out first, as libbpf
    /// does it: whether externs are there, whether structures of operations fit, and what
    /// relocations come to. Then come the types, the maps one after another, and the programs.
    ///
    /// # Errors
    /// [`LoadError`] of the first thing that does not work; [`LoadError::Refused`] holds the
    /// log of the first program that the kernel does not take.
    pub fn load<'k>(
        &'k self,
        backend: &'k dyn Backend,
        options: LoadOptions,
    ) -> Result<Loaded<'k>, LoadError> {
        let mut loaded = Loaded::nothing(self, backend, options)?;
        loaded.check()?;
        loaded.load_btf();
        loaded.btf_is_had()?;
        for index in 0..self.maps.len() {
            loaded.create_map(MapIndex(index));
            if let Some(error) = loaded.map_error(MapIndex(index)) {
                return Err(error.clone());
            }
        }
        loaded.fill_late();
        if let Some(error) = (0..self.maps.len()).find_map(|map| loaded.map_error(MapIndex(map))) {
            return Err(error.clone());
        }
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
                    // With a log the kernel may say what it lacks, and take the rest.
                    if let Ok(fd) = told.outcome {
                        loaded.keep(index, fd);
                        continue;
                    }
                    let program = program.name.clone();
                    let mut log = told.log;
                    if let Some(missing) = told.missing {
                        log += &missing;
                        log.push('\n');
                    }
                    return Err(LoadError::Refused {
                        program,
                        errno,
                        log,
                    });
                }
            }
        }
        loaded.fill_program_arrays()?;
        Ok(loaded)
    }
}

impl<'k> Loaded<'k> {
    fn nothing(
        object: &'k Object,
        backend: &'k dyn Backend,
        options: LoadOptions,
    ) -> Result<Loaded<'k>, LoadError> {
        if object.byte_order != ByteOrder::Little {
            return Err(LoadError::ByteOrder);
        }
        let features = match options.token {
            Some(token) => Features::with_token(backend, token),
            None => Features::of(backend),
        };
        Ok(Loaded {
            object,
            backend: Kernel(backend),
            options,
            btf: None,
            btf_refused: None,
            functions_typed: true,
            features,
            maps: object.maps.iter().map(|_| MapState::Left).collect(),
            mappings: Mappings::of(object.maps.len()),
            programs: object.programs.iter().map(|_| None).collect(),
            kernel_btf: OnceCell::new(),
            modules: OnceCell::new(),
            candidates: RefCell::default(),
            fitted: object.programs.iter().map(|_| OnceCell::new()).collect(),
            type_objects: RefCell::default(),
        })
    }

    /// The blueprint.
    pub fn object(&self) -> &'k Object {
        self.object
    }

    /// The kernel.
    pub fn backend(&self) -> &'k dyn Backend {
        self.backend.0
    }

    /// How many CPUs the kernel may have, as the options said.
    pub fn possible_cpus(&self) -> u32 {
        self.options.possible_cpus
    }

    /// What the kernel said to the object's BTF, when it did not take it.
    pub fn btf_refused(&self) -> Option<Errno> {
        self.btf_refused
    }

    /// The descriptor of a map, when it was created.
    pub fn map(&self, map: MapIndex) -> Option<&Fd<'k>> {
        match self.maps.get(map.0)? {
            MapState::Created(fd) => Some(fd),
            _ => None,
        }
    }

    /// Why a map could not be made.
    pub fn map_error(&self, map: MapIndex) -> Option<&LoadError> {
        match self.maps.get(map.0)? {
            MapState::Failed(error) => Some(error),
            _ => None,
        }
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
        for (index, def) in self.object.maps.iter().enumerate() {
            self.fill_map(MapIndex(index), def, |target| match target {
                SlotTarget::Program(name) => self
                    .object
                    .program(name)
                    .and_then(|index| self.program(index)),
                SlotTarget::Map(_) => None,
            })?;
        }
        Ok(())
    }

    /// The kernel's own types, read when first needed; `None` when it has none.
    pub fn kernel_btf(&self) -> Option<&Arc<Btf>> {
        let read = || {
            let raw = self.backend.0.kernel_btf().ok()?;
            Btf::parse_on(raw, None).ok().map(Arc::new)
        };
        self.kernel_btf.get_or_init(read).as_ref()
    }

    /// A program's instructions, fitted to the target's types. All that are meant to be loaded
    /// are fitted in their order, for what one finds bears on what the next chooses from.
    pub(crate) fn fitted(&self, index: ProgIndex) -> Result<Vec<Insn>, LoadError> {
        let all = self.fitted.iter().zip(&self.object.programs);
        for (fitted, program) in all.filter(|(_, program)| program.autoload) {
            fitted.get_or_init(|| self.fit(program));
        }
        let place = self.fitted.get(index.0);
        match place.zip(self.object.programs.get(index.0)) {
            Some((fitted, program)) => fitted.get_or_init(|| self.fit(program)).clone(),
            None => Err(LoadError::NoProgram(index.0.to_string())),
        }
    }

    fn fit(&self, program: &Program) -> Result<Vec<Insn>, LoadError> {
        let mut insns = program.insns.clone();
        crate::core::relocate(self, program, &mut insns).map(|()| insns)
    }

    /// What can go wrong before the kernel has made anything.
    fn check(&self) -> Result<(), LoadError> {
        kconfig::image(&self.object.externs, &self.options.config)?;
        for ext in &self.object.externs {
            resolve::check_extern(self, ext)?;
        }
        for def in self.object.maps.iter().filter(|def| is_made(def)) {
            if def.origin == MapOrigin::StructOps {
                struct_ops_value::check(self, def)?;
            }
        }
        for (index, program) in self.object.programs.iter().enumerate() {
            if program.autoload {
                self.fitted(ProgIndex(index))?;
            }
        }
        Ok(())
    }

    /// Structures of operations cannot do without the object's types.
    fn btf_is_had(&self) -> Result<(), LoadError> {
        let has_ops = |def: &MapDef| def.origin == MapOrigin::StructOps && is_made(def);
        match self.btf_refused {
            Some(errno) if self.object.maps.iter().any(has_ops) => Err(LoadError::Btf { errno }),
            _ => Ok(()),
        }
    }

    /// Loads the object's types, those that the kernel knows.
    fn load_btf(&mut self) {
        let Some(btf) = &self.object.btf else { return };
        let taken = self.features.load_types(btf.raw()).or_else(|errno| {
            let known = reduce::types(btf, &self.features).ok_or(errno)?;
            self.functions_typed = self.features.types(Types::Functions) != Support::No;
            self.features.load_types(known.raw()).map_err(|_| errno)
        });
        match taken {
            Ok(fd) => self.btf = Some(fd),
            Err(errno) => self.btf_refused = Some(errno),
        }
    }

    fn create_maps(&mut self) {
        for index in 0..self.object.maps.len() {
            self.create_map(MapIndex(index));
        }
        self.fill_late();
    }

    /// Fills the elements that are maps declared behind the map that holds them.
    fn fill_late(&mut self) {
        for (index, def) in self.object.maps.iter().enumerate() {
            let filled = self.fill_map(MapIndex(index), def, |target| match target {
                SlotTarget::Map(inner) if inner.0 > index => self.map(*inner),
                _ => None,
            });
            if let (Err(error), Some(state)) = (filled, self.maps.get_mut(index)) {
                *state = MapState::Failed(error);
            }
        }
    }

    /// Makes one map and fills the elements that are maps and there already, as libbpf does.
    fn create_map(&mut self, index: MapIndex) {
        let object = self.object;
        let Some(def) = object.maps.get(index.0).filter(|def| is_made(def)) else {
            return;
        };
        let state = match self.make(def, index) {
            Ok(Some(fd)) => MapState::Created(fd),
            Ok(None) => MapState::Left,
            Err(error) => MapState::Failed(error),
        };
        if let Some(place) = self.maps.get_mut(index.0) {
            *place = state;
        }
        let filled = self.fill_map(index, def, |target| match target {
            SlotTarget::Map(index) => self.map(*index),
            SlotTarget::Program(_) => None,
        });
        if let (Err(error), Some(state)) = (filled, self.maps.get_mut(index.0)) {
            *state = MapState::Failed(error);
        }
    }

    /// Makes one map, or finds it: the caller's, a pinned one, or a new one.
    fn make(&mut self, def: &MapDef, index: MapIndex) -> Result<Option<Fd<'k>>, LoadError> {
        let backend = self.backend.0;
        if let Some(fd) = self.options.reuse.get(&def.name) {
            return pins::reused(backend, def, *fd, &self.options).map(Some);
        }
        if let Some(fd) = pins::find(backend, def, &self.options)? {
            return Ok(Some(fd));
        }
        if def.origin == MapOrigin::StructOps {
            return struct_ops_value::create(self, def);
        }
        let computed = match def.origin {
            MapOrigin::Kconfig => Some(kconfig::image(&self.object.externs, &self.options.config)?),
            _ => None,
        };
        let initial = computed.as_deref().or(def.initial.as_deref());
        let fd = create::map(
            &self.features,
            def,
            initial,
            self.btf.as_ref(),
            &self.options,
        )?;
        if def.is_arena() {
            let memory = create::arena(backend, def, &fd, &self.options)?;
            self.mappings.note(index, memory);
        }
        pins::pin(backend, def, &fd, &self.options)?;
        Ok(Some(fd))
    }

    fn fill_map<'s>(
        &'s self,
        index: MapIndex,
        def: &MapDef,
        find: impl Fn(&SlotTarget) -> Option<&'s Fd<'k>>,
    ) -> Result<(), LoadError> {
        let Some(map) = self.map(index) else {
            return Ok(());
        };
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
        Ok(())
    }
}
