//! One container with a server in it.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::TcpListener,
    time::{Duration, Instant},
};

use testcontainers::{
    ContainerAsync, ContainerRequest, GenericImage, ImageExt as _, TestcontainersError,
    core::{IntoContainerPort as _, client::ClientError},
    runners::AsyncRunner as _,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::leftovers;

/// The server's port inside a network of the engine's.
const PORT: u16 = 5432;

/// How often a start on the machine's own network is tried: the free port that was found may be taken before the server has it.
const STARTS: usize = 3;

/// How long a server may take until it takes connections.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long it may take to answer who connects.
const ANSWER: Duration = Duration::from_secs(2);

/// How many lines of a server's log are shown when it does not start.
const LINES: usize = 15;

/// Why there is none.
pub(crate) enum Error {
    /// The image is not there, and the engine says why it cannot have it.
    NoImage(String),
    /// All else.
    Failed(String),
}

impl From<TestcontainersError> for Error {
    fn from(error: TestcontainersError) -> Self {
        match error {
            TestcontainersError::Client(ClientError::PullImage { err, .. }) => {
                Self::NoImage(err.to_string())
            }
            other => Self::Failed(other.to_string()),
        }
    }
}

/// A container whose server takes connections.
pub(crate) struct Started {
    container: ContainerAsync<GenericImage>,
    password: String,
    host: String,
    port: u16,
}

impl Started {
    pub(crate) fn id(&self) -> &str {
        self.container.id()
    }

    pub(crate) fn url(&self) -> String {
        format!(
            "postgres://postgres:{}@{}:{}/postgres",
            self.password, self.host, self.port
        )
    }
}

/// Starts one on a network of the engine's, or on the machine's own where the engine publishes no ports.
pub(crate) async fn start(image: &str) -> Result<Started, Error> {
    let password = password();
    let container = request(image, &password, "*").start().await?;
    let host = local(container.get_host().await?.to_string());
    match container.get_host_port_ipv4(PORT.tcp()).await {
        Ok(port) => {
            let started = Started {
                container,
                password,
                host,
                port,
            };
            ready(started).await.map_err(Error::Failed)
        }
        Err(error) => {
            tracing::debug!(%error, "the engine publishes no ports: the container uses the network of the machine");
            container.rm().await?;
            on_the_machines_network(image).await
        }
    }
}

async fn on_the_machines_network(image: &str) -> Result<Started, Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        let port = free_port()?;
        let password = password();
        let request = request(image, &password, "127.0.0.1").with_network("host");
        let request = request.with_env_var("PGPORT", port.to_string());
        let started = Started {
            container: request.start().await?,
            password,
            host: "127.0.0.1".to_owned(),
            port,
        };
        match ready(started).await {
            Ok(started) => return Ok(started),
            Err(said) if tries < STARTS && said.contains("in use") => {}
            Err(said) => return Err(Error::Failed(said)),
        }
    }
}

/// A container as all are. The server writes to no disk for certain: its data goes with the tests.
fn request(image: &str, password: &str, listens: &str) -> ContainerRequest<GenericImage> {
    let (name, tag) = match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    };
    let listens = format!("listen_addresses={listens}");
    let settings = [listens.as_str(), "fsync=off", "max_connections=200"];
    let arguments = settings.iter().flat_map(|setting| ["-c", setting]);
    GenericImage::new(name, tag)
        .with_exposed_port(PORT.tcp())
        .with_env_var("POSTGRES_PASSWORD", password)
        .with_cmd(["postgres"].into_iter().chain(arguments))
        .with_labels(leftovers::labels())
}

/// Waits until the server takes connections. What a container logs says less: an image that makes its data first logs that it is ready twice, one that
/// has them once. The server that makes the data listens on no port.
async fn ready(started: Started) -> Result<Started, String> {
    let begun = Instant::now();
    loop {
        if takes_connections(&started.host, started.port).await {
            return Ok(started);
        }
        let runs = started.container.is_running().await;
        let runs = runs.map_err(|error| error.to_string())?;
        if !runs || begun.elapsed() > PATIENCE {
            let ended = if runs {
                "it is not ready"
            } else {
                "it has ended"
            };
            let said = words(&started.container).await;
            // It is gone, or goes when this is dropped.
            let _ = started.container.rm().await;
            return Err(format!("{ended} after {:?}\n{said}", begun.elapsed()));
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Whether somebody who connects is asked for a password; a server that starts or stops refuses before that.
async fn takes_connections(host: &str, port: u16) -> bool {
    let asked = async {
        let mut server = TcpStream::connect((host, port)).await?;
        // Version 3.0 of the protocol, and who wants to go where.
        let said = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0";
        let length = u32::try_from(said.len() + 4).unwrap_or_default();
        let start = [&length.to_be_bytes(), &said[..]].concat();
        server.write_all(&start).await?;
        server.read_u8().await
    };
    matches!(timeout(ANSWER, asked).await, Ok(Ok(b'R')))
}

async fn words(container: &ContainerAsync<GenericImage>) -> String {
    let log = container.stderr_to_vec().await.unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.trim().lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// By its number: `localhost` may stand for an address on which no port is published.
fn local(host: String) -> String {
    if host == "localhost" {
        "127.0.0.1".to_owned()
    } else {
        host
    }
}

fn free_port() -> Result<u16, Error> {
    let listener = TcpListener::bind("127.0.0.1:0");
    let port = listener.and_then(|listener| listener.local_addr());
    port.map(|address| address.port())
        .map_err(|error| Error::Failed(format!("no free port: {error}")))
}

/// What nobody can guess: 128 bits of the randomness that keeps hash tables safe.
fn password() -> String {
    let part = || RandomState::new().hash_one(0);
    format!("{:016x}{:016x}", part(), part())
}
