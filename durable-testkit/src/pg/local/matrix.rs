//! The check of a pooler's mode, in front of a real PgBouncer in every mode.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use durable_pg::{Driver, DriverError, PgSystemDb};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{
    pooler::{Mode, Pooler, PoolerOptions},
    server::Server,
};
use crate::pg::{Bare, Proxy, TestDb, driver};

/// How many other clients keep a pooler busy.
const CLIENTS: usize = 5;

/// How often each cell is tried.
const TRIES: usize = 3;

/// How much longer connecting may take with the check than without, where it does not block.
const EXTRA: Duration = Duration::from_millis(250);

/// How long a pooler without a second session may take to be found out, with the time to connect.
const TOO_SMALL: Duration = Duration::from_millis(2_500);

/// Opens a database through PgBouncer in each mode, idle and busy, with one, two and twenty sessions, with and without `server_round_robin`,
/// and directly; prints what came of each. Panics where a mode is not seen as it is, and where the check takes too long.
pub async fn session_mode_matrix<D: Driver>() {
    let database = TestDb::<D>::migrated().await;
    println!(
        "{:12} {:5} {:>4}  {:11}  {:28} {:>9} {:>8}",
        "mode", "load", "size", "round robin", "answer", "check, ms", "bare, ms"
    );
    let mut wrong = Vec::new();
    for mode in [Mode::Session, Mode::Transaction, Mode::Statement] {
        for busy in [false, true] {
            for size in [1, 2, 20] {
                for round_robin in [false, true] {
                    let options = PoolerOptions {
                        mode,
                        size,
                        round_robin,
                    };
                    wrong.extend(cell(&database, options, busy).await);
                }
            }
        }
    }
    wrong.extend(direct(&database).await);
    assert!(wrong.is_empty(), "{}:\n{}", D::NAME, wrong.join("\n"));
}

/// What the answer is called.
fn answer<T>(opened: &Result<T, DriverError>) -> String {
    match opened {
        Ok(_) => "passes".to_owned(),
        Err(error) => match error.name() {
            Some(name) => {
                let words = ["transaction mode", "statement mode"];
                let mode = words
                    .iter()
                    .find(|words| error.to_string().contains(*words));
                mode.map_or(name, |mode| mode).to_owned()
            }
            None => error.to_string(),
        },
    }
}

