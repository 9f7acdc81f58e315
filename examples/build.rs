//! Makes the skeleton of the firewall, so that the library can name what it has.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let object = "../programs/xdp_firewall.bpf.o";
    println!("cargo:rerun-if-changed={object}");
    let out = std::env::var("OUT_DIR")?;
    skep::write_skeleton(object.as_ref(), out.as_ref())?;
    Ok(())
}
