//! Variables of a loaded object, read and written while its programs use them: here and, where
//! `bpf(2)` is allowed, in Linux.

use std::path::Path;

use skep::abi::{Backend, Errno};
use skep::{Kernel, LoadOptions, MapIndex, MapOrigin, Object, read_variable, write_variable};
use skep_host::Host;

fn check(kernel: &dyn Backend, whose: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../programs");
    let open = |name: &str| {
        let bytes = std::fs::read(path.join(name)).expect("the object is there");
        Object::open(&bytes, name).expect("an object")
    };
    let object = open("globals.bpf.o");
    let loaded = object
        .prepare(kernel, LoadOptions::default())
        .expect("maps");
    let of = |origin: MapOrigin| object.maps.iter().position(|map| map.origin == origin);
    let data = of(MapOrigin::Data).expect("a section");
    // A field of four bytes, and a structure that ends in the middle of a word.
    assert_eq!(read_variable::<u32>(&loaded, data, 0), Ok(100), "{whose}");
    write_variable(&loaded, data, 0, &0x0102_0304u32).expect("shared memory");
    assert_eq!(read_variable::<u32>(&loaded, data, 0), Ok(0x0102_0304));
    let memory = loaded.memory(MapIndex(data)).expect("shared memory");
    memory.write(1, &[9, 8]).expect("inside");
    assert_eq!(read_variable::<u32>(&loaded, data, 0), Ok(0x0108_0904));
    let end = memory.len();
    assert_eq!(memory.write(end - 1, &[0; 2]), Err(Errno::EFAULT));

    // Constants can be read, and not written.
    let object = open("xdp_firewall.bpf.o");
    let loaded = object
        .prepare(kernel, LoadOptions::default())
        .expect("maps");
    let constants = object
        .maps
        .iter()
        .position(|map| map.origin == MapOrigin::Rodata);
    let constants = constants.expect("a section");
    assert_eq!(
        read_variable::<u32>(&loaded, constants, 0),
        Ok(1),
        "{whose}"
    );
    let refused = write_variable(&loaded, constants, 0, &2u32);
    assert_eq!(refused, Err(Errno::EFAULT), "{whose}");
}

#[test]
fn sections_are_shared() {
    check(&Kernel::builder().build(), "skep");
    if Host::available().is_ok() {
        check(&Host::new(), "Linux");
    }
}
