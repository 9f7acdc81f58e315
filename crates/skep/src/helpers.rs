//! The names of helpers.

/// The name of a helper, with `bpf_` before it.
pub fn helper_name(id: u32) -> Option<&'static str> {
    skep_catalog::helper(id).map(|helper| helper.name)
}

/// All helpers, by number and name.
pub fn helpers() -> impl Iterator<Item = (u32, &'static str)> {
    // They are numbered without a gap.
    (1..).map_while(|id| Some((id, helper_name(id)?)))
}
