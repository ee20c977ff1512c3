//! Two operations that meet on one workflow, paused between any two of their statements, in every order.
//!
//! The model in memory is atomic, so no test against it shows a race between statements. Here two processes make their calls on
//! Postgres through a driver whose connections stop before each statement; a statement that waits for a lock, as the server tells, stays
//! blocked until another process moves. Each order of the statements is played on a state of its own, and what comes of it, answers and
//! stored data, must be what the model gives for the same calls one after the other, in an order that fits their times.
//!
//! - `pairs`: which operations meet, said in the words of `words`; `scene`: who takes part, and what is looked at
//! - `gate`, `paused`: the driver that stops; `side`: a process on it; `model`: the same calls on the model
//! - `bench`: one order of statements; here: all of them

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use durable_pg::Driver;
use tokio::sync::Semaphore;

use super::TestDb;
use crate::effort;

mod bench;
mod gate;
mod model;
mod pairs;
mod paused;
mod scene;
mod side;
mod words;

pub use paused::{Paused, PausedConnection};

use bench::{Bench, Next, Played, Prefix};
use gate::Rewrite;
use model::{Serial, serials};
use pairs::{FEW, PAIRS, Pair};

/// How many runs are under way at once.
const BENCHES: usize = 4;

/// How many of all orders of a pair are played in a full run, besides one of each kind that can differ.
const SAMPLE: usize = 1_000;

/// Which orders of a pair are played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Of those that differ only in statements that cannot see each other, one.
    Distinct,
    /// So many of all, drawn by chance. It would show a mistake in what is taken for statements that cannot see each other.
    Sample(usize),
}

impl Reach {
    fn is_enough(self, played: usize) -> bool {
        matches!(self, Self::Sample(most) if played >= most)
    }
}

/// How many orders were played.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Of each pair, by its name.
    pub orders: Vec<(&'static str, usize)>,
    /// In how many of them one process had to wait for the other.
    pub waited: usize,
}

impl Report {
    /// Of all pairs.
    pub fn total(&self) -> usize {
        self.orders.iter().map(|(_, orders)| orders).sum()
    }
}

/// Plays every order of the statements of every pair. Panics, and shows the statements, where one does not agree with the model.
///
/// Of orders that differ only in statements that cannot see each other one is played; if `DURABLE_FULL` is set, a sample of the others too.
pub async fn run<D: Driver>() -> Report {
    let report = play::<D>(PAIRS.iter().collect(), Reach::Distinct).await;
    if effort::is_full() {
        play::<D>(PAIRS.iter().collect(), Reach::Sample(SAMPLE)).await;
    } else {
        left_out::<D>(
            "a sample of orders that differ only in statements that cannot see each other",
        );
    }
    report
}

/// The same, of a few pairs unless `DURABLE_FULL` is set: for a driver beside one that plays them all, as the statements are the same.
pub async fn run_few<D: Driver>() -> Report {
    if effort::is_full() {
        return run::<D>().await;
    }
    left_out::<D>("all but a few pairs of operations");
    let few = |pair: &&Pair| FEW.iter().any(|few| pair.name.starts_with(few));
    play::<D>(PAIRS.iter().filter(few).collect(), Reach::Distinct).await
}

async fn play<D: Driver>(pairs: Vec<&'static Pair>, reach: Reach) -> Report {
    let report = explore::<D>(pairs, None, reach).await;
    let report = report.unwrap_or_else(|failure| panic!("{failure}"));
    for (name, orders) in &report.orders {
        println!("{orders:6} orders of {name}");
    }
    println!(
        "{:6} orders ({reach:?}) of {} pairs through {}; in {} one waited for the other",
        report.total(),
        report.orders.len(),
        D::NAME,
        report.waited
    );
    report
}

/// Breaks statements on purpose, and sees that an order of each is found that does not agree with the model. Panics where none is.
pub async fn finds_what_is_broken<D: Driver>() {
    for (what, name, rewrite) in BROKEN {
        let pair: Vec<&Pair> = PAIRS.iter().filter(|pair| pair.name == *name).collect();
        assert_eq!(pair.len(), 1, "there is a pair {name:?}");
        let found = explore::<D>(pair, Some(*rewrite), Reach::Distinct).await;
        let failure = found.expect_err(what);
        assert!(
            failure.contains("no order of the model"),
            "{what}: {failure}"
        );
    }
}

/// What is broken, which pair shows it, and how.
const BROKEN: &[(&str, &str, Rewrite)] = &[
    (
        "a lane that does not lock the rows of its owners",
        "checkpoint and adoption, braked",
        |statement| {
            let lane = statement.starts_with("WITH owner");
            lane.then(|| statement.replace("FOR NO KEY UPDATE SKIP LOCKED", ""))
        },
    ),
    (
        "a check of the token that does not lock the row",
        "receive and adoption",
        |statement| {
            let check = statement.contains("SELECT s.status, s.owner_xid");
            check.then(|| statement.replace("FOR NO KEY UPDATE", ""))
        },
    ),
    (
        "a claim that a later life of its executor does not wait for",
        "claim of an earlier life and join",
        |statement| {
            let life = statement.contains("e.incarnation");
            life.then(|| statement.replace("FOR KEY SHARE", ""))
        },
    ),
];

