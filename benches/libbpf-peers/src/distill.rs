//! Distilled bases: what libbpf and skep make of split types and their base, and onto which
//! other bases both then put them.

use std::sync::Arc;

use libbpf_sys as lb;
use skep_btf::{Btf, Builder, Kind, TypeId, distill, dump, rebase};
use skep_smith::Source;

use crate::dump::Theirs;
use crate::made::Made;

impl Theirs {
    /// The blob.
    fn raw(&self) -> Vec<u8> {
        let mut size = 0;
        // SAFETY: the types are alive, and libbpf's copy of the blob lives as long.
        unsafe {
            let data = lb::btf__raw_data(self.btf, &raw mut size);
            std::slice::from_raw_parts(data.cast::<u8>(), size as usize).to_vec()
        }
    }

    /// The distilled base, and the types on it.
    fn distilled(&self) -> Option<(Theirs, Theirs)> {
        let (mut base, mut split) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the types are alive, and both places are valid for writing.
        let error = unsafe { lb::btf__distill_base(self.btf, &raw mut base, &raw mut split) };
        (error == 0).then(|| (Theirs::own(base), Theirs::own(split)))
    }
}

/// The types of a base in another kernel: others among them, some changed.
fn elsewhere(source: &mut Source<'_>, base: &Btf) -> Arc<Btf> {
    let mut builder = Builder::new();
    let shift = source.below(5);
    for at in 0..shift {
        builder.int(["x_t", "long", "b", "sk", "own"][at as usize], 4, true);
    }
    let calm = source.chance(600);
    for ty in base.types() {
        let id = builder.copy(&ty, |id| match id {
            TypeId::VOID => id,
            TypeId(id) => TypeId(id + shift),
        });
        let is_sized = ty.kind().is_composite() || ty.kind().is_enum();
        if calm || !source.chance(30) {
            continue;
        }
        match (is_sized, source.below(4)) {
            (true, 0) => {
                let name = builder.string("renamed");
                builder.set_word(id, 0, name);
            }
            (true, 1) if ty.kind().is_composite() => {
                builder.set_word(id, 2, ty.size_or_type() + 8);
            }
            (_, 2) if ty.kind() == Kind::Fwd => {
                let name = ty.name();
                builder.replace(id, Vec::from([0, 4 << 24, 16]));
                let name = builder.string(name);
                builder.set_word(id, 0, name);
            }
            _ => {}
        }
    }
    if !calm && source.coin() {
        let all: Vec<TypeId> = base.types().map(|ty| ty.id()).collect();
        for _ in 0..source.below(3) {
            let twin = source.pick(&all).and_then(|id| base.type_by_id(id));
            if let Some(twin) = twin {
                builder.copy(&twin, |id| match id {
                    TypeId::VOID => id,
                    TypeId(id) => TypeId(id + shift),
                });
            }
        }
    }
    Arc::new(Btf::parse(&builder.finish()).expect("another base"))
}

fn text(btf: &Btf) -> String {
    let mut text = String::new();
    dump::raw::all(btf, &mut text).expect("text");
    text
}

/// What came of one.
#[derive(Default)]
struct Tally {
    all: u64,
    equal: u64,
    refused: u64,
}

impl Tally {
    fn add(&mut self, equal: bool, refused: bool) -> bool {
        self.all += 1;
        self.equal += u64::from(equal);
        self.refused += u64::from(equal && refused);
        !equal
    }
}

/// Distils and moves as many made-up types as are asked for. Good when all is equal.
pub fn run(args: &[String]) -> bool {
    let number = |at: usize, or: u64| args.get(at).and_then(|n| n.parse().ok()).unwrap_or(or);
    let (count, first) = (number(0, 10_000), number(1, 1));
    let (mut made, mut moved) = (Tally::default(), Tally::default());
    let mut bare = 0;
    for seed in first..first + count {
        let mut source = Source::seeded(seed);
        let types = Made::types(&mut source, 3, 40);
        let base = Arc::new(Btf::parse(&types.builder.finish()).expect("a base"));
        let types = types.split(Builder::on(&base)).more(&mut source, 1, 20);
        let raw = types.builder.finish();
        let split = Btf::parse_split(&raw, Arc::clone(&base)).expect("split types");
        let on = Theirs::parse(base.raw(), None);
        let theirs = Theirs::parse(&raw, on).expect("split types");
        let (their, our) = (theirs.distilled(), distill(&split).ok());
        // Then libbpf loses what it had to copy into the split types.
        if our.as_ref().is_some_and(|our| our.base.type_count() == 1) {
            bare += 1;
            continue;
        }
        let bytes = their
            .as_ref()
            .map(|(base, split)| (base.raw(), split.raw()));
        let own = our.as_ref();
        let own = own.map(|done| (done.base.raw().to_vec(), done.split.raw().to_vec()));
        if made.add(bytes == own, own.is_none()) {
            println!("seed {seed}: other bytes are distilled");
            let theirs = bytes.as_ref().and_then(|(base, split)| {
                let base = Arc::new(Btf::parse(base).ok()?);
                let split = Btf::parse_split(split, Arc::clone(&base)).ok()?;
                Some((text(&base), text(&split)))
            });
            let ours = our.as_ref().map(|our| (text(&our.base), text(&our.split)));
            println!("-{theirs:#?}+{ours:#?}");
        }
        let (Some((base_raw, split_raw)), Some(our)) = (bytes, our) else {
            continue;
        };
        // Read anew: of what libbpf made it keeps the bytes, which it would show again.
        let on = Theirs::parse(&base_raw, None);
        let mut split = Theirs::parse(&split_raw, on).expect("split types");
        let other = elsewhere(&mut source, &base);
        let onto = Theirs::parse(other.raw(), None).expect("another base");
        // SAFETY: both are alive, and the new base is kept with what then stands on it.
        let error = unsafe { lb::btf__relocate(split.btf, onto.btf) };
        let theirs = (error == 0).then(|| {
            let raw = split.raw();
            text(&Btf::parse_split(&raw, Arc::clone(&other)).expect("moved types"))
        });
        let told = rebase(&our.split, &other);
        let ours = told.as_ref().ok().map(text);
        if moved.add(theirs == ours, ours.is_none()) {
            println!("seed {seed}: libbpf {error}, skep {:?}", told.err());
            if let (Some(theirs), Some(ours)) = (theirs, ours) {
                println!("-{theirs}+{ours}");
            }
        }
        split.keep(onto);
    }
    for (what, of) in [("distilled", &made), ("moved", &moved)] {
        println!(
            "{what}: {}, the same as by libbpf: {} (of which refused {})",
            of.all, of.equal, of.refused
        );
    }
    println!("left out, as nothing is distilled: {bare}");
    made.all == made.equal && moved.all == moved.equal
}
