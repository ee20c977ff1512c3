//! A proxy between a program and a Postgres server: it cuts, refuses, delays and swallows, and counts what is prepared.
//!
//! - `orders`: what is done to connections, as a value that all of them watch
//! - `relay`: one connection
//! - `frames`: where messages begin and end

mod frames;
mod orders;
mod relay;

pub use orders::Lost;

use std::{
    collections::BTreeMap,
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
    task::JoinHandle,
};

use self::orders::{Cut, Orders};

/// How often each text was prepared on one connection.
pub type Prepared = BTreeMap<String, usize>;

/// What was prepared on each connection.
type AllPrepared = Arc<Mutex<Vec<Prepared>>>;

/// How many connections may wait to be taken.
const BACKLOG: u32 = 1024;

/// How long the port may take to be free again after connections were refused.
const PATIENCE: Duration = Duration::from_secs(5);

/// A proxy. It listens on a free port of 127.0.0.1; what passes is not encrypted. When this is dropped its connections end.
pub struct Proxy {
    port: u16,
    url: String,
    orders: watch::Sender<Orders>,
    prepared: AllPrepared,
    accepting: JoinHandle<()>,
}

/// Shows no URL: it may hold a password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("port", &self.port)
            .field("orders", &*self.orders.borrow())
            .finish_non_exhaustive()
    }
}

impl Proxy {
    /// A proxy in front of the server of this URL, which names one host; it lives on the current tokio runtime. Panics without one, and where
    /// no port can be listened on.
    pub fn to(url: &str) -> Self {
        let (orders, watched) = watch::channel(Orders::default());
        let prepared = AllPrepared::default();
        // Bound and never listened on: while connections are refused nobody else gets the port.
        let place = bound(0).expect("a free port");
        let here = place.local_addr().expect("it is bound");
        let (there, url) = through(url, &here.to_string());
        let listener = listening(here).expect("the port is ours");
        let accept = accept(place, listener, there, watched, Arc::clone(&prepared));
        Self {
            port: here.port(),
            url,
            orders,
            prepared,
            accepting: tokio::spawn(accept),
        }
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of the same database, through this.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What was prepared so far, on each connection that was ever made.
    pub fn prepared(&self) -> Vec<Prepared> {
        let prepared = self.prepared.lock();
        prepared.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Cuts all connections that there are.
    pub fn cut(&self, lost: Lost) {
        self.order(|orders| orders.cut(Cut::Now(lost)));
    }

    /// Cuts each connection that there is in the middle of a message: of the next one in the direction of `lost` that is longer than `after` bytes
    /// these pass, and then nothing in either direction. At least 1.
    pub fn cut_inside(&self, lost: Lost, after: usize) {
        let after = after.max(1);
        self.order(|orders| orders.cut(Cut::Inside { lost, after }));
    }

    /// Whether nobody listens: who connects is refused by the system. Connections that there are go on.
    pub fn refuse(&self, refuse: bool) {
        self.order(|orders| orders.refuse = refuse);
    }

    /// Has everything that passes wait so long, in each direction; zero for no longer than it takes.
    pub fn delay(&self, delay: Duration) {
        self.order(|orders| orders.delay = delay);
    }

    /// Lets every connection that is made from now on wait so long before anything passes: a server that is slow to take connections.
    pub fn delay_connections(&self, delay: Duration) {
        self.order(|orders| orders.connecting = delay);
    }

    /// Swallows all that comes on the connections that there are, in both directions and for ever: neither side hears of the other again, and
    /// the server keeps its session. So does a firewall that forgets. New connections pass.
    pub fn swallow(&self) {
        self.order(|orders| orders.swallowed += 1);
    }

    /// Whether everything is swallowed, also of connections that are made meanwhile: they are taken, and nothing comes back. Those stay dead
    /// afterwards.
    pub fn black_hole(&self, on: bool) {
        self.order(|orders| {
            orders.hole = on;
            orders.swallowed += 1;
        });
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) {
        self.orders.send_modify(change);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // With it go those who watch.
        self.accepting.abort();
        self.order(|orders| orders.cut(Cut::Now(Lost::Both)));
    }
}

/// Takes connections until the task is ended.
async fn accept(
    _place: TcpSocket,
    listener: TcpListener,
    there: String,
    mut orders: watch::Receiver<Orders>,
    prepared: AllPrepared,
) {
    let here = listener.local_addr();
    let mut listener = Some(listener);
    loop {
        let refuse = orders.borrow_and_update().refuse;
        if refuse {
            listener = None;
        } else if let (None, Ok(here)) = (&listener, &here) {
            listener = again(*here).await;
        }
        let taken = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = orders.changed() => if changed.is_err() { return },
            taken = taken => if let Ok((client, _)) = taken {
                let connection = relay::Connection::new(orders.clone(), Arc::clone(&prepared));
                tokio::spawn(connection.run(client, there.clone()));
            },
        }
    }
}

/// The port, once it can be listened on again.
async fn again(here: SocketAddr) -> Option<TcpListener> {
    let begun = tokio::time::Instant::now();
    loop {
        match listening(here) {
            Ok(listener) => return Some(listener),
            Err(error) if begun.elapsed() > PATIENCE => panic!("{here}: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

fn bound(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    #[cfg(unix)]
    socket.set_reuseport(true)?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
    Ok(socket)
}

fn listening(here: SocketAddr) -> io::Result<TcpListener> {
    bound(here.port())?.listen(BACKLOG)
}

/// The server's address, and the URL with this one instead of it. Nothing is encrypted, or no message could be seen.
fn through(url: &str, here: &str) -> (String, String) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = place.split_once('/').unwrap_or((place, ""));
    let (user, address) = authority
        .rsplit_once('@')
        .map_or(("", authority), |(user, address)| (user, address));
    let at = if user.is_empty() { "" } else { "@" };
    let there = if address.contains(':') {
        address.to_owned()
    } else {
        format!("{address}:5432")
    };
    let options = options
        .split('&')
        .filter(|option| !option.is_empty() && !option.starts_with("sslmode="))
        .chain(["sslmode=disable"])
        .collect::<Vec<_>>()
        .join("&");
    let url = format!("{scheme}://{user}{at}{here}/{database}?{options}");
    (there, url)
}

#[cfg(test)]
mod tests;
