//! Pages of arenas.

use skep_abi::Errno;

use super::{Call, Done, Kfuncs, int, ok, void};

pub(super) const KFUNCS: Kfuncs = &[
    ("bpf_arena_alloc_pages", alloc_pages),
    ("bpf_arena_free_pages", free_pages),
    ("bpf_arena_reserve_pages", reserve_pages),
];

/// The user's address of new pages, or 0; also for maps that are no arenas.
fn alloc_pages(call: &mut Call<'_, '_, '_>) -> Done {
    let map = call.host.map(call.arg(0))?;
    let Some(arena) = map.map.arena() else {
        return ok(0);
    };
    let node = call.arg32(3).cast_signed();
    ok(arena.alloc(call.arg(1), call.arg32(2), node, call.arg(4)))
}

fn free_pages(call: &mut Call<'_, '_, '_>) -> Done {
    let map = call.host.map(call.arg(0))?;
    if let Some(arena) = map.map.arena() {
        arena.free(call.arg(1), call.arg32(2));
    }
    void()
}

fn reserve_pages(call: &mut Call<'_, '_, '_>) -> Done {
    let map = call.host.map(call.arg(0))?;
    let Some(arena) = map.map.arena() else {
        return int(-Errno::EINVAL.0);
    };
    match arena.reserve(call.arg(1), call.arg32(2)) {
        Ok(()) => int(0),
        Err(errno) => int(-errno.0),
    }
}
