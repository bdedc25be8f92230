//! What a network has on disk: homes, network file, contacts.

use std::collections::VecDeque;
use std::fs::DirBuilder;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rand::RngExt;

use crate::config::{ClientLine, Contact, Home, MixLine, NetworkFile, Role, default_poll_letters, replace};
use crate::crypto::os_csprng;

use super::TestnetError;

/// What network is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Mixes, 2 to 7.
    pub mixes: usize,
    /// Clients, at least 2.
    pub clients: usize,
    /// User bytes in a packet.
    pub payload: u64,
    /// Packets that each client sends in each round.
    pub packets_per_client: u64,
    /// Seconds from the start of one round to the next; by default 1, or as many as this machine needs to move the
    /// bytes of a round.
    pub round_seconds: Option<f64>,
    /// Seconds in which submissions are taken; by default 0.8 of the round.
    pub submit_seconds: Option<f64>,
    /// Bounds of each mix's delay, milliseconds.
    pub mix_delay_ms: (u64, u64),
    /// The first of the mixes' UDP ports; by default any that are free.
    pub base_port: Option<u16>,
}

/// A network's directory, complete.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The directory.
    pub dir: PathBuf,
    /// The network file in it.
    pub network: NetworkFile,
    /// The mixes' homes, entry first.
    pub mixes: Vec<Home>,
    /// The clients' homes.
    pub clients: Vec<Home>,
}

impl Layout {
    /// Makes the network in `dir`, or takes the one that is there: homes stay as they are, ports change if they are
    /// taken by now.
    ///
    /// # Errors
    /// If the options contradict each other or what is there, if a network runs there, or if the disk fails.
    pub fn prepare(dir: &Path, options: &Options) -> Result<Self, TestnetError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(TestnetError::io(format!("make {}", dir.display())))?;
        let dir = dir.canonicalize().map_err(TestnetError::io(format!("use {}", dir.display())))?;
        let path = dir.join("network.yaml");
        let before = path.exists().then(|| NetworkFile::read(&path)).transpose()?;
        let network = options.network(before.as_ref(), &path)?;
        let mixes = (1..=options.mixes).map(|number| home(&dir, Role::Mix, &mix_id(number)));
        let mixes = mixes.collect::<Result<Vec<_>, _>>()?;
        let clients = (1..=options.clients).map(|number| home(&dir, Role::Client, &client_id(number)));
        let clients = clients.collect::<Result<Vec<_>, _>>()?;
        replace(&path, 0o644, network.to_yaml().as_bytes())?;
        let layout = Self { dir, network, mixes, clients };
        layout.introduce()?;
        Ok(layout)
    }

    /// Everybody becomes everybody's contact, their own too.
    fn introduce(&self) -> Result<(), TestnetError> {
        let id = self.network.id();
        let mut everybody: Vec<Contact> = Vec::with_capacity(self.clients.len());
        for home in &self.clients {
            everybody.push(home.client_secrets()?.contact(&home.id, &id));
        }
        let text: String = everybody.iter().map(|contact| format!("{contact}\n")).collect();
        for home in &self.clients {
            let contacts = home.contacts();
            let known = contacts.list()?;
            if known.is_empty() {
                replace(&home.dir.join("contacts.txt"), 0o600, text.as_bytes())?;
                continue;
            }
            for contact in everybody.iter().filter(|contact| !known.contains(contact)) {
                contacts.add(contact)?;
            }
        }
        Ok(())
    }
}

impl Options {
    /// The network file at `path`; `before` is the one that is there.
    fn network(&self, before: Option<&NetworkFile>, path: &Path) -> Result<NetworkFile, TestnetError> {
        let addresses_before: Option<Vec<String>> =
            before.map(|file| file.mixes.iter().map(|mix| mix.address.clone()).collect());
        let as_before = addresses_before.as_ref().map(|addresses| self.file(addresses));
        if let (Some(before), Some(wanted)) = (before, as_before)
            && before.to_yaml() != wanted.to_yaml()
        {
            return Err(TestnetError::OtherSettings(path.parent().unwrap_or(path).into()));
        }
        let addresses = match (self.base_port, addresses_before) {
            (Some(base), _) => ports_from(base, self.mixes)?,
            (None, Some(addresses)) if are_free(&addresses) => addresses,
            (None, _) => {
                let ports = free_ports(PortOf::Mix, self.mixes).map_err(TestnetError::io("find free UDP ports"))?;
                ports.iter().map(SocketAddr::to_string).collect()
            }
        };
        NetworkFile::parse(&self.file(&addresses).to_yaml(), path).map_err(TestnetError::Options)
    }

