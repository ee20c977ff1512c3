//! One connection through the proxy.

use std::{
    io,
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
};

use super::{
    AllPrepared, Prepared,
    frames::{Frames, Side},
    orders::{Cut, Lost, Orders},
};

/// How long a server may do what it was asked before its answers are cut off.
const DOING: Duration = Duration::from_millis(30);

/// What a connection watches, and what was ordered before it was made.
#[derive(Clone)]
pub(super) struct Connection {
    orders: watch::Receiver<Orders>,
    cuts: u64,
    swallowed: u64,
    prepared: AllPrepared,
    number: usize,
}

/// Why nothing passes any more in any direction.
enum Ended {
    /// One side or the network failed, or it was cut.
    Cut,
    /// It was cut so that both sides see it at once.
    Reset,
}

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Self::Cut
    }
}

/// What the orders come to for a connection.
enum Ordered {
    Nothing,
    Swallow,
    Cut(Cut),
}

impl Connection {
    pub(super) fn new(orders: watch::Receiver<Orders>, prepared: AllPrepared) -> Self {
        let (cuts, swallowed) = {
            let now = orders.borrow();
            (now.cuts, now.swallowed)
        };
        let number = {
            let mut all = prepared.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(Prepared::new());
            all.len() - 1
        };
        Self {
            orders,
            cuts,
            swallowed,
            prepared,
            number,
        }
    }

    /// Passes on what comes from either side until both have ended, or it is cut.
    pub(super) async fn run(mut self, mut client: TcpStream, there: String) {
        let (connecting, hole) = {
            let now = self.orders.borrow();
            (now.connecting, now.hole)
        };
        if hole {
            let (mut from, _to) = client.split();
            tokio::select! {
                () = discard(&mut from) => {}
                _ = self.orders.wait_for(|_| false) => {}
            }
            return;
        }
        tokio::time::sleep(connecting).await;
        // Where there is no server the client finds the connection closed.
        let Ok(mut server) = TcpStream::connect(&*there).await else {
            return;
        };
        // Small messages go back and forth: none may wait for the next.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let ended = {
            let (from_client, to_client) = client.split();
            let (from_server, to_server) = server.split();
            let forth = Direction::new(self.clone(), Lost::Requests, from_client, to_server);
            let back = Direction::new(self, Lost::Answers, from_server, to_client);
            tokio::try_join!(forth.pass(), back.pass())
        };
        if let Err(Ended::Reset) = ended {
            let _ = (client.set_zero_linger(), server.set_zero_linger());
        }
    }

    /// What is ordered for it.
    fn ordered(&mut self) -> Ordered {
        let now = self.orders.borrow_and_update();
        if now.hole || now.swallowed > self.swallowed {
            return Ordered::Swallow;
        }
        if now.cuts > self.cuts {
            self.cuts = now.cuts;
            return now.last_cut.map_or(Ordered::Nothing, Ordered::Cut);
        }
        Ordered::Nothing
    }

    fn prepared(&self) -> MutexGuard<'_, Vec<Prepared>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One direction of a connection.
struct Direction<'a> {
    connection: Connection,
    /// Whether it is requests that pass here, or answers.
    way: Lost,
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    frames: Frames,
    /// After how many bytes of a message it is to be cut, and whether a message has begun since that was ordered.
    inside: Option<(usize, bool)>,
}

impl<'a> Direction<'a> {
    fn new(connection: Connection, way: Lost, from: ReadHalf<'a>, to: WriteHalf<'a>) -> Self {
        let side = match way {
            Lost::Requests => Side::Client,
            _ => Side::Server,
        };
        Self {
            connection,
            way,
            from,
            to,
            frames: Frames::of(side),
            inside: None,
        }
    }

    async fn pass(mut self) -> Result<(), Ended> {
        let mut chunk = vec![0; 1 << 14];
        loop {
            let read = tokio::select! {
                biased;
                changed = self.connection.orders.changed() => {
                    // Without a proxy there is nobody to pass it on.
                    changed.map_err(|_| Ended::Reset)?;
                    match self.connection.ordered() {
                        Ordered::Swallow => return self.swallow().await,
                        Ordered::Cut(Cut::Now(lost)) => return self.cut(lost).await,
                        Ordered::Cut(Cut::Inside { lost, after }) if lost.includes(self.way) => {
                            self.inside = Some((after, self.frames.is_between()));
                        }
                        Ordered::Nothing | Ordered::Cut(Cut::Inside { .. }) => {}
                    }
                    continue;
                }
                read = self.from.read(&mut chunk) => read?,
            };
            if read == 0 {
                self.to.shutdown().await?;
                return Ok(());
            }
            let delay = self.connection.orders.borrow().delay;
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            let passes = self.look(&chunk[..read]);
            self.to.write_all(&chunk[..passes]).await?;
            if passes < read {
                return Err(Ended::Cut);
            }
        }
    }

    /// Looks at what comes; how many of the bytes pass before the connection is to be cut.
    fn look(&mut self, bytes: &[u8]) -> usize {
        for (n, byte) in bytes.iter().enumerate() {
            if let Some((after, begun)) = self.inside {
                let begun = begun || self.frames.is_between();
                self.inside = Some((after, begun));
                // It is not whole, so there is more of it.
                if begun && self.frames.within() == after {
                    return n;
                }
            }
            if let Some(message) = self.frames.add(*byte)
                && let Some(text) = message.prepares()
                && self.way == Lost::Requests
            {
                let mut all = self.connection.prepared();
                *all[self.connection.number].entry(text).or_default() += 1;
            }
        }
        bytes.len()
    }

    /// Ends this direction so that this is lost.
    async fn cut(mut self, lost: Lost) -> Result<(), Ended> {
        if lost == Lost::Both {
            return Err(Ended::Reset);
        }
        if lost == self.way {
            // The other direction has that long for what is on its way there.
            tokio::time::sleep(DOING * 2).await;
            return Err(Ended::Cut);
        }
        // Nothing more is asked for; what is on its way here still arrives.
        let _ = tokio::time::timeout(DOING, tokio::io::copy(&mut self.from, &mut self.to)).await;
        Ok(())
    }

    /// Passes nothing on. When the client has given up, the server goes on waiting; it is left alone until the proxy ends.
    async fn swallow(mut self) -> Result<(), Ended> {
        discard(&mut self.from).await;
        let _ = self.connection.orders.wait_for(|_| false).await;
        Err(Ended::Reset)
    }
}

/// Reads until there is no more to read.
async fn discard(from: &mut ReadHalf<'_>) {
    let mut chunk = vec![0; 1 << 14];
    while from.read(&mut chunk).await.is_ok_and(|read| read > 0) {}
}
