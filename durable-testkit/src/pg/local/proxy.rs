//! A proxy in front of a server, whose connections can be cut.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{self, AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// How long a server may do what it was asked before its answers are cut off.
const DOING: Duration = Duration::from_millis(30);

/// What of a connection is lost when it is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// What was asked last: the server never hears of it.
    Requests,
    /// The answer: the server does what it was asked, and nobody hears of it.
    Answers,
}

/// A proxy. Its connections end when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    cut: watch::Sender<Option<Lost>>,
    delay: watch::Sender<Duration>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A proxy in front of the server on this port of 127.0.0.1.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let here = listener.local_addr().expect("it is bound").port();
        let there = SocketAddr::from(([127, 0, 0, 1], port));
        let (cut, cuts) = watch::channel(None);
        let (delay, delays) = watch::channel(Duration::ZERO);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // Cuts of before are none of its.
                let mut cuts = cuts.clone();
                cuts.mark_unchanged();
                let delay = *delays.borrow();
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    pass(client, there, cuts).await;
                });
            }
        });
        Self {
            port: here,
            cut,
            delay,
            accepting,
        }
    }

    /// Lets every connection that is made from now on wait so long before anything passes: a server that is slow to take connections.
    pub fn delay(&self, delay: Duration) {
        self.delay.send_replace(delay);
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts all connections that there are.
    pub fn cut(&self, lost: Lost) {
        self.cut.send_replace(Some(lost));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(client: TcpStream, there: SocketAddr, cuts: watch::Receiver<Option<Lost>>) {
    // Where there is no server the client finds the connection closed.
    let Ok(server) = TcpStream::connect(there).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let back = tokio::spawn(relay(from_server, to_client, cuts.clone(), Lost::Answers));
    let _ = relay(from_client, to_server, cuts, Lost::Requests).await;
    let _ = back.await;
}

/// Passes on what comes in one direction until it ends or is cut.
async fn relay(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut cuts: watch::Receiver<Option<Lost>>,
    lost_here: Lost,
) -> io::Result<()> {
    let mut chunk = vec![0; 1 << 14];
    loop {
        let read = tokio::select! {
            biased;
            cut = cuts.changed() => {
                let lost = *cuts.borrow();
                if cut.is_ok() && lost != Some(lost_here) {
                    // The other direction is dead; what is on its way here still arrives.
                    let _ = tokio::time::timeout(DOING, io::copy(&mut from, &mut to)).await;
                }
                if lost == Some(lost_here) {
                    tokio::time::sleep(DOING * 2).await;
                }
                return Ok(());
            }
            read = from.read(&mut chunk) => read?,
        };
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&chunk[..read]).await?;
    }
}
