//! What an operation costs in skep's hash map and in other maps, and what a command costs in
//! skep's kernel and as a system call. One JSON object a case: `map, op, entries, threads,
//! engine, ns_per_op`.

use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use skep_abi::{Bpf, Buffers, Cmd, ElemFlags, MapFlags, MapType, attr};
use skep_maps::{Limits, Map, Rcu, Side, Spec};

type Value = [u8; 64];
const SAMPLES: usize = 61;
const OPS: u64 = 4096;
const ANY: ElemFlags = ElemFlags(0);
const PROGRAM: Side = Side::Program { cpu: 0 };

/// A map of eight-byte keys.
trait Keyed {
    fn lookup(&self, key: u64) -> u64;
    fn update(&self, key: u64, value: &Value);
    fn delete(&self, key: u64);
}

struct Skep(Map);

impl Keyed for Skep {
    fn lookup(&self, key: u64) -> u64 {
        let found = self.0.lookup(&key.to_ne_bytes(), 0);
        // SAFETY: the value lives as long as the map, and nobody writes to it here.
        found.map_or(0, |addr| unsafe { *(addr as *const u64) })
    }
    fn update(&self, key: u64, value: &Value) {
        self.0
            .update(&key.to_ne_bytes(), value, ANY, PROGRAM)
            .expect("room");
    }
    fn delete(&self, key: u64) {
        let _ = self.0.delete(&key.to_ne_bytes());
    }
}

fn first(value: &Value) -> u64 {
    value.first_chunk().map_or(0, |b| u64::from_ne_bytes(*b))
}

struct Brown(Mutex<hashbrown::HashMap<u64, Value>>);

impl Keyed for Brown {
    fn lookup(&self, key: u64) -> u64 {
        self.0.lock().expect("a lock").get(&key).map_or(0, first)
    }
    fn update(&self, key: u64, value: &Value) {
        self.0.lock().expect("a lock").insert(key, *value);
    }
    fn delete(&self, key: u64) {
        self.0.lock().expect("a lock").remove(&key);
    }
}

impl Keyed for papaya::HashMap<u64, Value> {
    fn lookup(&self, key: u64) -> u64 {
        self.pin().get(&key).map_or(0, first)
    }
    fn update(&self, key: u64, value: &Value) {
        self.pin().insert(key, *value);
    }
    fn delete(&self, key: u64) {
        self.pin().remove(&key);
    }
}

impl Keyed for scc::HashMap<u64, Value> {
    fn lookup(&self, key: u64) -> u64 {
        self.read(&key, |_, value| first(value)).unwrap_or(0)
    }
    fn update(&self, key: u64, value: &Value) {
        self.upsert(key, *value);
    }
    fn delete(&self, key: u64) {
        scc::HashMap::remove(self, &key);
    }
}

impl Keyed for dashmap::DashMap<u64, Value> {
    fn lookup(&self, key: u64) -> u64 {
        self.get(&key).map_or(0, |value| first(&value))
    }
    fn update(&self, key: u64, value: &Value) {
        self.insert(key, *value);
    }
    fn delete(&self, key: u64) {
        self.remove(&key);
    }
}

fn spec(entries: u32) -> Spec {
    Spec {
        map_type: MapType::Hash,
        key_size: 8,
        value_size: 64,
        max_entries: entries,
        flags: MapFlags(0),
        map_extra: 0,
        typed: false,
        fields: Vec::new(),
        limits: Limits {
            cpus: 2,
            cpus_built: 256,
        },
        seed: 0x5eed,
    }
}

fn next(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1);
    *state >> 33
}

/// The best of some samples, in nanoseconds of one operation.
fn best(mut body: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..SAMPLES {
        let started = Instant::now();
        body();
        best = best.min(started.elapsed().as_nanos() as f64 / OPS as f64);
    }
    best
}

fn row(map: &str, op: &str, entries: u32, engine: &str, ns: f64) {
    let row = serde_json::json!({
        "map": map, "op": op, "entries": entries, "threads": 1, "engine": engine, "ns_per_op": ns,
    });
    println!("{row}");
}

