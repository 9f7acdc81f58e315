//! Maps with typed keys and values, and programs, of a loaded object.

use core::marker::PhantomData;

use skep_abi::{Backend, Buffers, Cmd, Errno, ProgType, attr};
use skep_loader::{Loaded, MapIndex, Object, ProgIndex};

use crate::test_run::{RunInput, RunOutput, test_run};

/// A value that is the same everywhere as bytes, lowest first.
///
/// Reading never fails: bytes that are missing count as zero.
pub trait Plain {
    /// How many bytes it has.
    const SIZE: usize;
    /// The value that the bytes begin with.
    fn read(bytes: &[u8]) -> Self;
    /// Writes the value to the front of the bytes.
    fn write(&self, bytes: &mut [u8]);
}

/// The bytes from an offset on; none when there are too few.
pub fn plain_at(bytes: &[u8], offset: usize) -> &[u8] {
    bytes.get(offset..).unwrap_or(&[])
}

/// The same, to be written.
pub fn plain_at_mut(bytes: &mut [u8], offset: usize) -> &mut [u8] {
    bytes.get_mut(offset..).unwrap_or(&mut [])
}

macro_rules! numbers {
    ($($ty:ty)*) => {$(
        impl Plain for $ty {
            const SIZE: usize = size_of::<$ty>();

            fn read(bytes: &[u8]) -> $ty {
                let mut own = [0; size_of::<$ty>()];
                for (to, from) in own.iter_mut().zip(bytes) {
                    *to = *from;
                }
                <$ty>::from_le_bytes(own)
            }

            fn write(&self, bytes: &mut [u8]) {
                for (to, from) in bytes.iter_mut().zip(self.to_le_bytes()) {
                    *to = from;
                }
            }
        }
    )*};
}

numbers!(u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 f32 f64);

impl Plain for bool {
    const SIZE: usize = 1;

    fn read(bytes: &[u8]) -> bool {
        u8::read(bytes) != 0
    }

    fn write(&self, bytes: &mut [u8]) {
        u8::from(*self).write(bytes);
    }
}

impl<T: Plain, const N: usize> Plain for [T; N] {
    const SIZE: usize = T::SIZE * N;

    fn read(bytes: &[u8]) -> [T; N] {
        core::array::from_fn(|index| T::read(plain_at(bytes, index * T::SIZE)))
    }

    fn write(&self, bytes: &mut [u8]) {
        for (index, element) in self.iter().enumerate() {
            element.write(plain_at_mut(bytes, index * T::SIZE));
        }
    }
}

fn bytes_of<T: Plain>(value: &T) -> Vec<u8> {
    let mut bytes = vec![0; T::SIZE];
    value.write(&mut bytes);
    bytes
}

/// A map of which only the descriptor is known.
#[derive(Clone, Copy)]
pub struct RawMap<'l> {
    kernel: &'l dyn Backend,
    fd: u32,
    cpus: usize,
}

impl core::fmt::Debug for RawMap<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "RawMap({})", self.fd)
    }
}

