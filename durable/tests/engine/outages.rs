//! The database goes away and comes back: what the user sees, and how soon the work goes on.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU8, Ordering},
};

use durable::{AppBuilder, DatabaseHealth, Error, prelude::*, state::Status};
use durable_testkit::faults::{Fault, Faulty};
use tokio::time::Instant;

use crate::{
    capture::Captured,
    support::{Tally, World, on_every_backend, until, until_recorded, until_status},
};

#[durable::workflow]
async fn held(ctx: Ctx) -> Result<u8, Error> {
    let tally = ctx.state::<Tally>()?;
    let id = ctx.workflow_id().to_string();
    ctx.step("before", || async { Ok::<_, Error>(()) }).await?;
    ctx.step("after", || async {
        tally.hit(&id);
        tally.pass("gate").await;
        Ok::<_, Error>(())
    })
    .await?;
    Ok(1)
}

/// Calls that only read, or may.
const READS: [&str; 9] = [
    "now",
    "poll",
    "workflow",
    "histories",
    "claim",
    "claimed_by",
    "abandoned",
    "event",
    "expire_deadlines",
];

const UP: u8 = 0;
const AWAY: u8 = 1;
const READ_ONLY: u8 = 2;
/// Reads are answered, claims are not.
const NO_CLAIMS: u8 = 3;

/// A database that a test takes away.
#[derive(Clone, Default)]
struct Switch {
    state: Arc<AtomicU8>,
    /// When a call was answered for the first time since.
    answered: Arc<Mutex<Option<Instant>>>,
}

impl Switch {
    fn turn(&self, state: u8) {
        *self.answered.lock().unwrap() = None;
        self.state.store(state, Ordering::SeqCst);
    }

    fn fault(&self, call: &'static str) -> Fault {
        let fails = match self.state.load(Ordering::SeqCst) {
            AWAY => true,
            READ_ONLY => !READS.contains(&call),
            NO_CLAIMS => call == "claim",
            _ => false,
        };
        if fails {
            return Fault::CallLost;
        }
        let mut answered = self.answered.lock().unwrap();
        answered.get_or_insert_with(Instant::now);
        Fault::None
    }

    async fn builder(&self, world: &World, tally: &Tally) -> AppBuilder {
        let switch = self.clone();
        let db = Faulty::over(world.process().await).failing(move |call| switch.fault(call));
        let builder = world.builder().await.state(tally.clone());
        builder.backend(db).workflow(held)
    }
}

async fn until_away(app: &App) -> DatabaseHealth {
    until("the outage to be seen", || async {
        let health = app.health();
        (health.database != DatabaseHealth::Up).then_some(health.database)
    })
    .await
}

async fn until_up(app: &App) {
    until("the database to be seen", || async {
        (app.health().database == DatabaseHealth::Up).then_some(())
    })
    .await;
}

/// How many workflows wait now.
fn waiting(app: &App) -> usize {
    match app.health().database {
        DatabaseHealth::Away { waiting, .. } => waiting,
        _ => 0,
    }
}

/// Starts so many, and waits until all of them are in the middle of their second step.
async fn start(app: &App, tally: &Tally, count: usize) -> Vec<String> {
    let ids: Vec<String> = (0..count).map(|n| format!("w{n}")).collect();
    for id in &ids {
        app.start(held, ()).id(id.as_str()).await.unwrap();
        tally.reached(id).await;
    }
    ids
}

