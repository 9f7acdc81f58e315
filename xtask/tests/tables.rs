//! The generated tables are what would be generated now.

#[test]
fn support_is_fresh() {
    let page = xtask::project().join("docs/support.md");
    let written = std::fs::read_to_string(page).expect("docs/support.md exists");
    assert!(
        written == xtask::tables::support(),
        "docs/support.md is stale: run `cargo xtask gen`"
    );
}

#[test]
fn the_header_of_helpers_is_fresh() {
    let written = std::fs::read_to_string(xtask::headers::path()).expect("the header exists");
    assert!(
        written == xtask::headers::helper_defs(),
        "include/bpf/bpf_helper_defs.h is stale: run `cargo xtask gen`"
    );
}
