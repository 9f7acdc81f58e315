//! How maps and BTF come to be in a kernel.

use skep_abi::{Backend, Buffers, Cmd, Errno, MapType, Mapping, attr, object_name};

use crate::error::LoadError;
use crate::fd::Fd;
use crate::features::Features;
use crate::load::LoadOptions;
use crate::map::{MapDef, SlotTarget};
use crate::reduce;

/// Creates a map with its inner template, and gives it its first value. Elements that refer
/// to other maps and to programs are set later, by [`set_slot`].
pub(crate) fn map<'k>(
    features: &Features<'k>,
    def: &MapDef,
    initial: Option<&[u8]>,
    btf: Option<&Fd<'_>>,
    options: &LoadOptions,
) -> Result<Fd<'k>, LoadError> {
    let fail = |step| {
        move |errno| LoadError::Map {
            map: def.name.clone(),
            step,
            errno,
        }
    };
    let inner = match &def.inner {
        Some(inner) => Some(map(features, inner, None, btf, options)?),
        None => None,
    };
    let backend = features.backend();
    let fd = create(features, def, inner.as_ref(), btf, options).map_err(fail("creating"))?;
    let initial = initial.filter(|_| !def.is_arena());
    if let Some(value) = initial.filter(|value| value.iter().any(|byte| *byte != 0)) {
        update(backend, &fd, 0, value).map_err(fail("setting its first value"))?;
    }
    if def.is_frozen() {
        freeze(backend, &fd).map_err(fail("freezing"))?;
    }
    Ok(fd)
}

/// Maps a new arena, where its extra word says or where there is room, and puts the first
/// values of its variables into it. Programs that use it can be loaded then.
pub(crate) fn arena(
    backend: &dyn Backend,
    def: &MapDef,
    fd: &Fd<'_>,
    options: &LoadOptions,
) -> Result<Box<dyn Mapping>, LoadError> {
    let fail = |step| {
        move |errno| LoadError::Map {
            map: def.name.clone(),
            step,
            errno,
        }
    };
    let bytes = u64::from(def.max_entries) * u64::from(options.page_size);
    let len = usize::try_from(bytes).map_err(|_| fail("mapping")(Errno::E2BIG))?;
    let mapping = backend
        .mmap_at(fd.raw(), def.map_extra, 0, len, true)
        .map_err(fail("mapping"))?;
    if let Some(value) = &def.initial {
        let filled = mapping.write(0, value);
        filled.map_err(fail("setting the first values of its variables"))?;
    }
    Ok(mapping)
}

/// Sets an element to the descriptor of a map or program.
pub(crate) fn set_slot(
    backend: &dyn Backend,
    map: &Fd<'_>,
    key: u32,
    value: &Fd<'_>,
) -> Result<(), Errno> {
    update(backend, map, key, &value.raw().to_le_bytes())
}

/// The name of a slot's target, for messages.
pub(crate) fn slot_name(target: &SlotTarget, maps: &[MapDef]) -> String {
    match target {
        SlotTarget::Program(name) => name.clone(),
        SlotTarget::Map(index) => maps
            .get(index.0)
            .map(|m| m.name.clone())
            .unwrap_or_default(),
    }
}

fn create<'k>(
    features: &Features<'k>,
    def: &MapDef,
    inner: Option<&Fd<'_>>,
    btf: Option<&Fd<'_>>,
    options: &LoadOptions,
) -> Result<Fd<'k>, Errno> {
    let mut create = attr::MapCreate::new();
    create
        .set_map_type(def.map_type)
        .set_key_size(def.key_size)
        .set_value_size(def.value_size)
        .set_max_entries(max_entries(def, options))
        .set_map_flags(def.flags)
        .set_numa_node(def.numa_node)
        .set_map_name(object_name(&def.name))
        .set_map_extra(def.map_extra);
    if let Some(inner) = inner {
        create.set_inner_map_fd(inner.raw());
    }
    let plain = create.clone();
    let with_btf = btf.filter(|_| takes_btf(def.map_type));
    if let Some(btf) = with_btf {
        create
            .set_btf_fd(btf.raw())
            .set_btf_key_type_id(def.key_type.unwrap_or_default().0)
            .set_btf_value_type_id(def.value_type.unwrap_or_default().0);
    }
    // Types are a help, not a need: a kernel that refuses them may still take the map.
    let has_types = with_btf.is_some() && (def.key_type.is_some() || def.value_type.is_some());
    let created = match (features.make(create), has_types) {
        (Err(_), true) => features.make(plain.clone()),
        (answer, _) => answer,
    };
    created.or_else(|errno| {
        let known = reduce::map(&plain, def.is_section(), features).ok_or(errno)?;
        features.make(known)
    })
}

/// Whether Linux takes key and value types for maps of this type.
fn takes_btf(map_type: u32) -> bool {
    !matches!(
        MapType::from_u32(map_type),
        Some(
            MapType::PerfEventArray
                | MapType::CgroupArray
                | MapType::StackTrace
                | MapType::ArrayOfMaps
                | MapType::HashOfMaps
                | MapType::Devmap
                | MapType::DevmapHash
                | MapType::Cpumap
                | MapType::Xskmap
                | MapType::Sockmap
                | MapType::Sockhash
                | MapType::Queue
                | MapType::Stack
                | MapType::Arena
        )
    )
}

/// The number of elements asked for, where it depends on the machine: a perf event array
/// gets one per CPU when it names none, and a ring buffer is rounded up to what can be mapped.
pub(crate) fn max_entries(def: &MapDef, options: &LoadOptions) -> u32 {
    match MapType::from_u32(def.map_type) {
        Some(MapType::PerfEventArray) if def.max_entries == 0 => options.possible_cpus,
        Some(MapType::Ringbuf | MapType::UserRingbuf) if def.max_entries != 0 => {
            let page = options.page_size.max(1);
            let pages = def.max_entries.div_ceil(page).checked_next_power_of_two();
            pages
                .and_then(|pages| pages.checked_mul(page))
                .unwrap_or(def.max_entries)
        }
        _ => def.max_entries,
    }
}

fn update(backend: &dyn Backend, map: &Fd<'_>, key: u32, value: &[u8]) -> Result<(), Errno> {
    let key = key.to_le_bytes();
    let mut memory = Buffers::new();
    let mut element = attr::MapElem::new();
    element
        .set_map_fd(map.raw())
        .set_key(memory.input(&key))
        .set_value(memory.input(value));
    backend
        .bpf(Cmd::MapUpdateElem.into(), element.as_attr(), &mut memory)
        .map(|_| ())
}

fn freeze(backend: &dyn Backend, map: &Fd<'_>) -> Result<(), Errno> {
    let mut freeze = attr::MapFreeze::new();
    freeze.set_map_fd(map.raw());
    backend
        .bpf(Cmd::MapFreeze.into(), freeze.as_attr(), &mut Buffers::new())
        .map(|_| ())
}