on_every_backend! {
    async fn an_outage_under_twenty_workflows_is_told_once_and_nothing_fails_or_happens_twice(world) {
        let captured = Captured::here();
        let (switch, tally) = (Switch::default(), Tally::default());
        let app = switch.builder(&world, &tally).await.launch().await.unwrap();
        let ids = start(&app, &tally, 20).await;
        let health = app.health();
        assert_eq!((health.running, health.is_ready()), (20, true), "{health:?}");
        captured.clear();

        switch.turn(AWAY);
        let health = until_away(&app).await;
        assert!(!app.health().is_ready());
        let DatabaseHealth::Away { error, .. } = &health else { panic!("{health:?}") };
        assert!(error.contains("a fault of the testkit"), "{error}");
        tally.open("gate");
        until("all of them to wait", || async { (waiting(&app) == 20).then_some(()) }).await;
        switch.turn(UP);

        for id in &ids {
            assert_eq!(app.handle(held, id.as_str()).result().await.unwrap(), 1);
            assert_eq!(tally.count(id), 1);
            assert_eq!(app.steps(id.as_str()).await.unwrap().len(), 2);
        }
        until_up(&app).await;
        let health = app.health();
        assert_eq!((health.running, health.is_ready()), (0, true), "{health:?}");
        let lines = captured.lines();
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert!(lines[0].starts_with("WARN the database is away"), "{lines:#?}");
        assert!(lines[0].contains("a fault of the testkit"), "{lines:#?}");
        assert!(lines[1].starts_with("INFO the database is back after"), "{lines:#?}");
        assert!(lines[1].contains("; 20 workflows waited for it"), "{lines:#?}");
        app.shutdown(Duration::ZERO).await;
    }

    async fn an_application_that_does_nothing_sees_an_outage_too(world) {
        let captured = Captured::here();
        let (switch, tally) = (Switch::default(), Tally::default());
        let app = switch.builder(&world, &tally).await.queue("work").launch().await.unwrap();
        captured.clear();
        switch.turn(AWAY);
        until_away(&app).await;
        // Long enough that everything that comes again and again has met it.
        until("a while to pass", || async {
            matches!(app.health().database, DatabaseHealth::Away { lasting, .. } if lasting > Duration::from_millis(500)).then_some(())
        }).await;
        switch.turn(UP);
        until_up(&app).await;
        let lines = captured.lines();
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert!(lines[1].contains("; 0 workflows waited for it"), "{lines:#?}");
        app.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn what_fails_once_is_no_outage() {
    let (world, captured) = (World::memory(), Captured::here());
    let tally = Tally::default();
    let lost = Mutex::new(std::collections::BTreeSet::new());
    let plan = move |call| {
        let first = !matches!(call, "migrate" | "now") && lost.lock().unwrap().insert(call);
        if first {
            Fault::AnswerLost
        } else {
            Fault::None
        }
    };
    let db = Faulty::over(world.process().await).failing(plan);
    let builder = world.builder().await.state(tally.clone()).backend(db);
    let app = builder.workflow(held).launch().await.unwrap();
    tally.open("gate");
    let handle = app.start(held, ()).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 1);
    let lines = captured.lines();
    // That of the id which the lost answer to the launch took away is another matter.
    let told = lines.iter().filter(|line| line.contains("database"));
    assert_eq!(told.count(), 0, "{lines:#?}");
    assert!(app.health().is_ready());
}

#[tokio::test]
async fn a_database_that_reads_and_does_not_write_is_away_as_long_as_a_write_waits() {
    let (world, captured) = (World::memory(), Captured::here());
    let (switch, tally) = (Switch::default(), Tally::default());
    let app = switch.builder(&world, &tally).await.launch().await.unwrap();
    start(&app, &tally, 1).await;
    captured.clear();
    switch.turn(READ_ONLY);
    tally.open("gate");
    until_away(&app).await;
    // Reads are answered all the time.
    for _ in 0..20 {
        assert_eq!(
            app.workflow("w0").await.unwrap().status,
            Status::Pending,
            "it is still written"
        );
        assert_ne!(app.health().database, DatabaseHealth::Up);
    }
    switch.turn(UP);
    until_status(&app, "w0", Status::Success).await;
    until_up(&app).await;
    let lines = captured.lines();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(
        lines[1].contains("; 1 workflow waited for it"),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn claims_that_fail_while_reads_are_answered_are_an_outage() {
    let (world, captured) = (World::memory(), Captured::here());
    let (switch, tally) = (Switch::default(), Tally::default());
    let app = switch
        .builder(&world, &tally)
        .await
        .queue("work")
        .launch()
        .await
        .unwrap();
    captured.clear();
    switch.turn(NO_CLAIMS);
    until_away(&app).await;
    for _ in 0..20 {
        app.workflow("nobody").await.unwrap_err();
        assert_ne!(app.health().database, DatabaseHealth::Up);
    }
    switch.turn(UP);
    until_up(&app).await;
    assert_eq!(captured.lines().len(), 2, "{:#?}", captured.lines());
}

#[tokio::test(start_paused = true)]
async fn after_a_long_outage_all_go_on_as_soon_as_one_call_is_answered() {
    let world = World::memory();
    let (switch, tally) = (Switch::default(), Tally::default());
    let builder = switch.builder(&world, &tally).await;
    let app = builder.launch().await.unwrap();
    let ids = start(&app, &tally, 20).await;
    switch.turn(AWAY);
    tally.open("gate");
    // By then each waits for about 10 s between two attempts.
    let minute = Duration::from_secs(60);
    until("a minute to pass", || async {
        matches!(app.health().database, DatabaseHealth::Away { lasting, .. } if lasting > minute)
            .then_some(())
    })
    .await;
    switch.turn(UP);
    for id in &ids {
        assert_eq!(app.handle(held, id.as_str()).result().await.unwrap(), 1);
    }
    let answered = switch
        .answered
        .lock()
        .unwrap()
        .expect("a call was answered");
    // One that was not woken would have come up to 15 s later, on average after 5 s.
    let took = answered.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test]
async fn a_probe_is_told_in_json_and_refused_while_the_application_shuts_down() {
    let world = World::memory();
    let (switch, tally) = (Switch::default(), Tally::default());
    let app = switch.builder(&world, &tally).await.launch().await.unwrap();
    start(&app, &tally, 1).await;
    assert_eq!(
        serde_json::to_string(&app.health()).unwrap(),
        r#"{"database":{"state":"up"},"running":1,"parked":{"count":0,"first":[]},"shutting_down":false}"#
    );
    switch.turn(AWAY);
    until_away(&app).await;
    let json = serde_json::to_value(app.health()).unwrap();
    assert_eq!(json["database"]["state"], "away");
    assert!(json["database"]["for_ms"].is_i64(), "{json}");
    assert!(json["database"]["error"].is_string(), "{json}");
    assert_eq!(json["database"]["waiting"], 0);
    switch.turn(UP);
    until_up(&app).await;
    assert!(app.health().is_ready());
    let (stopping, during) = tokio::join!(app.shutdown(Duration::from_millis(50)), async {
        until("the shutdown to begin", || async {
            app.health().shutting_down.then_some(app.health())
        })
        .await
    });
    let () = stopping;
    assert!(!during.is_ready(), "{during:?}");
    until_recorded_is_unchanged(&app).await;
}

/// The interrupted workflow stays where it was.
async fn until_recorded_is_unchanged(app: &App) {
    until_recorded(app, "w0", 1).await;
    assert_eq!(app.steps("w0").await.unwrap().len(), 1);
    assert_eq!(app.health().running, 0);
}
