//! Makes the skeletons of the objects that are used here, so that Rust can name what they have.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = std::env::var("OUT_DIR")?;
    for name in ["xdp_firewall", "globals"] {
        let object = format!("../programs/{name}.bpf.o");
        println!("cargo:rerun-if-changed={object}");
        skep::write_skeleton(object.as_ref(), out.as_ref())?;
    }
    Ok(())
}
