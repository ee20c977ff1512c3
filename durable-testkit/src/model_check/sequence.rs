//! One call after the other, on a backend and on the model.

use std::{
    cell::Cell,
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

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
        let compared = runtime.block_on(compare(subject, &steps));
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

/// What is left when each step has been left out without which they still differ: proptest looks for those once, before it makes the
/// steps themselves simpler.
async fn smaller(subject: &Subject, mut steps: Vec<Step>) -> Option<Difference> {
    let mut difference = compare(subject, &steps).await.err()?;
    loop {
        steps.clone_from(&difference.before);
        let mut left_out = None;
        for n in 0..steps.len() {
            let mut fewer = steps.clone();
            fewer.remove(n);
            if let Err(smaller) = ask(subject, &fewer, &difference).await {
                left_out = Some(smaller);
                break;
            }
        }
        match left_out {
            Some(smaller) => difference = smaller,
            None => return Some(difference),
        }
    }
}

/// Whether the same call, after other steps, is answered differently too.
async fn ask(
    subject: &Subject,
    before: &[Step],
    difference: &Difference,
) -> Result<(), Difference> {
    let mut play = Play::begin(subject);
    let compared = play.ask(before, difference.process, difference.call).await;
    play.end().await;
    compared
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
    process: usize,
    call: Call,
    model: String,
    backend: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.before {
            match step {
                Step::Call(process, call) => writeln!(f, "  {} {call:?}", letter(*process))?,
                Step::Later => writeln!(f, "  {LATER:?} pass")?,
            }
        }
        writeln!(f, "  {} {:?}", letter(self.process), self.call)?;
        writeln!(f, "    model:   {}", brief(&self.model))?;
        write!(f, "    backend: {}", brief(&self.backend))
    }
}

fn letter(process: usize) -> char {
    if process == 0 { 'A' } else { 'B' }
}

/// The two databases in one run.
struct Play<'a> {
    subject: &'a Subject,
    model: Vec<Memory>,
    clock: ManualClock,
    scene: Scene,
    last: Instant,
}

async fn compare(subject: &Subject, steps: &[Step]) -> Result<(), Difference> {
    let mut play = Play::begin(subject);
    let compared = play.all(steps).await;
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
            last: Instant::now(),
        }
    }

    async fn all(&mut self, steps: &[Step]) -> Result<(), Difference> {
        for (n, step) in steps.iter().enumerate() {
            self.step(&steps[..n], *step).await?;
            if (n + 1) % DUMP_EVERY == 0 {
                self.look(&steps[..=n], alphabet::dump()).await?;
            }
        }
        self.look(steps, alphabet::closing()).await
    }

    /// Takes the steps, and makes one call more.
    async fn ask(&mut self, before: &[Step], process: usize, call: Call) -> Result<(), Difference> {
        for (n, step) in before.iter().enumerate() {
            self.step(&before[..n], *step).await?;
        }
        self.call(before, process, call).await
    }

    async fn step(&mut self, before: &[Step], step: Step) -> Result<(), Difference> {
        match step {
            Step::Call(process, call) => self.call(before, process, call).await?,
            Step::Later => self.later(),
        }
        Ok(())
    }

    async fn look(&mut self, before: &[Step], calls: Vec<Call>) -> Result<(), Difference> {
        for call in calls {
            self.call(before, 0, call).await?;
        }
        Ok(())
    }

    /// Makes a call on both.
    async fn call(
        &mut self,
        before: &[Step],
        process: usize,
        call: Call,
    ) -> Result<(), Difference> {
        self.tick(call).await;
        let process = process % self.model.len();
        let (model, backend) = (&self.model[process], &self.subject.processes[process]);
        let present = Present {
            tokens: tokens(model),
            lives: model.lives().into_iter().collect(),
        };
        let backend = call.answer_now(backend, &self.scene, &present).await;
        let model = Process(Arc::new(model.clone()));
        let model = call.answer_now(&model, &self.scene, &present).await;
        if !call.only_reads() {
            self.last = Instant::now();
        }
        if model == backend {
            return Ok(());
        }
        Err(Difference {
            before: before.to_vec(),
            process,
            call,
            model,
            backend,
        })
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

    fn later(&self) {
        if self.subject.clock.is_some() {
            self.clock.advance(LATER);
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
fn tokens(model: &Memory) -> std::collections::BTreeMap<durable_core::ids::WorkflowId, String> {
    let held = model
        .rows()
        .into_iter()
        .filter_map(|row| Some((row.id, row.owner?.as_str().to_owned())));
    held.collect()
}
