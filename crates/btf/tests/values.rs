//! Values as C: what libbpf 1.7 writes of the same bytes (`cargo xtask libbpf data` compares as
//! many made-up ones as one likes).

use skep_btf::dump::data::{DataError, DataStyle, value};
use skep_btf::{Btf, Builder, TypeId};

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn the_text_is_libbpfs() {
    let btf = Btf::parse(include_bytes!("data/values.btf")).unwrap();
    let rows = include_str!("data/values.txt").lines();
    for row in rows.filter(|row| !row.starts_with('#')) {
        let mut words = row.splitn(5, ' ');
        let mut next = || words.next().unwrap_or_default();
        let id = TypeId(next().parse().unwrap());
        let bytes = bytes(next());
        let options = next();
        let answer: i32 = next().parse().unwrap();
        let wanted = next()
            .replace("\\n", "\n")
            .replace("\\t", "\t")
            .replace("\\\\", "\\");
        let style = DataStyle {
            compact: options.contains('c'),
            skip_names: options.contains('n'),
            emit_zeroes: options.contains('z'),
            emit_strings: options.contains('s'),
            level: options.chars().filter_map(|c| c.to_digit(10)).sum::<u32>() as usize,
            ..DataStyle::default()
        };
        match value(&btf, id, &bytes, &style) {
            Ok((text, size)) => assert_eq!((text, size as i32), (wanted, answer), "{row}"),
            Err(error) => assert!(answer < 0, "{row}: {error}"),
        }
    }
}

/// Where skep does not write what libbpf does.
#[test]
fn where_it_is_not() {
    let mut types = Builder::new();
    let int = types.int("int", 4, true);
    let inner = types.struct_("inner", 8, &[("a", int, 0), ("b", int, 32)]);
    let outer = types.struct_("outer", 12, &[("p", int, 0), ("in", inner, 32)]);
    let array = types.array(int, int, 3);
    let btf = Btf::parse(&types.finish()).unwrap();
    let style = DataStyle {
        compact: true,
        ..DataStyle::default()
    };
    let (text, _) = value(&btf, outer, &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0], &style).unwrap();
    assert_eq!(
        text,
        "(struct outer){.p = (int)1,.in = (struct inner){.b = (int)2,},}"
    );
    assert_eq!(value(&btf, array, &[1; 11], &style), Err(DataError::Short));
    assert_eq!(value(&btf, int, &[], &style), Err(DataError::Short));
}

/// Types that claim much come to an end.
#[test]
fn no_blow_up() {
    let mut types = Builder::new();
    let int = types.int("int", 4, true);
    let empty = types.struct_("empty", 0, &[]);
    let many = types.array(empty, int, u32::MAX);
    let mut deep = many;
    for _ in 0..200 {
        deep = types.struct_("deep", 0, &[("a", deep, 0)]);
    }
    let mut twice = int;
    for _ in 0..60 {
        twice = types.union_("twice", 4, &[("a", twice, 0), ("b", twice, 0)]);
    }
    let btf = Btf::parse(&types.finish()).unwrap();
    for style in [false, true] {
        let style = DataStyle {
            emit_zeroes: style,
            ..DataStyle::default()
        };
        assert!(value(&btf, many, &[], &style).is_err());
        assert!(value(&btf, deep, &[], &style).is_err());
        assert!(value(&btf, twice, &[0; 4], &style).is_err());
    }
}

/// A variable of a section that has the variable.
#[test]
fn no_endless_way() {
    let mut b = Builder::new();
    let section = TypeId(b.next_id().0 + 1);
    let var = b.var("v", section, skep_btf::Linkage::Global);
    b.datasec(".data", 4, &[(var, 0, 4)]);
    let btf = Btf::parse(&b.finish()).unwrap();
    for id in [var, section] {
        let answer = value(&btf, id, &[1; 8], &DataStyle::default());
        assert!(answer.is_err(), "{answer:?}");
    }
}
