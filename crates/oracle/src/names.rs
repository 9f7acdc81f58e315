//! Names that a program text may use without declaring them.

use std::sync::{Arc, OnceLock};

use skep_btf::{Btf, Kind};

/// The number of a helper by its name, `bpf_map_lookup_elem` as well as `map_lookup_elem`.
pub fn helper(name: &str) -> Option<i32> {
    let short = |full: &str| full.strip_prefix("bpf_") == Some(name);
    (1..)
        .map_while(skep_catalog::helper)
        .find(|helper| helper.name == name || short(helper.name))
        .and_then(|helper| i32::try_from(helper.id).ok())
}

/// The BTF id of a function of the running kernel. Where the kernel shows no types every
/// name is taken, and stands for no function.
pub fn kfunc(name: &str) -> Option<i32> {
    static TYPES: OnceLock<Option<Arc<Btf>>> = OnceLock::new();
    let Some(types) = TYPES.get_or_init(crate::skep::running_btf) else {
        return Some(0);
    };
    let id = types.find_by_name_kind(name, Kind::Func)?;
    i32::try_from(id.0).ok()
}

#[cfg(test)]
mod tests {
    use super::helper;

    #[test]
    fn helpers_have_two_names() {
        let check = |name: &str, want: Option<i32>| assert_eq!(helper(name), want, "{name}");
        check("bpf_map_lookup_elem", Some(1));
        check("ktime_get_ns", Some(5));
        check("bpf_cgrp_storage_delete", Some(211));
        check("bpf_nothing", None);
    }
}
