//! Leases: whose work is adopted although a session still holds the lock on its executor.

use std::{
    future::Future,
    pin::Pin,
    sync::mpsc,
    time::{Duration, Instant},
};

use durable_core::{
    db::{
        AbandonedQuery, Adoption, Executors as _, NewWorkflow, Placement, Recorded, Serves,
        StepRecord, StepResult, StepStamp, Steps as _, Timing, WantedExecutor, Workflows as _,
        Write,
    },
    ids::{ExecutorId, Owner, WorkflowId, WorkflowKey},
    payload::{Encoded, Outcome},
    state::claim::Claimant,
    time::Timestamp,
};
use durable_pg::{Driver, PgOptions, PgSystemDb, hot::statements};
use tokio::sync::oneshot;

use super::TestDb;

/// The shortest lease there is.
const LEASE: Duration = Duration::from_secs(3);

/// How much later than it may a busy machine does something.
const SLACK: Duration = Duration::from_secs(10);

type Job<D> =
    Box<dyn for<'a> FnOnce(&'a PgSystemDb<D>) -> Pin<Box<dyn Future<Output = ()> + 'a>> + Send>;

/// A process that stands still, as one that was sent SIGSTOP, but for the time that it is given: its connections stay, and nothing of it
/// runs.
struct Process<D: Driver> {
    jobs: mpsc::Sender<Job<D>>,
    claimant: Claimant,
}

impl<D: Driver> Process<D> {
    /// A process in which executor `id` lives.
    async fn start(id: &str, options: PgOptions<D>) -> Self {
        let (jobs, given) = mpsc::channel::<Job<D>>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().expect("a runtime");
            let db = runtime.block_on(options.connect());
            let db = db.expect("the server answers");
            for job in given {
                runtime.block_on(async { job(&db).await });
            }
        });
        let mut process = Self {
            jobs,
            claimant: Claimant {
                executor: id.into(),
                incarnation: 0,
                application: "shop".to_owned(),
                version: "v1".to_owned(),
                runnable: vec![WorkflowKey::function("work")].into(),
                formats: vec!["portable_json".into()].into(),
            },
        };
        let wanted = WantedExecutor {
            id: id.into(),
            given: true,
            application: "shop".to_owned(),
            serves: Serves::default(),
        };
        let joined = process.run(move |db| Box::pin(async move { db.join(&wanted).await }));
        process.claimant.incarnation = joined.await.expect("the id is free").incarnation;
        process
    }

    /// Gives it time for this.
    async fn run<T, F>(&self, job: F) -> T
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a PgSystemDb<D>) -> Pin<Box<dyn Future<Output = T> + 'a>>
            + Send
            + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job<D> = Box::new(move |db| {
            let running = job(db);
            Box::pin(async move {
                let _ = answer.send(running.await);
            })
        });
        self.jobs.send(job).expect("the process is there");
        answered.await.expect("the job ends")
    }

    /// Lets it run for a while.
    async fn live(&self, time: Duration) {
        self.run(move |_| Box::pin(tokio::time::sleep(time))).await;
    }

    /// Starts a workflow there.
    async fn begin(&self, id: &str) -> Owner {
        let new = NewWorkflow {
            id: id.into(),
            key: WorkflowKey::function("work"),
            input: json("{\"positionalArgs\":[],\"namedArgs\":{}}"),
            placement: Placement::Here,
            creator: format!("{id}-token").into(),
            executor: self.claimant.executor.clone(),
            application: "shop".to_owned(),
            version: Some("v1".to_owned()),
            timing: Timing::Unbounded,
            parent: None,
        };
        let owner = Owner {
            workflow: new.id.clone(),
            token: new.creator.clone(),
        };
        self.run(move |db| Box::pin(async move { db.insert_workflow(&new).await.unwrap() }))
            .await;
        owner
    }

    /// What the executors that it takes for dead have left, by their ids.
    async fn abandoned(&self) -> Vec<(WorkflowId, ExecutorId)> {
        let query = AbandonedQuery {
            claimant: self.claimant.clone(),
            own: false,
            after: None,
            limit: 100,
        };
        let found =
            self.run(move |db| Box::pin(async move { db.abandoned(&query).await.unwrap() }));
        let found = found.await.into_iter();
        found.map(|left| (left.workflow, left.executor)).collect()
    }

    /// Waits until it finds this workflow abandoned; how long that took.
    async fn finds(&self, id: &str) -> Duration {
        let begun = Instant::now();
        loop {
            let found = self.abandoned().await;
            if found.iter().any(|(workflow, _)| workflow.as_str() == id) {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < 3 * LEASE + SLACK, "{id} is never found");
            self.live(Duration::from_millis(50)).await;
        }
    }

    /// Adopts a workflow from its owner; whether it could.
    async fn adopts(&self, owner: &Owner) -> bool {
        let adoption = Adoption {
            workflow: owner.workflow.clone(),
            held: Some(owner.token.clone()),
            token: "adopted".into(),
        };
        let claimant = self.claimant.clone();
        let adopted = self.run(move |db| {
            Box::pin(async move { db.adopt(&claimant, &[adoption]).await.unwrap() })
        });
        adopted.await.len() == 1
    }

    async fn records(&self, owner: &Owner) -> Recorded {
        let stamp = StepStamp {
            number: 1,
            name: "step".to_owned(),
            started_at: Timestamp::from_millis(1),
            completed_at: Timestamp::from_millis(2),
        };
        let step: StepRecord = stamp.record(StepResult::Output(json("1")), None);
        let owner = owner.clone();
        self.run(move |db| Box::pin(async move { db.record_step(&owner, &step).await.unwrap() }))
            .await
    }
}

