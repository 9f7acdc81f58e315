//! The invariants of the house hold.

#[test]
fn the_house_is_tidy() {
    let findings = xtask::tidy::check(&xtask::project()).unwrap();
    assert!(findings.errors.is_empty(), "{:#?}", findings.errors);
}
