//! An application that asks a BPF program about each packet: verified when it is loaded, run
//! in this process, and told what to allow through its maps.
#![forbid(unsafe_code)]

use skep::{Kernel, LoadOptions};
use skep_examples::{Verdict, XDP_PASS, XdpFirewall, tcp_packet, tcp_port};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let kernel = Kernel::builder().cpus(1).build();
    let mut firewall = XdpFirewall::open()?;
    firewall.set_allow_icmp(&false);
    let loaded = firewall.load(&kernel, LoadOptions::default())?;
    let open = Verdict {
        action: XDP_PASS,
        rule: 10,
    };
    loaded.maps()?.ports.set(&tcp_port(443), &open)?;
    let program = loaded.progs()?.xdp_firewall;
    for port in [22, 443] {
        let answer = program.run_on(&tcp_packet([198, 51, 100, 7], port))?;
        let word = match answer.retval {
            XDP_PASS => "may pass",
            _ => "is dropped",
        };
        println!("a packet to port {port} {word}");
    }
    Ok(())
}
