//! Calls of several clients at the same time: there must be an order in which the model, one call after the other, answers them so.
//!
//! A burst of calls makes one history. Some calls get no answer: they are lost, or given up half way; those may have happened. When the
//! clients are done, calls one after the other look at all that is left, and belong to the history too.
//!
//! - `alphabet`: which calls are made; `search`: whether there is an order; `spec`: what the model says of one call
//! - here: bursts

use std::{
    fmt::Write as _,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any},
    prop_oneof,
    strategy::ValueTree as _,
    test_runner::{Config, RngSeed, TestRunner},
};
use tokio::{runtime::Runtime, sync::Barrier};

use super::{Cases, Found, Process, Subject, seed, with_subject};
use crate::{
    ManualClock, Memory,
    calls::{Call, Scene, UNAVAILABLE, brief},
    faults::{Fault, Faulty},
};

mod alphabet;
mod search;
mod spec;

use search::{Span, order};
use spec::Calls;

/// How many clients there are, and how many calls each makes.
const CLIENTS: std::ops::RangeInclusive<usize> = 3..=6;
const CALLS: usize = 10;

/// What happens to a call of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    /// It does not reach the database, or its answer does not come back.
    Lost(Fault),
    /// The client waits no longer than that.
    GivenUp(Duration),
}

/// A call of a history.
#[derive(Clone, Debug)]
pub(super) struct Made {
    client: usize,
    process: usize,
    call: Call,
    span: Span,
    /// `None`: it may have happened.
    answer: Option<String>,
}

/// Plays bursts of calls on the database. Panics with the history of one for which the model has no order.
pub fn bursts(cases: Cases, open: impl Future<Output = Subject>) {
    with_subject(open, |runtime, subject| {
        let (cases, began) = (cases.now("bursts of calls", &subject.name), Instant::now());
        match search_all(runtime, subject, cases) {
            Ok(calls) => {
                let (name, took) = (&subject.name, began.elapsed());
                println!("{name}: {cases} bursts of {calls} calls in {took:.1?}");
            }
            Err(found) => panic!("{}: {found}", subject.name),
        }
    });
}

/// The same with so many bursts: what was found, for a test that breaks a database on purpose.
pub fn try_bursts(cases: u32, open: impl Future<Output = Subject>) -> Result<(), Found> {
    with_subject(open, |runtime, subject| {
        search_all(runtime, subject, cases).map(|_| ())
    })
}

/// Plays so many bursts; how many calls they had.
fn search_all(runtime: &Runtime, subject: &Subject, cases: u32) -> Result<usize, Found> {
    let mut calls = 0;
    for number in 0..cases {
        let seed = seed().wrapping_add(u64::from(number));
        calls += burst(runtime, subject, seed).map_err(|wrong| Found {
            case: number + 1,
            why: format!("the answers fit no order of these calls, with seed {seed}:\n{wrong}"),
        })?;
    }
    Ok(calls)
}

/// Plays a burst; how many calls it had.
fn burst(runtime: &Runtime, subject: &Subject, seed: u64) -> Result<usize, String> {
    static RUNS: AtomicUsize = AtomicUsize::new(1);
    // Bursts and sequences may share a database.
    let scene = Scene::new(RUNS.fetch_add(1, Ordering::Relaxed), 1, &[]);
    let clients = drawn(seed);
    let mut made = runtime.block_on(play(subject, &scene, clients));
    made.sort_by_key(|made| made.span.began);
    let memory = Memory::with_clock(ManualClock::default());
    let mut start = vec![memory.clone()];
    start.resize_with(subject.processes.len(), || memory.process());
    let spec = Calls {
        made: &made,
        scene: &scene,
        passes_over: subject.passes_over,
    };
    let spans: Vec<Span> = made.iter().map(|made| made.span).collect();
    match order(&spans, &spec, &start) {
        Ok(_) => Ok(made.len()),
        Err(longest) => Err(report(&made, &longest)),
    }
}

