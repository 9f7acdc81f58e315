//! The variables of a program as an application sees them: what they begin with is set before
//! loading; afterwards both sides read and write the same memory.

use skep::{Kernel, LoadOptions};
use skep_examples::tcp_packet;

skep::include_bpf!("globals");

#[test]
fn both_sides_share_variables() {
    let kernel = Kernel::builder().cpus(1).build();
    let mut object = Globals::open().unwrap();
    object.set_next_ticket(&500);
    let loaded = object.load(&kernel, LoadOptions::default()).unwrap();
    let packet = tcp_packet([192, 0, 2, 7], 80);
    let take = || loaded.progs().unwrap().take_ticket.run_on(&packet).unwrap();

    assert_eq!(take().retval, 500);
    assert_eq!(loaded.next_ticket(), Ok(501));
    // The program sees the packet without its Ethernet header's 14 bytes, but counts them.
    assert_eq!(loaded.total(), Ok(packet.len() as u64));
    loaded.put_next_ticket(&9).unwrap();
    loaded.put_total(&(1 << 40)).unwrap();
    assert_eq!(take().retval, 9);
    assert_eq!(loaded.total(), Ok((1 << 40) + packet.len() as u64));
    let history = loaded.history().unwrap();
    assert_eq!(history[..4], [0, packet.len() as u8, packet.len() as u8, 0]);

    // A structure without a name is bytes: two words, and a ring of half words.
    let mut queue = loaded.queue().unwrap();
    assert_eq!((queue[0], queue[8]), (0, 7));
    (queue[0], queue[8]) = (1, 77);
    loaded.put_queue(&queue).unwrap();
    let remember = loaded.progs().unwrap().remember;
    assert_eq!(remember.run_on(&packet).unwrap().retval, 77);
    assert_eq!(loaded.queue().unwrap()[0], 2);
}
