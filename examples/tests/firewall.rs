//! The firewall, tested without root, kernel or network: packets in, verdicts and counters
//! out.

use skep::{Kernel, LoadOptions};
use skep_examples::{
    Verdict, XDP_DROP, XDP_PASS, XdpFirewall, XdpFirewallLoaded, tcp_packet, tcp_port,
};

const HERE: [u8; 4] = [198, 51, 100, 7];
const THERE: [u8; 4] = [203, 0, 113, 9];

/// Puts packets to a firewall that `prepare` has set up: who sends to which port, and what is
/// to become of it.
fn check(prepare: impl Fn(&XdpFirewallLoaded<'_>), packets: &[([u8; 4], u16, u32)]) -> Vec<u64> {
    let kernel = Kernel::builder().cpus(1).build();
    let firewall = XdpFirewall::open().unwrap();
    let loaded = firewall.load(&kernel, LoadOptions::default()).unwrap();
    prepare(&loaded);
    let program = loaded.progs().unwrap().xdp_firewall;
    for (source, port, wanted) in packets {
        let answer = program.run_on(&tcp_packet(*source, *port)).unwrap();
        assert_eq!(answer.retval, *wanted, "from {source:?} to port {port}");
    }
    let stats = loaded.maps().unwrap().stats;
    let of_rule = |rule| stats.get(&rule).unwrap().unwrap()[0].packets;
    (0..4).map(of_rule).collect()
}

#[test]
fn everything_is_dropped_unless_a_port_is_open() {
    let open = Verdict {
        action: XDP_PASS,
        rule: 10,
    };
    let counters = check(
        |loaded| {
            loaded
                .maps()
                .unwrap()
                .ports
                .set(&tcp_port(443), &open)
                .unwrap()
        },
        &[
            (HERE, 443, XDP_PASS),
            (HERE, 22, XDP_DROP),
            (HERE, 80, XDP_DROP),
        ],
    );
    assert_eq!(
        counters,
        [0, 0, 0, 2],
        "two packets by the rule for the rest"
    );
}

#[test]
fn denied_senders_reach_no_port() {
    let open = Verdict {
        action: XDP_PASS,
        rule: 10,
    };
    let counters = check(
        |loaded| {
            let maps = loaded.maps().unwrap();
            maps.ports.set(&tcp_port(443), &open).unwrap();
            maps.denied_sources
                .set(&u32::from_le_bytes(THERE), &1)
                .unwrap();
        },
        &[(HERE, 443, XDP_PASS), (THERE, 443, XDP_DROP)],
    );
    assert_eq!(counters, [1, 0, 0, 0]);
}

#[test]
fn variables_are_set_before_and_read_after() {
    let kernel = Kernel::builder().cpus(1).build();
    let mut firewall = XdpFirewall::open().unwrap();
    firewall.set_default_action(&XDP_PASS);
    let loaded = firewall.load(&kernel, LoadOptions::default()).unwrap();
    assert_eq!(loaded.default_action(), Ok(XDP_PASS));
    assert_eq!(loaded.allow_icmp(), Ok(true));
    let program = loaded.progs().unwrap().xdp_firewall;
    let answer = program.run_on(&tcp_packet(HERE, 22)).unwrap();
    assert_eq!(answer.retval, XDP_PASS);
}

#[test]
fn maps_are_read_and_written() {
    let kernel = Kernel::builder().cpus(2).build();
    let firewall = XdpFirewall::open().unwrap();
    let options = LoadOptions {
        possible_cpus: 2,
        ..LoadOptions::default()
    };
    let loaded = firewall.load(&kernel, options).unwrap();
    let maps = loaded.maps().unwrap();
    assert_eq!(maps.denied_sources.get(&7), Ok(None));
    maps.denied_sources.set(&7, &1).unwrap();
    maps.denied_sources.set(&8, &2).unwrap();
    let mut keys = maps.denied_sources.keys().unwrap();
    keys.sort_unstable();
    assert_eq!(keys, [7, 8]);
    assert_eq!(maps.denied_sources.get(&8), Ok(Some(2)));
    maps.denied_sources.remove(&8).unwrap();
    assert_eq!(
        maps.denied_sources.remove(&8),
        Err(skep::abi::Errno::ENOENT)
    );
    let of_cpus = maps.stats.get(&3).unwrap().unwrap();
    assert_eq!(of_cpus.len(), 2, "a value of each CPU");
}