fn peers(entries: u32) {
    let room = entries as usize;
    let maps: Vec<(&str, Box<dyn Keyed>)> = vec![
        (
            "skep",
            Box::new(Skep(
                Map::new(spec(entries), Arc::new(Rcu::default())).expect("a map"),
            )),
        ),
        (
            "hashbrown+mutex",
            Box::new(Brown(Mutex::new(hashbrown::HashMap::with_capacity(room)))),
        ),
        (
            "papaya",
            Box::new(papaya::HashMap::<u64, Value>::with_capacity(room)),
        ),
        (
            "scc",
            Box::new(scc::HashMap::<u64, Value>::with_capacity(room)),
        ),
        (
            "dashmap",
            Box::new(dashmap::DashMap::<u64, Value>::with_capacity(room)),
        ),
    ];
    let mask = u64::from(entries.next_power_of_two() / 2).max(1) - 1;
    for (engine, map) in &maps {
        (0..=mask).for_each(|key| map.update(key, &[1; 64]));
        let mut state = 1;
        let lookup = best(|| {
            let mut sum = 0;
            (0..OPS).for_each(|_| sum ^= map.lookup(next(&mut state) & mask));
            black_box(sum);
        });
        row("hash", "lookup", entries, engine, lookup);
        let update = best(|| {
            (0..OPS).for_each(|_| map.update(next(&mut state) & mask, &[2; 64]));
        });
        row("hash", "update", entries, engine, update);
        let churn = best(|| {
            for _ in 0..OPS {
                let key = 1 << 40 | next(&mut state) & mask;
                map.update(key, &[3; 64]);
                map.delete(key);
            }
        });
        row("hash", "insert_delete", entries, engine, churn);
    }
}

/// The system call, without anything between.
struct Raw;

impl Raw {
    fn call(cmd: Cmd, attr: &mut [u8]) -> i64 {
        // SAFETY: the attributes below lead to buffers that outlive the call and are as long
        // as the map's keys and values.
        unsafe { libc::syscall(libc::SYS_bpf, u32::from(cmd), attr.as_mut_ptr(), attr.len()) }
    }
}

fn commands(entries: u32) {
    let mut create = attr::MapCreate::new();
    create
        .set_map_type(MapType::Hash.into())
        .set_key_size(8)
        .set_value_size(64)
        .set_max_entries(entries);
    let kernel = skep_kernel::Kernel::builder().build();
    let skep = kernel
        .bpf(Cmd::MapCreate.into(), create.as_attr(), &mut Buffers::new())
        .expect("a map");
    let raw = u32::try_from(Raw::call(Cmd::MapCreate, create.as_attr())).ok();
    for (cmd, op) in [
        (Cmd::MapUpdateElem, "update"),
        (Cmd::MapLookupElem, "lookup"),
    ] {
        let mut state = 1;
        let ns = best(|| {
            for _ in 0..OPS {
                let key = (next(&mut state) % u64::from(entries)).to_ne_bytes();
                let mut value = [0; 64];
                let mut memory = Buffers::new();
                let mut view = attr::MapElem::new();
                view.set_map_fd(skep)
                    .set_key(memory.input(&key))
                    .set_value(memory.output(&mut value));
                let _ = black_box(kernel.bpf(cmd.into(), view.as_attr(), &mut memory));
            }
        });
        row("hash", &format!("bpf {op}"), entries, "skep", ns);
        let Some(fd) = raw else { continue };
        let ns = best(|| {
            for _ in 0..OPS {
                let key = (next(&mut state) % u64::from(entries)).to_ne_bytes();
                let mut value = [0u8; 64];
                let mut view = attr::MapElem::new();
                view.set_map_fd(fd)
                    .set_key(key.as_ptr() as u64)
                    .set_value(value.as_mut_ptr() as u64);
                black_box(Raw::call(cmd, view.as_attr()));
                black_box(&mut value);
            }
        });
        row("hash", &format!("bpf {op}"), entries, "kernel", ns);
    }
}

fn main() {
    for entries in [1024, 16_384, 262_144] {
        peers(entries);
    }
    commands(16_384);
}