/// What is left to play, and what came of the rest.
struct Work {
    reach: Reach,
    pairs: Vec<(&'static Pair, Vec<Serial>)>,
    todo: Mutex<Vec<(usize, Prefix)>>,
    /// As many permits as there is something to do; closed when nothing is left.
    waiting: Semaphore,
    left: AtomicUsize,
    draws: AtomicU64,
    played: Mutex<Vec<usize>>,
    waited: AtomicUsize,
    failure: Mutex<Option<String>>,
}

async fn explore<D: Driver>(
    pairs: Vec<&'static Pair>,
    rewrite: Option<Rewrite>,
    reach: Reach,
) -> Result<Report, String> {
    let database = Arc::new(TestDb::<D>::migrated().await);
    let mut modelled = Vec::new();
    for pair in pairs {
        modelled.push((pair, serials(pair).await));
    }
    let work = Arc::new(Work::all(modelled, reach));
    let benches = (0..BENCHES).map(|number| {
        let (work, database) = (Arc::clone(&work), Arc::clone(&database));
        tokio::spawn(async move {
            let mut bench = Bench::open(&database, number, rewrite, reach).await;
            while let Some((pair, prefix)) = work.next().await {
                let (of, serials) = &work.pairs[pair];
                let played = bench.play(of, serials, &prefix).await;
                work.done(pair, &prefix, played);
            }
        })
    });
    for bench in benches.collect::<Vec<_>>() {
        bench.await.map_err(|error| error.to_string())?;
    }
    work.report()
}

impl Work {
    fn all(pairs: Vec<(&'static Pair, Vec<Serial>)>, reach: Reach) -> Self {
        let todo: Vec<_> = (0..pairs.len())
            .rev()
            .map(|pair| (pair, Prefix::default()))
            .collect();
        Self {
            waiting: Semaphore::new(todo.len()),
            left: AtomicUsize::new(todo.len()),
            played: Mutex::new(vec![0; pairs.len()]),
            todo: Mutex::new(todo),
            waited: AtomicUsize::new(0),
            draws: AtomicU64::new(0),
            reach,
            failure: Mutex::default(),
            pairs,
        }
    }

    /// The next run: a pair, and its first turns.
    async fn next(&self) -> Option<(usize, Prefix)> {
        loop {
            self.waiting.acquire().await.ok()?.forget();
            let (pair, prefix) = self.take()?;
            if !self.reach.is_enough(lock(&self.played)[pair]) {
                return Some((pair, prefix));
            }
            self.one_less();
        }
    }

    fn take(&self) -> Option<(usize, Prefix)> {
        let mut todo = lock(&self.todo);
        if self.reach == Reach::Distinct {
            return todo.pop();
        }
        // A multiplicative hash of a counter is chance enough here.
        let draw = self
            .draws
            .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
            >> 32;
        let any = draw as usize % todo.len().max(1);
        (any < todo.len()).then(|| todo.swap_remove(any))
    }

    fn one_less(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.waiting.close();
        }
    }

    /// Takes down what came of a run, and what is to be played because of it: at each of its turns another could have gone.
    fn done(&self, pair: usize, prefix: &Prefix, played: Result<Played, String>) {
        let played = match played {
            Ok(played) => played,
            Err(failure) => {
                lock(&self.failure).get_or_insert(failure);
                return self.waiting.close();
            }
        };
        lock(&self.played)[pair] += usize::from(!played.left);
        self.waited
            .fetch_add(usize::from(played.waited), Ordering::Relaxed);
        let more = self.others(prefix, &played);
        let count = more.len();
        lock(&self.todo).extend(more.into_iter().map(|prefix| (pair, prefix)));
        self.left.fetch_add(count, Ordering::SeqCst);
        self.waiting.add_permits(count);
        self.one_less();
    }

    /// What is to be played because of a run: at each of its turns after the prefix another could have gone, unless it slept.
    fn others(&self, prefix: &Prefix, played: &Played) -> Vec<Prefix> {
        let mut more = Vec::new();
        let turns = played.turns.iter().enumerate().skip(prefix.turns.len());
        for ((n, turn), asleep) in turns.zip(&played.asleep) {
            // Those that have been played from here, first what was taken.
            let mut before = asleep.clone();
            before.push(turn.taken.clone());
            for other in turn.others.iter().filter(|other| !asleep.contains(other)) {
                let first = played.turns[..n].iter().map(|turn| turn.taken.actor);
                let sleeps = |next: &&Next| next.is_independent_of(other, self.reach);
                more.push(Prefix {
                    turns: first.chain([other.actor]).collect(),
                    asleep: before.iter().filter(sleeps).cloned().collect(),
                });
                before.push(other.clone());
            }
        }
        more
    }

    fn report(&self) -> Result<Report, String> {
        if let Some(failure) = lock(&self.failure).take() {
            return Err(failure);
        }
        let names = self.pairs.iter().map(|(pair, _)| pair.name);
        Ok(Report {
            orders: names.zip(lock(&self.played).iter().copied()).collect(),
            waited: self.waited.load(Ordering::Relaxed),
        })
    }
}

/// Says what a run leaves out.
fn left_out<D: Driver>(what: &str) {
    effort::left_out(format_args!("interleavings through {}: {what}", D::NAME));
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
