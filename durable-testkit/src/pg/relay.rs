//! Stands between a client and the server, and counts what the client has the server prepare.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{self, AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

/// How often each text was prepared on one connection.
pub(super) type Prepared = BTreeMap<String, usize>;

/// The relay. It ends when this is dropped; what is connected then goes on.
pub(super) struct Relay {
    url: String,
    connections: Arc<Mutex<Vec<Prepared>>>,
    accepting: JoinHandle<()>,
}

impl Relay {
    /// A relay to the server of this URL.
    pub(super) async fn to(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let here = listener.local_addr().expect("it is bound").to_string();
        let (there, url) = through(url, &here);
        let connections = Arc::default();
        let counted = Arc::clone(&connections);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&there).await;
                let server = server.expect("the server answers");
                tokio::spawn(relay(client, server, Arc::clone(&counted)));
            }
        });
        Self {
            url,
            connections,
            accepting,
        }
    }

    /// The URL of the same database, through this.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What was prepared so far, on each connection.
    pub(super) fn prepared(&self) -> Vec<Prepared> {
        lock(&self.connections).clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The server's address, and the URL with this one instead of it. Nothing is encrypted, or nothing could be counted.
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

async fn relay(client: TcpStream, server: TcpStream, counted: Arc<Mutex<Vec<Prepared>>>) {
    // Small messages go back and forth: none may wait for the next.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, to_server) = server.into_split();
    let back = tokio::spawn(async move {
        let _ = io::copy(&mut from_server, &mut to_client).await;
    });
    let _ = forth(from_client, to_server, &counted).await;
    let _ = back.await;
}

/// Passes on what the client says, and counts before it is passed on.
async fn forth(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    counted: &Mutex<Vec<Prepared>>,
) -> io::Result<()> {
    let connection = {
        let mut connections = lock(counted);
        connections.push(Prepared::new());
        connections.len() - 1
    };
    let mut messages = Messages::default();
    loop {
        let mut chunk = vec![0; 1 << 14];
        let read = client.read(&mut chunk).await?;
        if read == 0 {
            return server.shutdown().await;
        }
        chunk.truncate(read);
        messages.add(&chunk);
        while let Some(text) = messages.next_prepare() {
            *lock(counted)[connection].entry(text).or_default() += 1;
        }
        server.write_all(&chunk).await?;
    }
}

/// What a client says, message by message.
#[derive(Default)]
struct Messages {
    bytes: Vec<u8>,
    started: bool,
}

impl Messages {
    fn add(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
    }

    /// The text of the next Parse message that has come whole.
    fn next_prepare(&mut self) -> Option<String> {
        loop {
            // The first message has no type.
            let kind = usize::from(self.started);
            let length = self.bytes.get(kind..kind + 4)?;
            let length = u32::from_be_bytes(length.try_into().ok()?);
            let end = kind + usize::try_from(length).ok()?;
            if self.bytes.len() < end {
                return None;
            }
            let message: Vec<u8> = self.bytes.drain(..end).collect();
            let prepares = self.started && message[0] == b'P';
            self.started = true;
            if prepares {
                // A name, a NUL, the text, a NUL.
                let mut parts = message[5..].split(|byte| *byte == 0);
                let text = parts.nth(1).unwrap_or_default();
                return Some(String::from_utf8_lossy(text).into_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_leads_through_the_relay() {
        let cases = [
            (
                "postgres://ann:pw@db:7/shop?sslmode=prefer&application_name=a",
                "db:7",
                "postgres://ann:pw@here:1/shop?application_name=a&sslmode=disable",
            ),
            (
                "postgres://db",
                "db:5432",
                "postgres://here:1/?sslmode=disable",
            ),
        ];
        for (url, address, other) in cases {
            assert_eq!(
                through(url, "here:1"),
                (address.to_owned(), other.to_owned())
            );
        }
    }

    #[test]
    fn the_texts_to_prepare_are_found_however_the_bytes_come() {
        let mut said = vec![0, 0, 0, 8, 0, 3, 0, 0];
        let message = |kind: u8, body: &[u8]| {
            let length = u32::try_from(body.len() + 4).unwrap();
            [&[kind], &length.to_be_bytes()[..], body].concat()
        };
        said.extend(message(b'P', b"s1\0SELECT 1\0\0\0"));
        said.extend(message(b'Q', b"P nothing\0"));
        said.extend(message(b'P', b"\0SELECT 2\0\0\0"));
        for size in [1, 3, said.len()] {
            let mut messages = Messages::default();
            let mut found = Vec::new();
            for chunk in said.chunks(size) {
                messages.add(chunk);
                found.extend(std::iter::from_fn(|| messages.next_prepare()));
            }
            assert_eq!(found, ["SELECT 1", "SELECT 2"]);
        }
    }
}