impl<'l> RawMap<'l> {
    /// The map with this number in a loaded object.
    ///
    /// # Errors
    /// `ENOENT` when it was not created.
    pub fn of(loaded: &'l Loaded<'_>, index: usize) -> Result<RawMap<'l>, Errno> {
        let fd = loaded.map(MapIndex(index)).ok_or(Errno::ENOENT)?;
        Ok(RawMap {
            kernel: loaded.backend(),
            fd: fd.raw(),
            cpus: loaded.possible_cpus() as usize,
        })
    }

    /// The descriptor, valid as long as the object is loaded.
    pub fn fd(&self) -> u32 {
        self.fd
    }

    fn element(&self, cmd: Cmd, key: &[u8], value: &mut [u8], flags: u64) -> Result<(), Errno> {
        let mut memory = Buffers::new();
        let mut element = attr::MapElem::new();
        element.set_map_fd(self.fd).set_flags(flags);
        element.set_key(memory.input(key));
        if !value.is_empty() {
            element.set_value(memory.output(value));
        }
        self.kernel
            .bpf(cmd.into(), element.as_attr(), &mut memory)
            .map(drop)
    }

    fn lookup(&self, key: &[u8], size: usize) -> Result<Option<Vec<u8>>, Errno> {
        let mut value = vec![0; size];
        match self.element(Cmd::MapLookupElem, key, &mut value, 0) {
            Ok(()) => Ok(Some(value)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    fn next_key(&self, key: Option<&[u8]>, size: usize) -> Result<Option<Vec<u8>>, Errno> {
        let mut next = vec![0; size];
        let answer = {
            let mut memory = Buffers::new();
            let mut get = attr::MapGetNextKey::new();
            get.set_map_fd(self.fd);
            if let Some(key) = key {
                get.set_key(memory.input(key));
            }
            get.set_next_key(memory.output(&mut next));
            self.kernel
                .bpf(Cmd::MapGetNextKey.into(), get.as_attr(), &mut memory)
        };
        match answer {
            Ok(_) => Ok(Some(next)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    fn remove(&self, key: &[u8]) -> Result<(), Errno> {
        let mut memory = Buffers::new();
        let mut delete = attr::MapDeleteElem::new();
        delete.set_map_fd(self.fd).set_key(memory.input(key));
        self.kernel
            .bpf(Cmd::MapDeleteElem.into(), delete.as_attr(), &mut memory)
            .map(drop)
    }

    fn keys<K: Plain>(&self) -> Result<Vec<K>, Errno> {
        let mut keys = Vec::new();
        let mut last: Option<Vec<u8>> = None;
        while let Some(next) = self.next_key(last.as_deref(), K::SIZE)? {
            keys.push(K::read(&next));
            last = Some(next);
        }
        Ok(keys)
    }
}

/// What a map's field in a skeleton is made of.
pub trait OfObject<'l>: Sized {
    /// The map with this number.
    fn of_map(map: RawMap<'l>) -> Self;
}

impl<'l> OfObject<'l> for RawMap<'l> {
    fn of_map(map: RawMap<'l>) -> RawMap<'l> {
        map
    }
}

/// The map with this number in a loaded object, with the types that are asked for.
///
/// # Errors
/// `ENOENT` when it was not created.
pub fn typed_map<'l, M: OfObject<'l>>(loaded: &'l Loaded<'_>, index: usize) -> Result<M, Errno> {
    RawMap::of(loaded, index).map(M::of_map)
}

/// A map with one value for each key.
#[derive(Clone, Copy, Debug)]
pub struct Map<'l, K, V> {
    raw: RawMap<'l>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<'l, K, V> OfObject<'l> for Map<'l, K, V> {
    fn of_map(raw: RawMap<'l>) -> Map<'l, K, V> {
        Map {
            raw,
            types: PhantomData,
        }
    }
}

impl<K: Plain, V: Plain> Map<'_, K, V> {
    /// The value of a key.
    ///
    /// # Errors
    /// What the kernel answers, except that there is no such key.
    pub fn get(&self, key: &K) -> Result<Option<V>, Errno> {
        let value = self.raw.lookup(&bytes_of(key), V::SIZE)?;
        Ok(value.map(|bytes| V::read(&bytes)))
    }

    /// Sets the value of a key, whether it is there or not.
    ///
    /// # Errors
    /// What the kernel answers: `E2BIG` when the map is full.
    pub fn set(&self, key: &K, value: &V) -> Result<(), Errno> {
        let mut value = bytes_of(value);
        self.raw
            .element(Cmd::MapUpdateElem, &bytes_of(key), &mut value, 0)
    }

    /// Removes a key.
    ///
    /// # Errors
    /// `ENOENT` when there is none.
    pub fn remove(&self, key: &K) -> Result<(), Errno> {
        self.raw.remove(&bytes_of(key))
    }

    /// All keys.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn keys(&self) -> Result<Vec<K>, Errno> {
        self.raw.keys()
    }
}

/// A map with a value of each CPU for each key.
#[derive(Clone, Copy, Debug)]
pub struct PerCpuMap<'l, K, V> {
    raw: RawMap<'l>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<'l, K, V> OfObject<'l> for PerCpuMap<'l, K, V> {
    fn of_map(raw: RawMap<'l>) -> PerCpuMap<'l, K, V> {
        PerCpuMap {
            raw,
            types: PhantomData,
        }
    }
}

impl<K: Plain, V: Plain> PerCpuMap<'_, K, V> {
    /// The bytes from one CPU's value to the next.
    const STRIDE: usize = V::SIZE.next_multiple_of(8);

    /// The values of a key, by the number of the CPU.
    ///
    /// # Errors
    /// What the kernel answers, except that there is no such key.
    pub fn get(&self, key: &K) -> Result<Option<Vec<V>>, Errno> {
        let size = Self::STRIDE * self.raw.cpus;
        let value = self.raw.lookup(&bytes_of(key), size)?;
        let each = |bytes: Vec<u8>| bytes.chunks(Self::STRIDE.max(1)).map(V::read).collect();
        Ok(value.map(each))
    }

    /// All keys.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn keys(&self) -> Result<Vec<K>, Errno> {
        self.raw.keys()
    }
}

/// A loaded program.
#[derive(Clone, Copy)]
pub struct Prog<'l> {
    kernel: &'l dyn Backend,
    fd: u32,
    prog_type: ProgType,
}

impl core::fmt::Debug for Prog<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Prog({}, {})", self.fd, self.prog_type)
    }
}

