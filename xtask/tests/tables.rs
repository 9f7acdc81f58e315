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
fn headers_are_fresh() {
    use xtask::headers::{helper_defs, helpers_path, kfuncs, kfuncs_path};
    for (path, text) in [(helpers_path(), helper_defs()), (kfuncs_path(), kfuncs())] {
        let written = std::fs::read_to_string(&path).expect("the header exists");
        let path = path.display();
        assert!(written == text, "{path} is stale: run `cargo xtask gen`");
    }
}

/// Where the running kernel is the one that they are of.
#[test]
fn functions_are_declared_as_the_kernel_does() {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let Ok(raw) = std::fs::read("/sys/kernel/btf/vmlinux") else {
        return;
    };
    if !release.starts_with("6.18.") {
        return;
    }
    let btf = skep_btf::Btf::parse(&raw).expect("the kernel's types");
    let table = xtask::kfuncs::table(&btf);
    for (name, declared) in skep_catalog::kfunc_declarations() {
        assert!(
            table.contains(&format!("{declared:?}")),
            "{name}: {declared}"
        );
    }
}
