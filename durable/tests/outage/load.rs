//! Work for a database that goes away, and what must have come of it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use durable::{App, db::SystemDb, prelude::*};
use tokio::task::JoinHandle;

/// How many workflows run at the same time.
const AT_ONCE: usize = 30;

/// How many steps each workflow of the load has, its child's not counted.
pub const STEPS: usize = 4;

/// How long all of them may take to end once the database stays.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which bodies ran, and how often.
#[derive(Clone, Default)]
pub struct Bodies(Arc<Mutex<BTreeMap<String, usize>>>);

impl Bodies {
    fn ran(&self, what: String) {
        *self.0.lock().unwrap().entry(what).or_default() += 1;
    }

    /// Those that did not run exactly once.
    fn repeated(&self) -> Vec<(String, usize)> {
        let bodies = self.0.lock().unwrap();
        let repeated = bodies.iter().filter(|(_, count)| **count != 1);
        repeated
            .map(|(what, count)| (what.clone(), *count))
            .collect()
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

#[durable::workflow]
async fn work(ctx: Ctx, n: u64) -> Result<u64, durable::Error> {
    let bodies = ctx.state::<Bodies>()?;
    let id = ctx.workflow_id().to_string();
    let mut sum = 0;
    for step in 0..STEPS as u64 {
        if step == 2 {
            ctx.sleep(Duration::from_millis(30)).await?;
        }
        let (bodies, what) = (bodies.clone(), format!("{id}/{step}"));
        sum += ctx
            .step("add", move || {
                bodies.ran(what.clone());
                async move { Ok::<_, durable::Error>(n + step) }
            })
            .await?;
    }
    ctx.set_event("sum", &sum).await?;
    let child = ctx.start(double, sum).await?;
    child.result().await
}

#[durable::workflow]
async fn double(ctx: Ctx, n: u64) -> Result<u64, durable::Error> {
    let bodies = ctx.state::<Bodies>()?;
    let what = ctx.workflow_id().to_string();
    ctx.step("double", move || {
        bodies.ran(what.clone());
        async move { Ok::<_, durable::Error>(2 * n) }
    })
    .await
}

/// What a workflow of the load gives.
fn expected(n: u64) -> u64 {
    2 * (0..STEPS as u64).map(|step| n + step).sum::<u64>()
}

/// A workflow's result, when it has one.
type Ending = JoinHandle<Result<u64, durable::Error>>;

/// Workflows that are started, some directly and some through a queue, for as long as this says.
pub struct Load {
    app: App,
    bodies: Bodies,
    going: Arc<AtomicBool>,
    ended: Arc<AtomicUsize>,
    starting: JoinHandle<Vec<(u64, Ending)>>,
}

impl Load {
    pub async fn start(db: impl SystemDb) -> Self {
        let bodies = Bodies::default();
        let app = App::builder("outage")
            .version("1")
            .backend(db)
            .state(bodies.clone())
            .queue(Queue::new("work").worker_concurrency(10))
            .workflow(work)
            .workflow(double)
            .launch()
            .await
            .expect("it launches");
        let going = Arc::new(AtomicBool::new(true));
        let ended = Arc::new(AtomicUsize::new(0));
        let starting = tokio::spawn(start(app.clone(), Arc::clone(&going), Arc::clone(&ended)));
        Self {
            app,
            bodies,
            going,
            ended,
            starting,
        }
    }

    pub fn app(&self) -> &App {
        &self.app
    }

    /// Waits until so many more workflows have ended.
    pub async fn goes_on(&self, more: usize) {
        let wanted = self.ended.load(Ordering::Relaxed) + more;
        let begun = Instant::now();
        while self.ended.load(Ordering::Relaxed) < wanted {
            assert!(
                begun.elapsed() < PATIENCE,
                "stuck after {} of {wanted}: {:?}",
                self.ended.load(Ordering::Relaxed),
                self.app.health()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Starts no more, and waits for all; how many there were. Panics if one was lost, failed, is stuck or did something twice.
    pub async fn end(self) -> usize {
        self.going.store(false, Ordering::Relaxed);
        let begun = Instant::now();
        let started = tokio::time::timeout(PATIENCE, self.starting)
            .await
            .expect("a start is stuck")
            .expect("no start fails");
        let workflows = started.len();
        for (n, ending) in started {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            let result = tokio::time::timeout(left, ending).await;
            let result = result.unwrap_or_else(|_| panic!("work-{n} is stuck"));
            let result = result.expect("no panic");
            let result = result.unwrap_or_else(|error| panic!("work-{n} failed: {error}"));
            assert_eq!(result, expected(n), "work-{n}");
        }
        assert_eq!(
            self.bodies.repeated(),
            [],
            "bodies that ran more or less often than once"
        );
        assert_eq!(self.bodies.count(), workflows * (STEPS + 1));
        assert!(self.app.health().is_ready(), "{:?}", self.app.health());
        self.app.shutdown(Duration::from_secs(5)).await;
        workflows
    }
}

async fn start(app: App, going: Arc<AtomicBool>, ended: Arc<AtomicUsize>) -> Vec<(u64, Ending)> {
    let places = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let mut started = Vec::new();
    let mut n = 0;
    while going.load(Ordering::Relaxed) {
        let place = Arc::clone(&places)
            .acquire_owned()
            .await
            .expect("never closed");
        n += 1;
        let mut start = app.start(work, n).id(format!("work-{n}"));
        if n % 3 == 0 {
            start = start.queue("work");
        }
        let handle = start.await.expect("a start waits for the database");
        let ended = Arc::clone(&ended);
        let ending = tokio::spawn(async move {
            let result = handle.result().await;
            ended.fetch_add(1, Ordering::Relaxed);
            drop(place);
            result
        });
        started.push((n, ending));
    }
    started
}
