//! Broken objects are refused or opened, but never more than that.

use skep_loader::{Object, skeleton};

/// Opens every variation of an object; returns how many were refused.
fn refused(bytes: &[u8], variations: impl Iterator<Item = Vec<u8>>) -> (usize, usize) {
    let mut counts = (0, 0);
    for variation in variations {
        assert!(variation.len() <= bytes.len());
        counts.1 += 1;
        let opened = Object::open(&variation, "broken.bpf.o");
        counts.0 += usize::from(opened.is_err());
        // What opens has skeletons, or says why not.
        if let Ok(object) = opened {
            let _ = skeleton::c(&object, &[], "broken");
            let _ = skeleton::subskeleton(&object, "broken");
            let _ = skeleton::rust(&object, "broken.bpf.o", "broken");
        }
    }
    counts
}

fn objects() -> Vec<Vec<u8>> {
    let names = ["layout", "maps", "externs", "core", "ops"];
    let path = |name| format!("{}/tests/objects/{name}.bpf.o", env!("CARGO_MANIFEST_DIR"));
    names
        .map(|name| std::fs::read(path(name)).unwrap())
        .to_vec()
}

#[test]
fn truncated_objects_are_refused() {
    for bytes in objects() {
        let cuts = (0..bytes.len()).step_by(7).map(|len| bytes[..len].to_vec());
        let (refused, tried) = refused(&bytes, cuts);
        assert_eq!(refused, tried);
    }
}

#[test]
fn damaged_objects_are_answered() {
    for bytes in objects() {
        let damage = (0..bytes.len() * 3).map(|number| {
            let mut copy = bytes.clone();
            let place = &mut copy[number / 3];
            *place = match number % 3 {
                0 => 0xff,
                1 => place.wrapping_add(1),
                _ => place.reverse_bits() ^ 0x80,
            };
            copy
        });
        let (refused, tried) = refused(&bytes, damage);
        assert!(
            refused > tried / 100 && refused < tried,
            "{refused} of {tried}"
        );
    }
}
