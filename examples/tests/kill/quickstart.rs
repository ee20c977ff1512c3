//! The quickstart, killed at random moments.

use std::{collections::BTreeMap, path::Path, time::Duration};

use durable::{
    db::{Steps, Workflows},
    prelude::*,
    sqlite::Sqlite,
    state::Status,
};

use crate::{
    process::{finish, kill, start, start_with},
    random::Random,
};

const STEPS: [&str; 5] = [
    "reserve stock",
    "charge card",
    "pack parcel",
    "hand to carrier",
    "thank customer",
];
const PATIENCE: Duration = Duration::from_secs(60);

struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self { dir }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn start(&self, order: &str, more: &[&str]) -> std::process::Child {
        let (db, effects) = (self.path("shop.db"), self.path("effects"));
        let args = [
            "--db",
            &db,
            "--effects",
            &effects,
            "--order",
            order,
            "--pace",
            "15",
        ];
        start("quickstart", &[&args, more].concat())
    }

    /// How often each `order/step` took effect.
    fn effects(&self) -> BTreeMap<String, usize> {
        let text = std::fs::read_to_string(self.path("effects")).unwrap_or_default();
        let mut counts = BTreeMap::new();
        for line in text.lines() {
            let key = line.split('\t').next().unwrap_or_default().to_owned();
            *counts.entry(key).or_default() += 1;
        }
        counts
    }

    /// An order's status, and the names of its recorded operations.
    async fn look(&self, order: &str) -> Option<(Status, Vec<String>)> {
        if !Path::new(&self.path("shop.db")).exists() {
            return None;
        }
        let db = Sqlite::open(self.path("shop.db"))
            .await
            .expect("the file opens");
        durable::db::SystemDb::migrate(&db)
            .await
            .expect("the schema");
        let row = db.workflow(&order.into()).await.expect("the row")?;
        let histories = db.histories(&[order.into()]).await.expect("the steps");
        let steps = histories.into_iter().flat_map(|history| history.steps);
        Some((row.status, steps.map(|step| step.name).collect()))
    }
}

/// Steps whose bodies ran, by what the process printed.
fn ran(printed: &str) -> Vec<&str> {
    let lines = printed.lines().filter(|line| line.contains("running"));
    lines
        .filter_map(|line| STEPS.into_iter().find(|step| line.contains(step)))
        .collect()
}

#[tokio::test]
async fn killed_at_50_random_moments_it_repeats_no_recorded_step_and_loses_nothing() {
    let files = Files::new();
    let mut random = Random::new();
    let mut recorded_at_kill = BTreeMap::<usize, usize>::new();
    for n in 0..50 {
        let order = format!("order-{n}");
        let child = files.start(&order, &[]);
        tokio::time::sleep(Duration::from_millis(random.below(150))).await;
        let printed = kill(child);
        let before = files.look(&order).await;
        // What was acknowledged is there.
        if printed.contains(&format!("{order} begins")) {
            assert!(before.is_some(), "{order} was acknowledged and is lost");
        }
        let recorded = before.map(|(_, steps)| steps).unwrap_or_default();
        *recorded_at_kill.entry(recorded.len()).or_default() += 1;

        let printed = finish(files.start(&order, &[]), PATIENCE);
        for step in ran(&printed) {
            assert!(
                !recorded.iter().any(|name| name == step),
                "{order}: {step} was recorded and ran again:\n{printed}"
            );
        }
        let (status, steps) = files.look(&order).await.expect("the order");
        assert_eq!(
            (status, steps.len()),
            (Status::Success, STEPS.len() + 1),
            "{order}: {steps:?}"
        );
    }
    println!("operations recorded when it was killed, and how often: {recorded_at_kill:?}");
    assert!(
        recorded_at_kill.len() >= 4,
        "the kills came all at the same place: {recorded_at_kill:?}"
    );
    let effects = files.effects();
    for n in 0..50 {
        assert_eq!(
            files
                .look(&format!("order-{n}"))
                .await
                .expect("the order")
                .0,
            Status::Success
        );
        for step in STEPS {
            assert_eq!(
                effects.get(&format!("order-{n}/{step}")),
                Some(&1),
                "order-{n}/{step}"
            );
        }
    }
    assert_eq!(effects.len(), 50 * STEPS.len());
}

