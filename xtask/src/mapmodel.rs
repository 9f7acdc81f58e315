//! `cargo xtask maps-model`: random map commands put to Linux and to skep, counted by type.

use std::fs::File;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::Arc;
use std::time::Instant;

use skep_abi::MapType;
use skep_kernel::{Kernel, Role, Socket};
use skep_oracle::Linux;
use skep_oracle::mapmodel::{Campaign, Disagreement, Tally, Things, Twin, follower};

use crate::Outcome;

/// What the command line says.
struct Wanted {
    campaign: Campaign,
    show: usize,
}

fn wanted(args: &[String]) -> Result<Wanted, String> {
    let mut wanted = Wanted {
        campaign: Campaign {
            steps: 20_000,
            seed: 1,
            only: None,
            length: 40,
        },
        show: 5,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|e| format!("{arg}: {e}"));
        let campaign = &mut wanted.campaign;
        match arg.as_str() {
            "--steps" => campaign.steps = number()?,
            "--seed" => campaign.seed = number()?,
            "--length" => campaign.length = number()? as u32,
            "--show" => wanted.show = number()? as usize,
            "--type" => {
                let found = MapType::from_name(value);
                campaign.only = Some(found.ok_or_else(|| format!("no map type `{value}`"))?);
            }
            _ => return Err(format!("there is no option `{arg}`")),
        }
    }
    Ok(wanted)
}

/// Runs a campaign and prints its table.
///
/// # Errors
/// For options that make no sense, or when Linux cannot be asked.
pub fn run(args: &[String]) -> Outcome {
    let Wanted { campaign, show } = wanted(args)?;
    let started = Instant::now();
    let linux = Linux::new().map_err(|errno| format!("bpf(2) does not work here: {errno}"))?;
    let cpus = linux.host().possible_cpus().unwrap_or(1);
    let skep = follower(linux.host(), cpus).map_err(|errno| format!("its types: {errno}"))?;
    let world = World::new()?;
    let (sockets, files) = world.register(&skep)?;
    let things = Things {
        sockets: &sockets,
        files: &files,
    };
    let mut shown = 0;
    let mut report = |found: Disagreement| {
        shown += 1;
        if shown <= show {
            print(&found);
        }
    };
    let tally = campaign
        .run(linux.host(), &skep, &things, &mut report)
        .map_err(|errno| format!("the things that maps refer to: {errno}"))?;
    table(&tally, started.elapsed().as_secs_f64());
    Ok(tally.types.values().all(|count| count.different == 0))
}

/// Sockets and files of this process, for both kernels to refer to.
struct World {
    udp: UdpSocket,
    connected: UdpSocket,
    listener: TcpListener,
    stream: TcpStream,
    unix: (UnixStream, UnixStream),
    datagram: UnixDatagram,
    null: File,
    folder: File,
}

/// `AF_UNIX`, `AF_INET`; `SOCK_STREAM`, `SOCK_DGRAM`; `IPPROTO_TCP`, `IPPROTO_UDP`.
const UNIX: u16 = 1;
const INET: u16 = 2;
const STREAM: u16 = 1;
const DGRAM: u16 = 2;
const TCP: u16 = 6;
const UDP: u16 = 17;
/// The states of sockets.
const ESTABLISHED: u8 = 1;
const CLOSED: u8 = 7;
const LISTENING: u8 = 10;

impl World {
    fn new() -> std::io::Result<World> {
        let udp = UdpSocket::bind("127.0.0.1:0")?;
        let connected = UdpSocket::bind("127.0.0.1:0")?;
        connected.connect(udp.local_addr()?)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let stream = TcpStream::connect(listener.local_addr()?)?;
        Ok(World {
            udp,
            connected,
            listener,
            stream,
            unix: UnixStream::pair()?,
            datagram: UnixDatagram::unbound()?,
            null: File::open("/dev/null")?,
            folder: File::open("/")?,
        })
    }

    /// Makes everything known to skep.
    fn register(&self, skep: &Kernel) -> Result<(Vec<Twin>, Vec<Twin>), String> {
        let socket = |family, kind, protocol, state| {
            Role::Socket(Socket {
                family,
                kind,
                protocol,
                state,
                in_reuseport_group: false,
            })
        };
        let open = |fd: BorrowedFd<'_>, role: Role| {
            let follow = skep.open_object(Arc::new(role));
            Ok(Twin {
                lead: fd.as_raw_fd().unsigned_abs(),
                follow: follow.map_err(|errno| format!("a descriptor of skep: {errno}"))?,
            })
        };
        let sockets: Result<Vec<Twin>, String> = [
            (self.udp.as_fd(), socket(INET, DGRAM, UDP, CLOSED)),
            (
                self.connected.as_fd(),
                socket(INET, DGRAM, UDP, ESTABLISHED),
            ),
            (self.listener.as_fd(), socket(INET, STREAM, TCP, LISTENING)),
            (self.stream.as_fd(), socket(INET, STREAM, TCP, ESTABLISHED)),
            (self.unix.0.as_fd(), socket(UNIX, STREAM, 0, ESTABLISHED)),
            (self.datagram.as_fd(), socket(UNIX, DGRAM, 0, CLOSED)),
        ]
        .into_iter()
        .map(|(fd, role)| open(fd, role))
        .collect();
        let files: Result<Vec<Twin>, String> = [self.null.as_fd(), self.folder.as_fd()]
            .into_iter()
            .map(|fd| open(fd, Role::File))
            .collect();
        Ok((sockets?, files?))
    }
}

fn print(found: &Disagreement) {
    println!(
        "{} (seed {}): {}",
        found.map_type.name(),
        found.seed,
        found.what
    );
    for line in &found.history {
        println!("    {line}");
    }
}

fn table(tally: &Tally, seconds: f64) {
    println!(
        "{:<24} {:>9} {:>9} {:>9}",
        "map type", "commands", "succeed", "differ"
    );
    let mut all = (0, 0, 0);
    for (name, count) in &tally.types {
        println!(
            "{name:<24} {:>9} {:>9} {:>9}",
            count.steps, count.succeeded, count.different
        );
        all.0 += count.steps;
        all.1 += count.succeeded;
        all.2 += count.different;
    }
    println!("{:<24} {:>9} {:>9} {:>9}", "all", all.0, all.1, all.2);
    println!("{} maps in {seconds:.0} s", tally.maps);
}
