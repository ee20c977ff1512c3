//! One call after the other, on a backend and on the model.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use durable_core::ids::WorkflowId;
use proptest::{
    collection::vec,
    prelude::{Just, Strategy},
    prop_oneof,
    test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner},
};
use tokio::runtime::Runtime;

use super::{Cases, Found, Process, Subject, alphabet, seed, with_subject};
use crate::{
    ManualClock, Memory,
    calls::{Call, Present, Scene, Side as _, brief},
};

/// How many calls a sequence has at most.
const LONGEST: usize = 40;

/// After so many calls all that is stored is compared.
const DUMP_EVERY: usize = 8;

/// How far the clock is moved at a time.
const LATER: Duration = Duration::from_hours(2);

/// The database's clock counts in these.
const TICK: Duration = Duration::from_millis(1);

/// One step of a sequence.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A call of one of the processes.
    Call(usize, Call),
    /// Time passes, where a test can have it pass.
    Later,
}

/// Plays sequences of calls on the database and on the model, and compares the answers, now and then all that is stored, and at the end
/// what the last calls bring to light. Panics with the smallest sequence found whose answers differ.
pub fn sequences(cases: Cases, open: impl Future<Output = Subject>) {
    with_subject(open, |runtime, subject| {
        let (cases, began) = (cases.now("random calls", &subject.name), Instant::now());
        if let Err(found) = search(runtime, subject, cases) {
            panic!("{}: {found}", subject.name);
        }
        let took = began.elapsed();
        println!("{}: {cases} sequences of calls in {took:.1?}", subject.name);
    });
}

/// The same with so many sequences: what was found, for a test that breaks a database on purpose.
pub fn try_sequences(cases: u32, open: impl Future<Output = Subject>) -> Result<(), Found> {
    with_subject(open, |runtime, subject| search(runtime, subject, cases))
}

fn search(runtime: &Runtime, subject: &Subject, cases: u32) -> Result<(), Found> {
    let (played, first) = (Cell::new(0), Cell::new(None));
    let outcome = TestRunner::new(config(cases)).run(&steps(), |steps| {
        played.set(played.get() + 1);
        let compared = runtime.block_on(compare(subject, &steps, &alphabet::closing()));
        compared.map_err(|difference| {
            first.set(first.get().or(Some(played.get())));
            TestCaseError::fail(difference.to_string())
        })
    });
    let why = match outcome {
        Ok(()) => return Ok(()),
        Err(TestError::Fail(why, steps)) => {
            let smaller = runtime.block_on(smaller(subject, steps));
            smaller.map_or_else(|| why.to_string(), |smaller| smaller.to_string())
        }
        Err(TestError::Abort(why)) => why.to_string(),
    };
    Err(Found {
        case: first.get().unwrap_or_default(),
        why: format!("not answered as by the model, with seed {}:\n{why}", seed()),
    })
}

/// What is left when each step has been left out without which they still differ, the last ones that are always made too: proptest
/// leaves steps out once, before it makes them simpler.
async fn smaller(subject: &Subject, steps: Vec<Step>) -> Option<Difference> {
    let mut difference = compare(subject, &steps, &alphabet::closing()).await.err()?;
    loop {
        let steps = difference.before.len();
        // From the end: what needed a step goes before it.
        let mut n = steps;
        while let Some(earlier) = n.min(difference.before.len()).checked_sub(1) {
            n = earlier;
            let mut fewer = difference.before.clone();
            fewer.remove(n);
            fewer.push(difference.last);
            if let Err(smaller) = compare(subject, &fewer, &[]).await {
                difference = smaller;
            }
        }
        if difference.before.len() >= steps {
            return Some(difference);
        }
    }
}

fn config(cases: u32) -> Config {
    Config {
        cases,
        rng_seed: RngSeed::Fixed(seed()),
        failure_persistence: None,
        max_shrink_time: 60_000,
        max_shrink_iters: 20_000,
        ..Config::default()
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        40 => (0..2_usize, alphabet::call()).prop_map(|(process, call)| Step::Call(process, call)),
        1 => Just(Step::Later),
    ];
    vec(step, 1..=LONGEST)
}