impl<'l> Prog<'l> {
    /// The program with this number in a loaded object.
    ///
    /// # Errors
    /// `ENOENT` when it was not loaded.
    pub fn of(loaded: &'l Loaded<'_>, index: usize) -> Result<Prog<'l>, Errno> {
        let fd = loaded.program(ProgIndex(index)).ok_or(Errno::ENOENT)?;
        let program = loaded.object().programs.get(index);
        let prog_type = program.and_then(|program| program.prog_type);
        Ok(Prog {
            kernel: loaded.backend(),
            fd: fd.raw(),
            prog_type: prog_type.ok_or(Errno::EINVAL)?,
        })
    }

    /// The descriptor, valid as long as the object is loaded.
    pub fn fd(&self) -> u32 {
        self.fd
    }

    /// Runs the program once on a packet.
    ///
    /// # Errors
    /// As [`test_run`].
    pub fn run_on(&self, packet: &[u8]) -> Result<RunOutput, Errno> {
        let input = RunInput {
            data: packet.to_vec(),
            repeat: 1,
            ..RunInput::default()
        };
        self.run(&input)
    }

    /// Runs the program.
    ///
    /// # Errors
    /// As [`test_run`].
    pub fn run(&self, input: &RunInput) -> Result<RunOutput, Errno> {
        test_run(self.kernel, self.fd, self.prog_type, input)
    }
}

/// Gives a variable another first value. One that the object does not have is left alone.
pub fn set_initial<T: Plain>(object: &mut Object, map: usize, offset: usize, value: &T) {
    let initial = object
        .maps
        .get_mut(map)
        .and_then(|map| map.initial.as_mut());
    if let Some(bytes) = initial {
        value.write(plain_at_mut(bytes, offset));
    }
}

/// The value that a variable of a loaded object has now. Where programs and this side share the
/// section ([`Loaded::memory`]), an aligned word is never seen half written.
///
/// # Errors
/// `ENOENT` when its section was not loaded; what the kernel answers.
pub fn read_variable<T: Plain>(loaded: &Loaded<'_>, map: usize, offset: usize) -> Result<T, Errno> {
    if let Some(memory) = loaded.memory(MapIndex(map)) {
        let mut bytes = vec![0; T::SIZE];
        memory.read(offset, &mut bytes)?;
        return Ok(T::read(&bytes));
    }
    let size = loaded
        .object()
        .maps
        .get(map)
        .map_or(0, |map| map.value_size);
    let raw = RawMap::of(loaded, map)?;
    let value = raw.lookup(&0u32.to_le_bytes(), size as usize)?;
    let bytes = value.ok_or(Errno::ENOENT)?;
    Ok(T::read(plain_at(&bytes, offset)))
}

/// Gives a variable of a loaded object another value, which programs see at once.
///
/// # Errors
/// `EFAULT` for constants; `ENODEV` when the section cannot be shared, for then its other
/// variables would have to be written along with this one.
pub fn write_variable<T: Plain>(
    loaded: &Loaded<'_>,
    map: usize,
    offset: usize,
    value: &T,
) -> Result<(), Errno> {
    let memory = loaded.memory(MapIndex(map)).ok_or(Errno::ENODEV)?;
    let mut bytes = vec![0; T::SIZE];
    value.write(&mut bytes);
    memory.write(offset, &bytes)
}
