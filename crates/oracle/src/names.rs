//! Names that a program text may use without declaring them.

/// The number of a helper by its name, `bpf_map_lookup_elem` as well as `map_lookup_elem`.
pub fn helper(name: &str) -> Option<i32> {
    let short = |full: &str| full.strip_prefix("bpf_") == Some(name);
    (1..)
        .map_while(skep_catalog::helper)
        .find(|helper| helper.name == name || short(helper.name))
        .and_then(|helper| i32::try_from(helper.id).ok())
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
