//! Where the fields of contexts lie in the kernel's structures. These are flat tables.

/// A field of a context: where the header has it, how the kernel gets there and how many bytes
/// it keeps, and what of those counts.
pub struct Field {
    pub offset: u64,
    pub size: u64,
    pub path: &'static [u64],
    pub kept: usize,
    pub mask: u64,
}

const fn f(offset: u64, size: u64, path: &'static [u64], kept: usize) -> Field {
    Field {
        offset,
        size,
        path,
        kept,
        mask: u64::MAX,
    }
}

/// What of `__sk_buff` lies where in `sk_buff`, as the kernel's types say.
pub static SKB: &[Field] = &[
    f(0, 4, &[112], 4),
    Field {
        mask: 7,
        ..f(4, 4, &[128], 1)
    },
    f(8, 4, &[164], 4),
    f(12, 4, &[124], 2),
    f(16, 4, &[176], 2),
    f(24, 4, &[154], 2),
    f(28, 4, &[152], 2),
    f(32, 4, &[140], 4),
    f(36, 4, &[144], 4),
    f(40, 4, &[16, 224], 4),
    f(44, 4, &[132], 2),
    f(68, 4, &[148], 4),
    f(72, 4, &[46], 2),
    f(76, 4, &[200], 8),
    f(80, 4, &[80], 8),
    f(140, 4, &[72], 8),
    f(160, 4, &[40], 4),
    f(168, 8, &[24], 8),
];

/// What of `xdp_md` lies where in `xdp_buff`.
pub static XDP: &[Field] = &[
    f(0, 4, &[0], 8),
    f(4, 4, &[8], 8),
    f(8, 4, &[16], 8),
    f(12, 4, &[32, 0, 224], 4),
    f(16, 4, &[32, 8], 4),
];