fn json(text: &str) -> Encoded {
    Encoded::new(text, "portable_json")
}

/// How many executors' locks are held.
async fn locks<D: Driver>(database: &TestDb<D>) -> i64 {
    database
        .bare()
        .await
        .number(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        .await
}

/// A process that stands still for longer than its lease loses its work while it holds its lock, and writes nothing of it when it wakes.
pub async fn a_process_that_stands_still_loses_its_work_when_its_lease_ends<D: Driver>() {
    let database = TestDb::<D>::migrated().await;
    let paused = Process::start("paused", database.options().lease(LEASE)).await;
    let survivor = Process::start("survivor", database.options().lease(LEASE)).await;
    let owner = paused.begin("w").await;
    let took = survivor.finds("w").await;
    // It had lived when it was last heard, and a survivor may judge once it has been heard for a lease.
    let least = LEASE.saturating_sub(Duration::from_millis(500));
    assert!(took > least && took < LEASE + SLACK, "{took:?}");
    assert_eq!(locks(&database).await, 2, "the lock is held all the time");
    assert!(survivor.adopts(&owner).await);

    let recorded = paused.records(&owner).await;
    assert!(matches!(recorded, Recorded::Lost(_)), "{recorded:?}");
    let late = owner.clone();
    let finished = paused.run(move |db| {
        Box::pin(async move {
            let outcome = Outcome::Success(json("1"));
            db.finish_workflow(&late, &outcome).await.unwrap()
        })
    });
    let finished = finished.await;
    assert!(matches!(finished, Write::Lost(_)), "{finished:?}");
    let mut bare = database.bare().await;
    let steps = "SELECT count(*) FROM dbos.operation_outputs";
    assert_eq!(bare.number(steps).await, 0, "nothing was written");

    // It goes on with what it has: it is heard again.
    let next = paused.begin("next").await;
    paused.live(Duration::from_secs(1)).await;
    assert_eq!(survivor.abandoned().await, []);
    assert_eq!(paused.records(&next).await, Recorded::Written);
}

/// Only an executor that declared a lease, and let it end, is taken for dead while its lock is held; and only by one that has leases.
pub async fn only_a_lease_that_was_declared_and_has_ended_counts<D: Driver>() {
    let database = TestDb::<D>::migrated().await;
    let options = || database.options().lease(LEASE);
    let without = Process::start("without", options().leases(false)).await;
    let older = Process::start("older", options()).await;
    let patient = Process::start("patient", options().lease(Duration::from_secs(600))).await;
    let lapsed = Process::start("lapsed", options()).await;
    let alive = Process::start("alive", options()).await;
    for process in [&without, &older, &patient, &lapsed, &alive] {
        process.begin(process.claimant.executor.as_str()).await;
    }
    // As one that was written before there were leases.
    let forget = "UPDATE dbos.durable_executors SET lease_ms = NULL WHERE executor_id = 'older'";
    database.bare().await.batch(forget).await;
    let survivor = Process::start("survivor", options()).await;
    let by_lock = Process::start("by-lock", options().leases(false)).await;
    let watching = async {
        survivor.finds("lapsed").await;
        // Everything that may have ended has ended for long now.
        let begun = Instant::now();
        while begun.elapsed() < LEASE {
            let found = survivor.abandoned().await;
            assert_eq!(found, [("lapsed".into(), "lapsed".into())]);
            assert_eq!(by_lock.abandoned().await, []);
            survivor.live(Duration::from_millis(100)).await;
        }
    };
    let living = async {
        loop {
            alive.live(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = watching => {}
        () = living => {}
    }
}

/// While the database is away nobody is heard. When it is back, one that lives is not taken for dead although its lease has ended.
pub async fn after_an_outage_nobody_is_judged_before_all_could_be_heard<D: Driver>() {
    let database = TestDb::<D>::migrated().await;
    let survivor = Process::start("survivor", database.options().lease(LEASE)).await;
    let other = Process::start("other", database.options().lease(LEASE)).await;
    let owner = other.begin("w").await;
    // Until it may judge.
    let both = LEASE + Duration::from_millis(500);
    tokio::join!(survivor.live(both), other.live(both));
    assert_eq!(survivor.abandoned().await, []);
    // Both stand still, which is as if the database were away: nothing of either comes through.
    tokio::time::sleep(LEASE + Duration::from_secs(1)).await;
    let ended = "SELECT count(*) FROM dbos.durable_executors
        WHERE last_seen_epoch_ms + lease_ms < (extract(epoch FROM now()) * 1000.0)::bigint";
    assert_eq!(
        database.bare().await.number(ended).await,
        2,
        "both have ended"
    );
    let back = Instant::now();
    // The survivor is first, and the other is heard late, but within its lease.
    let early = LEASE / 3;
    while back.elapsed() < early {
        assert_eq!(survivor.abandoned().await, [], "after {:?}", back.elapsed());
        survivor.live(Duration::from_millis(50)).await;
    }
    let stays = async {
        while back.elapsed() < 2 * LEASE {
            assert_eq!(survivor.abandoned().await, [], "after {:?}", back.elapsed());
            survivor.live(Duration::from_millis(50)).await;
        }
    };
    tokio::join!(stays, other.live(2 * LEASE));
    assert_eq!(other.records(&owner).await, Recorded::Written);
    // And if it is not heard any more, it is dead after all.
    let took = survivor.finds("w").await;
    assert!(took < LEASE + SLACK, "{took:?}");
}

/// When the sessions break, as in a restart of the server, nobody holds a lock for a moment: nobody is taken for dead because of that.
pub async fn locks_that_a_restart_has_freed_say_nothing<D: Driver>() {
    let database = TestDb::<D>::migrated().await;
    let survivor = Process::start("survivor", database.options()).await;
    let other = Process::start("other", database.options()).await;
    other.begin("w").await;
    let mut bare = database.bare().await;
    let restart = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    bare.number(restart).await;
    while locks(&database).await > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The survivor takes its own lock again, the other has not noticed yet.
    let begun = Instant::now();
    loop {
        let query = AbandonedQuery {
            claimant: survivor.claimant.clone(),
            own: false,
            after: None,
            limit: 100,
        };
        let found = survivor.run(move |db| Box::pin(async move { db.abandoned(&query).await }));
        // A connection of the pool may be gone, too.
        let found = found.await.unwrap_or_default();
        assert_eq!(found, [], "after {:?}", begun.elapsed());
        survivor.live(Duration::from_millis(50)).await;
        if locks(&database).await > 0 && begun.elapsed() > Duration::from_secs(6) {
            break;
        }
        assert!(
            begun.elapsed() < SLACK + SLACK,
            "the lock is never held again"
        );
    }
    other.live(Duration::from_secs(6)).await;
    assert_eq!(locks(&database).await, 2);
}

/// An executor that has left does not look alive: its lease is over, and its id and its work are free.
pub async fn an_executor_that_left_has_no_lease<D: Driver>() {
    let database = TestDb::<D>::migrated().await;
    let gone = Process::start("gone", database.options().lease(Duration::from_secs(600))).await;
    gone.begin("w").await;
    let id = gone.claimant.executor.clone();
    gone.run(move |db| Box::pin(async move { db.leave(&id).await.unwrap() }))
        .await;
    let mut bare = database.bare().await;
    let alive = "SELECT count(*) FROM dbos.durable_executors
        WHERE last_seen_epoch_ms + lease_ms >= (extract(epoch FROM now()) * 1000.0)::bigint";
    assert_eq!(bare.number(alive).await, 0);
    // Its heartbeat does not come back.
    gone.live(Duration::from_millis(500)).await;
    assert_eq!(bare.number(alive).await, 0);
    let next = Process::start("gone", database.options()).await;
    assert_eq!(next.claimant.incarnation, 2);
    assert_eq!(bare.number(alive).await, 1);
}

/// Heartbeats go on while claims of the same executor hold the lock on its row.
pub async fn a_claim_does_not_keep_a_heartbeat_waiting<D: Driver>() {
    let database = TestDb::<D>::migrated().await;
    let process = Process::start("till", database.options().lease(LEASE)).await;
    let mut claiming = database.bare().await;
    let (_, life) = statements()
        .into_iter()
        .find(|(name, _)| *name == "queues::LIFE")
        .expect("what a claim locks first");
    claiming.batch("BEGIN").await;
    let lives = claiming.query(life, &["till".into()]).await;
    assert_eq!(lives.len(), 1);
    let seen = "SELECT last_seen_epoch_ms FROM dbos.durable_executors WHERE executor_id = 'till'";
    let mut bare = database.bare().await;
    let before = bare.number(seen).await;
    process.live(LEASE / 2).await;
    assert!(bare.number(seen).await > before, "it is not heard");
    claiming.batch("ROLLBACK").await;
}