/// Two answers that should be one, and how it came to them.
struct Difference {
    before: Vec<Step>,
    last: Step,
    model: String,
    backend: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in self.before.iter().chain([&self.last]) {
            writeln!(f, "  {step}")?;
        }
        writeln!(f, "    model:   {}", brief(&self.model))?;
        write!(f, "    backend: {}", brief(&self.backend))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(0, call) => write!(f, "A {call:?}"),
            Self::Call(_, call) => write!(f, "B {call:?}"),
            Self::Later => write!(f, "{LATER:?} pass"),
        }
    }
}

/// The two databases in one run.
struct Play<'a> {
    subject: &'a Subject,
    model: Vec<Memory>,
    clock: ManualClock,
    scene: Scene,
    /// The steps that were taken, but for those that only read.
    taken: Vec<Step>,
    last: Instant,
}

/// Takes the steps, and makes the last calls.
async fn compare(subject: &Subject, steps: &[Step], last: &[Call]) -> Result<(), Difference> {
    let mut play = Play::begin(subject);
    let compared = play.all(steps, last).await;
    play.end().await;
    compared
}

impl<'a> Play<'a> {
    fn begin(subject: &'a Subject) -> Self {
        static RUNS: AtomicUsize = AtomicUsize::new(1);
        let scene = Scene::new(RUNS.fetch_add(1, Ordering::Relaxed), 0, &[]);
        let (clock, scene) = match &subject.clock {
            Some(clock) => (clock.clone(), scene.with_times()),
            None => (ManualClock::default(), scene),
        };
        let first = Memory::with_clock(clock.clone());
        let mut model = vec![first.clone()];
        model.resize_with(subject.processes.len(), || first.process());
        Self {
            subject,
            model,
            clock,
            scene,
            taken: Vec::new(),
            last: Instant::now(),
        }
    }

    async fn all(&mut self, steps: &[Step], last: &[Call]) -> Result<(), Difference> {
        for (n, step) in steps.iter().enumerate() {
            match *step {
                Step::Call(process, call) => self.call(process, call).await?,
                Step::Later => self.later(),
            }
            if (n + 1) % DUMP_EVERY == 0 {
                self.calls(&alphabet::dump()).await?;
            }
        }
        self.calls(last).await
    }

    async fn calls(&mut self, calls: &[Call]) -> Result<(), Difference> {
        for call in calls {
            self.call(0, *call).await?;
        }
        Ok(())
    }

    /// Makes a call on both.
    async fn call(&mut self, process: usize, call: Call) -> Result<(), Difference> {
        self.tick(call).await;
        let step = Step::Call(process, call);
        let process = process % self.model.len();
        let (model, backend) = (&self.model[process], &self.subject.processes[process]);
        let present = Present {
            tokens: tokens(model),
            lives: model.lives().into_iter().collect(),
        };
        let backend = call.answer_now(backend, &self.scene, &present).await;
        let model = Process(Arc::new(model.clone()));
        let model = call.answer_now(&model, &self.scene, &present).await;
        if model != backend {
            return Err(Difference {
                before: std::mem::take(&mut self.taken),
                last: step,
                model,
                backend,
            });
        }
        if !call.only_reads() {
            self.taken.push(step);
            self.last = Instant::now();
        }
        Ok(())
    }

    /// Has no two calls come in one instant: where several start workflows in one, a backend moves their times apart as it likes.
    async fn tick(&self, call: Call) {
        if call.only_reads() {
            return;
        }
        if self.subject.clock.is_none() {
            tokio::time::sleep(TICK.saturating_sub(self.last.elapsed())).await;
        }
        self.clock.advance(TICK);
    }

    /// The clock of a server is nobody's to move.
    fn later(&mut self) {
        if self.subject.clock.is_some() {
            self.clock.advance(LATER);
            self.taken.push(Step::Later);
        }
    }

    /// Ends the lives that have begun.
    async fn end(&self) {
        for (id, _) in self.model[0].lives() {
            for process in &self.subject.processes {
                // What does not answer now has been told already.
                let _ = process.db().leave(&id).await;
            }
        }
    }
}

/// The tokens that rows hold.
fn tokens(model: &Memory) -> BTreeMap<WorkflowId, String> {
    let held = model
        .rows()
        .into_iter()
        .filter_map(|row| Some((row.id, row.owner?.as_str().to_owned())));
    held.collect()
}