#[tokio::test]
async fn it_crashes_after_each_step_on_request_and_goes_on() {
    let files = Files::new();
    for step in STEPS {
        let crashed = kill_after(&files, step);
        assert!(
            crashed.lines().any(|line| line.starts_with("  order-1 ")
                && line.ends_with(&format!("  {step:<16} recorded"))),
            "{crashed}"
        );
    }
    let printed = finish(files.start("order-1", &[]), PATIENCE);
    assert!(printed.contains("order order-1 is fulfilled"), "{printed}");
    assert_eq!(ran(&printed), Vec::<&str>::new());
    assert_eq!(files.effects().len(), STEPS.len());
    assert!(
        printed.contains("run it again: nothing is repeated"),
        "{printed}"
    );
    let done = finish(files.start("order-1", &[]), PATIENCE);
    assert!(done.contains("order order-1 is fulfilled"), "{done}");
    assert!(done.contains("done before, so nothing ran now"), "{done}");
}

fn kill_after(files: &Files, step: &str) -> String {
    let mut child = files.start("order-1", &["--crash-after", step]);
    let status = child.wait().expect("its status");
    assert!(!status.success(), "it did not crash after {step}");
    kill(child)
}

#[tokio::test]
async fn it_says_whose_steps_it_runs_when_it_takes_up_another_order() {
    let files = Files::new();
    kill_after(&files, "charge card");
    // It runs until the other order is done too: that has fewer steps to go.
    let printed = finish(files.start("order-2", &["--pace", "60"]), PATIENCE);
    let words = ["running", "recorded", "replayed"];
    let mut lines = BTreeMap::<&str, usize>::new();
    for line in printed.lines().filter(|line| line.starts_with("  ")) {
        if words.iter().any(|word| line.contains(word)) {
            let order = line.split_whitespace().next().unwrap_or_default();
            *lines.entry(order).or_default() += 1;
        }
    }
    let orders: Vec<_> = lines.keys().copied().collect();
    assert_eq!(orders, ["order-1", "order-2"], "{printed}");
}

#[test]
fn a_step_of_another_order_is_no_reason_to_crash() {
    let files = Files::new();
    kill_after(&files, "reserve stock");
    let child = files.start(
        "order-2",
        &["--crash-after", "thank customer", "--pace", "60"],
    );
    let printed = kill(child_at_its_end(child));
    assert!(
        printed.contains("order-1  6  thank customer   recorded")
            && printed.contains("order-2  6  thank customer   recorded"),
        "{printed}"
    );
}

#[test]
fn the_first_line_names_the_database_without_its_password() {
    let files = Files::new();
    let printed = finish(files.start("order-1", &[]), PATIENCE);
    let first = printed.lines().next().unwrap_or_default();
    assert_eq!(first, format!("on {} (SQLite)", files.path("shop.db")));
    if cfg!(feature = "pg-sqlx") {
        for (url, shown) in [
            (
                "postgres://ann:hunter2@127.0.0.1:1/shop?x=hunter2",
                "...@127.0.0.1:1/shop",
            ),
            (
                "postgres://127.0.0.1:1/shop?password=hunter2",
                "127.0.0.1:1/shop",
            ),
            ("postgres://ann@127.0.0.1:1/shop?password=hunter2@x", "..."),
        ] {
            let printed = kill(child_at_its_end(start_with(
                "quickstart",
                &[("DATABASE_URL", url)],
            )));
            let first = printed.lines().next().unwrap_or_default();
            assert_eq!(first, format!("on postgres://{shown} (sqlx)"));
            assert!(!printed.contains("hunter2"), "{printed}");
        }
    }
}

/// Waits for a process to end, however it does.
fn child_at_its_end(mut child: std::process::Child) -> std::process::Child {
    child.wait().expect("its status");
    child
}