async fn cell<D: Driver>(database: &TestDb<D>, options: PoolerOptions, busy: bool) -> Vec<String> {
    let pooler = options.start(database.url()).await;
    let url = pooler.url(database.name());
    let load = busy.then(|| Load::start::<D>(&pooler, database.name()));
    if busy {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let wanted = match (options.mode, options.size) {
        (Mode::Session, 1) => "DURABLE_POOL_TOO_SMALL",
        (Mode::Session, _) => "passes",
        (Mode::Transaction, _) => "transaction mode",
        (Mode::Statement, _) => "statement mode",
    };
    let mut answers = Vec::new();
    let mut checks = Vec::new();
    let mut bares = Vec::new();
    for _ in 0..TRIES {
        let begun = Instant::now();
        // It may fail: what a driver prepares to set a connection up is not always there in transaction mode.
        if let Ok(driver) = driver::<D>(&url) {
            drop(driver.dedicated().await);
        }
        bares.push(begun.elapsed());
        let begun = Instant::now();
        let opened = PgSystemDb::<D>::connect(&url).await;
        checks.push(begun.elapsed());
        answers.push(answer(&opened));
        // Its lanes and its listener connect when they have something to do.
        drop(opened);
    }
    drop(load);
    checks.sort();
    bares.sort();
    let (check, bare) = (checks[TRIES / 2], bares[TRIES / 2]);
    println!(
        "{:12} {:5} {:>4}  {:11}  {:28} {:>9} {:>8}",
        options.mode,
        if busy { "busy" } else { "idle" },
        options.size,
        if options.round_robin { "on" } else { "off" },
        answers[0],
        check.as_millis(),
        bare.as_millis()
    );
    let mut wrong = Vec::new();
    let cell = format!("{options:?}, busy: {busy}");
    if answers.iter().any(|answer| answer != wanted) {
        wrong.push(format!("{cell}: {answers:?} instead of {wanted:?}"));
    }
    // Behind a busy pooler with few sessions every connection has to wait for its turn.
    let blocks = wanted == "DURABLE_POOL_TOO_SMALL" || (busy && options.size < 20);
    if !blocks && check > bare + EXTRA {
        wrong.push(format!(
            "{cell}: the check takes {check:?}, connecting {bare:?}"
        ));
    }
    if wanted == "DURABLE_POOL_TOO_SMALL" && !busy && check > TOO_SMALL {
        wrong.push(format!("{cell}: it takes {check:?} to see that"));
    }
    wrong
}

/// Opens a database on a server that is slow to take connections, from its second one on. Panics where that is taken for a pooler.
pub async fn slow_server<D: Driver>() {
    let server = Server::options().start().await;
    let proxy = Proxy::to(&server.url());
    let url = proxy.url().to_owned();
    let opening = tokio::spawn(async move { PgSystemDb::<D>::connect(&url).await.map(drop) });
    tokio::time::sleep(Duration::from_millis(1)).await;
    proxy.delay_connections(Duration::from_millis(1_500));
    let opened = opening.await.expect("no panic");
    opened.unwrap_or_else(|error| panic!("{error}"));
}

/// Opens a database on a server that hangs up on a connection now and then: as soon as it is made,
/// and when it begins a transaction. Panics where that is an error once, and where it is none for
/// ever.
pub async fn hung_up_once<D: Driver>() {
    let database = TestDb::<D>::migrated().await;
    let proxy = Proxy::to(database.url());
    for word in ["user", "BEGIN"] {
        for (times, passes) in [(1, true), (2, true), (usize::MAX, false)] {
            let url = hanging_up(&proxy, word, times).await;
            let opened = PgSystemDb::<D>::connect(&url).await;
            let case = format!("{}: {times} times at {word:?}: {opened:?}", D::NAME);
            assert_eq!(opened.is_ok(), passes, "{case}");
            if let Err(error) = opened {
                assert!(error.to_string().contains("hung up"), "{case}");
            }
        }
    }
}

/// The URL of what hangs up so many times when it hears this word, and passes on all else.
async fn hanging_up(proxy: &Proxy, word: &'static str, times: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let here = listener.local_addr().expect("it is bound").port();
    let there = proxy.port();
    let left = Arc::new(AtomicUsize::new(times));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(relay(client, there, word, Arc::clone(&left)));
        }
    });
    let url = proxy
        .url()
        .replace(&format!(":{there}"), &format!(":{here}"));
    let sign = if url.contains('?') { '&' } else { '?' };
    format!("{url}{sign}sslmode=disable")
}

async fn relay(client: TcpStream, there: u16, word: &str, left: Arc<AtomicUsize>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", there)).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers =
        tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut heard = vec![0; 8192];
    while let Ok(count @ 1..) = from_client.read(&mut heard).await {
        let said = &heard[..count];
        let has_word = said.windows(word.len()).any(|w| w == word.as_bytes());
        let hangs_up = |left: usize| left.checked_sub(1);
        let (order, none) = (Ordering::Relaxed, Ordering::Relaxed);
        if has_word && left.fetch_update(order, none, hangs_up).is_ok()
            || to_server.write_all(said).await.is_err()
        {
            break;
        }
    }
    answers.abort();
}

async fn direct<D: Driver>(database: &TestDb<D>) -> Vec<String> {
    let begun = Instant::now();
    drop(database.bare().await);
    let bare = begun.elapsed();
    let begun = Instant::now();
    let opened = database.options().connect().await;
    let check = begun.elapsed();
    let found = answer(&opened);
    println!(
        "{:12} {:5} {:>4}  {:11}  {:28} {:>9} {:>8}",
        "(direct)",
        "idle",
        "",
        "",
        found,
        check.as_millis(),
        bare.as_millis()
    );
    let mut wrong = Vec::new();
    if found != "passes" {
        wrong.push(format!("direct: {found}"));
    }
    if check > bare + EXTRA {
        wrong.push(format!(
            "direct: the check takes {check:?}, connecting {bare:?}"
        ));
    }
    wrong
}

/// Other clients, who come, ask for a while and go. They end when this is dropped.
struct Load(Arc<AtomicBool>);

impl Load {
    fn start<D: Driver>(pooler: &Pooler, database: &str) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        for _ in 0..CLIENTS {
            let (url, ended) = (pooler.url(database), Arc::clone(&ended));
            tokio::spawn(async move {
                while !ended.load(Ordering::Relaxed) {
                    // What goes wrong for them is not looked at: in statement mode much does.
                    if let Ok(mut bare) = Bare::<D>::try_connect(&url).await {
                        for _ in 0..10 {
                            let _ = bare.try_batch("SELECT pg_sleep(0.002)").await;
                        }
                    }
                }
            });
        }
        Self(ended)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
