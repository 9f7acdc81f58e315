//! The developer's tool: `cargo xtask ci`, `oracle`, `record`, `gen`.
fn main() {}