#[test]
fn a_database_that_is_named_and_cannot_be_used_is_refused() {
    for (url, words) in [
        ("", "DATABASE_URL is set, and empty: unset it"),
        (
            "postgre://ann:hunter2@db/shop",
            "DATABASE_URL begins with postgre://",
        ),
        ("mysql://ann:hunter2@db/shop", "begins with mysql://"),
        ("ann:hunter2@db/shop", "DATABASE_URL is no URL"),
        ("postgres:/db/shop", "DATABASE_URL is no URL"),
    ] {
        let output = start_with("quickstart", &[("DATABASE_URL", url)]).wait_with_output();
        let output = output.expect("its output");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert_eq!(output.status.code(), Some(2), "{url}: {text}");
        assert!(text.contains(words) && !text.contains("hunter2"), "{text}");
    }
    if cfg!(not(feature = "pg-sqlx")) {
        let url = "postgres://127.0.0.1:1/shop";
        let printed = kill(child_at_its_end(start_with(
            "quickstart",
            &[("DATABASE_URL", url)],
        )));
        assert!(printed.contains("--features pg-sqlx"), "{printed}");
    }
}

#[tokio::test]
async fn two_at_once_on_one_file_do_no_harm() {
    let files = Files::new();
    let (first, second) = (files.start("order-1", &[]), files.start("order-1", &[]));
    let first = finish(first, PATIENCE);
    let second = finish(second, PATIENCE);
    for printed in [&first, &second] {
        assert!(printed.contains("order order-1 is fulfilled"), "{printed}");
    }
    assert_eq!(
        ran(&first).len() + ran(&second).len(),
        STEPS.len(),
        "{first}\n{second}"
    );
    assert!(files.effects().values().all(|count| *count == 1));
    let (status, _) = files.look("order-1").await.expect("the order");
    assert_eq!(status, Status::Success);
}

/// The quickstart's workflow as it was before somebody edited it.
#[durable::workflow(name = "fulfil")]
async fn before_the_edit(ctx: Ctx, _order: String) -> Result<(), durable::Error> {
    ctx.sleep(Duration::from_secs(3600)).await
}

// This thread waits for processes without a runtime's knowledge; with one thread alone, a write of the app that is under way would hold
// the file's lock meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_an_edited_workflow_waits_and_the_ways_out_are_told() {
    let files = Files::new();
    let database = Sqlite::open(files.path("shop.db")).await.unwrap();
    let app = App::builder("quickstart")
        .version("before")
        .backend(database)
        .workflow(before_the_edit);
    let app = app.launch().await.unwrap();
    let begun = app.start(before_the_edit, String::new()).id("order-1");
    begun.await.unwrap();
    app.shutdown(Duration::ZERO).await;
    drop(app);

    let output = files.start("order-1", &[]).wait_with_output();
    let output = output.expect("its output");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert_eq!(output.status.code(), Some(3), "{text}");
    for words in [
        "order order-1 was begun by another version of this workflow, so it waits",
        "1 unfinished workflow of version before will not run here",
        r#"launch this code as `.version("before")`"#,
        "cancel them",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
    finish(files.start("order-2", &[]), PATIENCE);
    let statuses = (files.look("order-1").await, files.look("order-2").await);
    let statuses = (statuses.0.unwrap().0, statuses.1.unwrap().0);
    assert_eq!(statuses, (Status::Pending, Status::Success));
}

#[tokio::test]
async fn wrong_arguments_are_told_with_the_right_ones() {
    for (args, words) in [
        (
            &["--pace", "fast"] as &[&str],
            "--pace \"fast\" is no number",
        ),
        (&["--speed", "1"], "--speed is unknown"),
        (&["--order"], "--order needs a value"),
        (
            &["--crash-after", "lunch"],
            "no step \"lunch\"; there is \"reserve stock\", \"charge card\"",
        ),
    ] {
        let output = start("quickstart", args)
            .wait_with_output()
            .expect("its output");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(
            text.contains(words) && text.contains("--crash-after STEP"),
            "{text}"
        );
    }
}