/// The calls of each client, with their fates.
fn drawn(seed: u64) -> Vec<Vec<(Call, Fate)>> {
    let mut runner = TestRunner::new(Config {
        rng_seed: RngSeed::Fixed(seed),
        ..Config::default()
    });
    let lost = [Fault::CallLost, Fault::AnswerLost];
    let fate = prop_oneof![
        18 => Just(Fate::Answered),
        1 => any::<bool>().prop_map(move |answer| Fate::Lost(lost[usize::from(answer)])),
        1 => (50_u64..2_000).prop_map(|us| Fate::GivenUp(Duration::from_micros(us))),
    ];
    let clients = vec(vec((alphabet::call(), fate), CALLS), CLIENTS);
    let drawn = clients.new_tree(&mut runner);
    drawn.expect("nothing is filtered out").current()
}

async fn play(subject: &Subject, scene: &Scene, clients: Vec<Vec<(Call, Fate)>>) -> Vec<Made> {
    let clock = Arc::new(AtomicUsize::new(0));
    let (quiet, ready) = (clients.len(), Arc::new(Barrier::new(clients.len())));
    let tasks = clients.into_iter().enumerate().map(|(number, calls)| {
        let client = Client {
            number,
            process: number % subject.processes.len(),
            db: Arc::clone(&subject.processes[number % subject.processes.len()].0),
            scene: scene.clone(),
            clock: Arc::clone(&clock),
        };
        let ready = Arc::clone(&ready);
        tokio::spawn(async move {
            ready.wait().await;
            client.make(calls).await
        })
    });
    let mut made = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        made.extend(task.await.expect("a client makes its calls"));
    }
    let last = Client {
        number: quiet,
        process: 0,
        db: Arc::clone(&subject.processes[0].0),
        scene: scene.clone(),
        clock,
    };
    let closing = alphabet::closing().into_iter();
    made.extend(
        last.make(closing.map(|call| (call, Fate::Answered)).collect())
            .await,
    );
    made
}

/// One who makes calls, one after the other.
struct Client {
    number: usize,
    process: usize,
    db: Arc<dyn durable_core::db::SystemDb>,
    scene: Scene,
    clock: Arc<AtomicUsize>,
}

impl Client {
    async fn make(self, calls: Vec<(Call, Fate)>) -> Vec<Made> {
        let mut made = Vec::new();
        for (call, fate) in calls {
            // A database that answers at once would serve one client after the other.
            tokio::task::yield_now().await;
            let began = self.clock.fetch_add(1, Ordering::SeqCst);
            let answer = self.answer(call, fate).await;
            let now = self.clock.fetch_add(1, Ordering::SeqCst);
            made.push(Made {
                client: self.number,
                process: self.process,
                call,
                span: Span {
                    began,
                    ended: answer.is_some().then_some(now),
                },
                answer,
            });
        }
        made
    }

    async fn answer(&self, call: Call, fate: Fate) -> Option<String> {
        let fault = match fate {
            Fate::Lost(fault) => fault,
            _ => Fault::None,
        };
        let db = Faulty::over(Arc::clone(&self.db)).failing(move |_| fault);
        let process = Process(Arc::new(db));
        let asked = call.answer(&process, &self.scene);
        let answer = match fate {
            Fate::GivenUp(after) => tokio::time::timeout(after, asked).await.ok()?,
            _ => asked.await,
        };
        (answer != UNAVAILABLE).then_some(answer)
    }
}

/// The history, one call a line in the order in which they began, each with its place in the longest order that was found.
fn report(made: &[Made], longest: &[usize]) -> String {
    let mut text = String::new();
    let last_end = longest.iter().filter_map(|n| made[*n].span.ended).max();
    for (n, made) in made.iter().enumerate() {
        let place = longest.iter().position(|taken| *taken == n);
        let place = place.map_or("     ".to_owned(), |place| format!("{:4}.", place + 1));
        let ended = made
            .span
            .ended
            .map_or("    ".to_owned(), |end| format!("{end:4}"));
        let answer = made.answer.as_deref().map_or("no answer".into(), brief);
        let _ = writeln!(
            text,
            "{place} {:4} to {ended} client {} {:?}: {answer}",
            made.span.began, made.client, made.call
        );
        if made.span.began > last_end.unwrap_or(usize::MAX).saturating_add(4)
            && place.trim().is_empty()
        {
            text.push_str("      …\n");
            break;
        }
    }
    text
}
