//! A proxy before one broker that says what the cluster's metadata names.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Keys of requests: <https://kafka.apache.org/protocol#protocol_api_keys>.
const METADATA: i16 = 3;
const FIND_COORDINATOR: i16 = 10;

/// Their first versions with lengths as varints, and tags.
const FLEXIBLE_METADATA: i16 = 9;
const FLEXIBLE_COORDINATOR: i16 = 3;

/// The connections; `None` where none are taken.
type Links = Option<Vec<Arc<Link>>>;

pub(crate) struct Proxy {
    port: u16,
    names_brokers: Arc<AtomicBool>,
    links: Arc<Mutex<Links>>,
}

impl Proxy {
    /// A proxy before `broker`, `host:port`, that lasts as long as the process.
    pub(crate) fn new(broker: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("is bound").port();
        let names_brokers = Arc::new(AtomicBool::new(true));
        let names = names_brokers.clone();
        let links = Arc::new(Mutex::new(Some(Vec::new())));
        let opened = links.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // One that is away takes no connections.
                if let Some(links) = &mut *opened.lock().expect("no panic")
                    && let Ok(broker) = TcpStream::connect(&broker)
                {
                    let link = Arc::new(Link {
                        client,
                        broker,
                        asked: Mutex::default(),
                        names_brokers: names.clone(),
                        port: port.into(),
                    });
                    links.push(link.clone());
                    link.serve();
                }
            }
        });
        Self {
            port,
            names_brokers,
            links,
        }
    }

    /// Cuts every connection and takes no other, or takes them again.
    pub(crate) fn be_away(&self, is_away: bool) {
        let mut links = self.links.lock().expect("no panic");
        for link in links.take().into_iter().flatten() {
            link.cut();
        }
        *links = (!is_away).then(Vec::new);
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Whether metadata names brokers, itself in the place of each, or none.
    pub(crate) fn name_brokers(&self, names_brokers: bool) {
        self.names_brokers.store(names_brokers, Ordering::SeqCst);
    }
}

struct Link {
    client: TcpStream,
    broker: TcpStream,
    /// The ids of requests without an answer so far, and what they ask for.
    asked: Mutex<HashMap<[u8; 4], i16>>,
    names_brokers: Arc<AtomicBool>,
    port: u32,
}

impl Link {
    fn serve(self: Arc<Self>) {
        let (link, back) = (self.clone(), self);
        thread::spawn(move || link.pass(&link.client, &link.broker, Self::note));
        thread::spawn(move || back.pass(&back.broker, &back.client, Self::alter));
    }

    fn pass(
        &self,
        mut from: &TcpStream,
        mut to: &TcpStream,
        change: fn(&Self, Vec<u8>) -> Vec<u8>,
    ) {
        let mut one = || -> io::Result<()> {
            let mut size = [0; 4];
            from.read_exact(&mut size)?;
            let mut frame = vec![0; u32::from_be_bytes(size) as usize];
            from.read_exact(&mut frame)?;
            let frame = change(self, frame);
            let size = u32::try_from(frame.len()).map_err(io::Error::other)?;
            to.write_all(&[&size.to_be_bytes(), &*frame].concat())
        };
        while one().is_ok() {}
        self.cut();
    }

    fn cut(&self) {
        for stream in [&self.client, &self.broker] {
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    /// Remembers a request whose answer is altered: key, version and id are its first fields.
    fn note(&self, frame: Vec<u8>) -> Vec<u8> {
        let key = i16::from_be_bytes([frame[0], frame[1]]);
        let version = i16::from_be_bytes([frame[2], frame[3]]);
        let id = [frame[4], frame[5], frame[6], frame[7]];
        match key {
            METADATA => assert!(version >= FLEXIBLE_METADATA, "metadata {version}"),
            FIND_COORDINATOR => assert!(version < FLEXIBLE_COORDINATOR, "coordinator {version}"),
            _ => return frame,
        }
        self.asked.lock().expect("no panic").insert(id, key);
        frame
    }

    fn alter(&self, mut frame: Vec<u8>) -> Vec<u8> {
        let id = [frame[0], frame[1], frame[2], frame[3]];
        match self.asked.lock().expect("no panic").remove(&id) {
            Some(METADATA) => self.metadata(&frame),
            Some(_) => {
                // The port comes last.
                frame.truncate(frame.len() - 4);
                frame.extend_from_slice(&self.port.to_be_bytes());
                frame
            }
            None => frame,
        }
    }

    /// Rewrites the brokers, which are the array behind id, tags and throttle time.
    fn metadata(&self, frame: &[u8]) -> Vec<u8> {
        const BROKERS: usize = 4 + 1 + 4;
        // Lengths are one more than they say, so that 0 is null; all here are below 127.
        let count = frame[BROKERS] - 1;
        let mut altered = frame[..=BROKERS].to_vec();
        let mut rest = &frame[BROKERS + 1..];
        for _ in 0..count {
            // Id and host, port, rack and no tags.
            let port = 4 + usize::from(rest[4]);
            let rack = port + 4;
            let end = rack + 1 + usize::from(rest[rack].saturating_sub(1)) + 1;
            altered.extend_from_slice(&rest[..port]);
            altered.extend_from_slice(&self.port.to_be_bytes());
            altered.extend_from_slice(&rest[rack..end]);
            rest = &rest[end..];
        }
        if !self.names_brokers.load(Ordering::SeqCst) {
            altered.truncate(BROKERS);
            altered.push(1);
        }
        altered.extend_from_slice(rest);
        altered
    }
}
