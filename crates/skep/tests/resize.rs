//! Sections of variables that are made larger before they are loaded, here and, where `bpf(2)` is
//! allowed, in Linux.

use std::path::Path;

use skep::abi::Backend;
use skep::{Kernel, LoadOptions, MapIndex, Object, read_variable, write_variable};
use skep_host::Host;

fn object() -> (Object, MapIndex) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../programs/globals.bpf.o");
    let bytes = std::fs::read(path).expect("the object is there");
    let object = Object::open(&bytes, "globals").expect("an object");
    let map = object.map(".data.queue").expect("a section");
    (object, map)
}

/// The last variable of `.bss`, where it lies and how many elements it has.
fn last(object: &Object, map: MapIndex) -> Option<(String, u32, u32)> {
    let btf = object.btf.as_deref()?;
    let section = btf.type_by_id(object.maps[map.0].value_type?)?;
    let last = section.vars().last()?;
    let variable = btf.type_by_id(last.ty)?;
    let count = btf.resolve(variable.ref_type()?)?.array()?.count;
    assert_eq!(section.size(), Some(object.maps[map.0].value_size));
    Some((variable.name().to_owned(), last.offset, count))
}

fn check(kernel: &dyn Backend, whose: &str) {
    let (mut object, _) = object();
    let bss = object.map(".bss").expect("a section");
    let (name, offset, count) = last(&object, bss).expect("an array");
    assert_eq!((name.as_str(), count), ("history", 256));
    // Past a page, so that the memory that is shared grows too.
    object
        .resize_section(bss, offset + 6000)
        .expect("a section");
    assert_eq!(last(&object, bss), Some((name, offset, 6000)));
    let loaded = object.load(kernel, LoadOptions::default()).expect(whose);
    assert_eq!(loaded.btf_refused(), None, "{whose}");
    let end = offset as usize + 5999;
    write_variable(&loaded, bss.0, end, &7u8).expect(whose);
    assert_eq!(read_variable::<u8>(&loaded, bss.0, end), Ok(7), "{whose}");
}

#[test]
fn arrays_at_the_end_grow() {
    check(&Kernel::builder().build(), "skep");
    if Host::available().is_ok() {
        check(&Host::new(), "Linux");
    }
}

/// What the types cannot say, they do not say.
#[test]
fn other_sizes_have_no_types() {
    let (mut object, queue) = object();
    let before = object.maps[queue.0].initial.clone().expect("first values");
    object.resize_section(queue, 64).expect("a section");
    let map = &object.maps[queue.0];
    assert_eq!((map.value_type, map.value_size), (None, 64));
    let initial = map.initial.as_deref().expect("first values");
    assert_eq!(initial[..before.len()], before);
    assert_eq!(initial[before.len()..], [0; 24]);
    assert!(object.resize_section(queue, 0).is_err());
    assert!(object.resize_section(MapIndex(99), 8).is_err());
}