    fn file(&self, addresses: &[String]) -> NetworkFile {
        let mut file = NetworkFile::testnet();
        file.start_clients = Some(self.clients as u64);
        file.round_seconds = self.round_seconds.unwrap_or_else(|| self.comfortable_round());
        file.submit_seconds = self.submit_seconds;
        file.mix_delay_ms = self.mix_delay_ms;
        file.payload = self.payload;
        file.packets_per_client = self.packets_per_client;
        file.keys_dir = Some("keys".into());
        let mixes = addresses.iter().enumerate();
        let mix = |(place, address): (usize, &String)| (mix_id(place + 1), address.clone());
        file.mixes = mixes.map(mix).map(|(id, address)| MixLine { id, address, identity: None }).collect();
        let clients = (1..=self.clients).map(client_id);
        file.clients = clients.map(|id| ClientLine { id, identity: None, list_key: None, address: None }).collect();
        file
    }
}

impl Options {
    /// Whole seconds, at least 1, in which everything that a round sends fits through this machine: each client's
    /// packets to the entry and between the mixes, the noise between them, and each client's poll answer.
    fn comfortable_round(&self) -> f64 {
        let noise = NetworkFile::testnet().noise_packets;
        let letters = default_poll_letters(self.packets_per_client, noise, self.mixes, self.clients as u64);
        let per_client = (self.packets_per_client as f64).mul_add(self.mixes as f64, letters as f64);
        // What hop i adds goes over L - i links.
        let noise = noise as f64 * (self.mixes * self.mixes.saturating_sub(1) / 2) as f64;
        let packets = (self.clients as f64).mul_add(per_client, noise);
        (packets * self.payload as f64 / BYTES_PER_SECOND).ceil().clamp(1.0, 86_400.0)
    }
}

/// What a development build moves on two cores that have other things to do: 40 MiB.
const BYTES_PER_SECOND: f64 = (40 << 20) as f64;

fn mix_id(number: usize) -> String {
    format!("mix-{number}")
}

fn client_id(number: usize) -> String {
    format!("client-{number}")
}

fn home(dir: &Path, role: Role, id: &str) -> Result<Home, TestnetError> {
    let home = Home::init(&dir.join(id), role, id, None)?;
    if UnixStream::connect(&home.control).is_ok() {
        return Err(TestnetError::Running { name: id.into(), dir: dir.into() });
    }
    Ok(home)
}

/// Below those that the system gives to sockets that ask for any: nobody takes a mix's port while the mix is down.
const PORTS: std::ops::Range<u16> = 10_000..32_000;
/// Ports that are tried before there are said to be none.
const TRIES: usize = 2_000;

/// How many sides of ports a process holds: far fewer than it may have files open.
const MOST_HELD: usize = 256;

/// What a port is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PortOf {
    /// A mix.
    Mix,
    /// A mix's metrics.
    Metrics,
}

/// As many ports of loopback as asked for, as addresses, for programs that are about to be started.
///
/// Mixes use the UDP side of a port and metrics the TCP side. This process holds the other side until it ends or has taken
/// 256 more, and takes only ports of which it gets both: so networks that are made at the same moment do not
/// choose the same one.
///
/// # Errors
/// If there are none.
pub fn free_ports(of: PortOf, count: usize) -> std::io::Result<Vec<SocketAddr>> {
    static HELD: Mutex<VecDeque<Box<dyn Send>>> = Mutex::new(VecDeque::new());
    let mut rng = os_csprng();
    let mut addresses = Vec::new();
    for _ in 0..TRIES {
        if addresses.len() == count {
            return Ok(addresses);
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, rng.random_range(PORTS)));
        let (Ok(udp), Ok(tcp)) = (UdpSocket::bind(address), TcpListener::bind(address)) else { continue };
        let other: Box<dyn Send> = match of {
            PortOf::Mix => Box::new(tcp),
            PortOf::Metrics => Box::new(udp),
        };
        // No invariant spans a panic.
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        held.push_back(other);
        if held.len() > MOST_HELD {
            held.pop_front();
        }
        addresses.push(address);
    }
    Err(std::io::ErrorKind::AddrInUse.into())
}

fn ports_from(base: u16, count: usize) -> Result<Vec<String>, TestnetError> {
    let ports = (0..count).map(|place| u16::try_from(usize::from(base) + place));
    let ports: Vec<u16> = ports.collect::<Result<_, _>>().map_err(|_| TestnetError::Port(base))?;
    let taken = ports.iter().find(|port| UdpSocket::bind(("127.0.0.1", **port)).is_err());
    match taken {
        Some(port) => Err(TestnetError::Port(*port)),
        None => Ok(ports.iter().map(|port| format!("127.0.0.1:{port}")).collect()),
    }
}

fn are_free(addresses: &[String]) -> bool {
    addresses.iter().all(|address| UdpSocket::bind(address).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{check_home, check_network};

    fn options() -> Options {
        Options {
            mixes: 2,
            clients: 3,
            payload: 1024,
            packets_per_client: 2,
            round_seconds: Some(0.3),
            submit_seconds: None,
            mix_delay_ms: (0, 10),
            base_port: None,
        }
    }

    #[test]
    fn homes_are_made_once_and_keep_their_keys() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = Layout::prepare(dir.path(), &options()).expect("empty");
        let contacts = first.clients[1].contacts().list().expect("written");
        assert_eq!(contacts.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["client-1", "client-2", "client-3"]);
        let again = Layout::prepare(dir.path(), &options()).expect("the same");
        assert_eq!(again.network.to_yaml(), first.network.to_yaml());
        assert_eq!(again.clients[1].contacts().list().expect("written"), contacts);
        // All that is missing are the keys that the daemons publish.
        let findings = check_network(&dir.path().join("network.yaml"));
        assert!(findings.len() == 1 && findings[0].what.contains("waiting for the keys of mix-1"), "{findings:?}");
        for (home, role) in [(&first.mixes[0], Role::Mix), (&first.clients[0], Role::Client)] {
            let found = check_home::<&str, &str>(&home.dir, role, []);
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].what_to_do, findings[0].what_to_do);
        }
    }

    #[test]
    fn a_network_is_not_changed_under_its_messages() {
        let dir = tempfile::tempdir().expect("a directory");
        Layout::prepare(dir.path(), &options()).expect("empty");
        for other in [
            Options { payload: 2048, ..options() },
            Options { clients: 4, ..options() },
            Options { round_seconds: None, ..options() },
        ] {
            let error = Layout::prepare(dir.path(), &other).expect_err("other settings");
            assert!(matches!(error, TestnetError::OtherSettings(_)), "{error}");
        }
    }

    #[test]
    fn rounds_are_as_long_as_their_bytes_need() {
        let usual = Options { mixes: 3, clients: 4, payload: 65_536, packets_per_client: 4, ..options() };
        assert_eq!(usual.comfortable_round(), 1.0);
        let large = Options { payload: 4 << 20, ..usual };
        // 4 clients, 4 packets over three links, 16 letters, and 2 packets of noise over two links and one: 118 times 4 MiB.
        assert_eq!(large.comfortable_round(), 12.0);
    }

    #[test]
    fn ports_are_chosen_once_and_their_own_side_is_free() {
        let (mixes, metrics) = (free_ports(PortOf::Mix, 20), free_ports(PortOf::Metrics, 20));
        let (mixes, metrics) = (mixes.expect("enough ports"), metrics.expect("enough ports"));
        let different: std::collections::HashSet<&SocketAddr> = mixes.iter().chain(&metrics).collect();
        assert_eq!(different.len(), 40);
        // What another process finds when it looks for ports.
        let both = |address: &SocketAddr| UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok();
        assert!(!mixes.iter().chain(&metrics).any(both));
        assert!(mixes.iter().all(|address| UdpSocket::bind(address).is_ok()));
        assert!(metrics.iter().all(|address| TcpListener::bind(address).is_ok()));
    }

    #[test]
    fn ports_that_are_taken_are_changed() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = Layout::prepare(dir.path(), &options()).expect("empty");
        let taken = UdpSocket::bind(&first.network.mixes[1].address).expect("free");
        let second = Layout::prepare(dir.path(), &options()).expect("the same");
        assert_ne!(first.network.mixes[1].address, second.network.mixes[1].address);
        let port = taken.local_addr().expect("bound").port();
        let error = Layout::prepare(dir.path(), &Options { base_port: Some(port), ..options() });
        assert!(matches!(error, Err(TestnetError::Port(taken)) if taken == port));
    }

    #[test]
    fn impossible_options_are_refused_before_anything_runs() {
        for wrong in [
            Options { mixes: 1, ..options() },
            Options { clients: 1, ..options() },
            Options { payload: 1, ..options() },
            Options { mix_delay_ms: (5, 1), ..options() },
        ] {
            let dir = tempfile::tempdir().expect("a directory");
            let error = Layout::prepare(dir.path(), &wrong).expect_err("out of range");
            assert!(matches!(error, TestnetError::Options(_)), "{error}");
        }
    }
}
