//! `transfer`, killed between any two statements: sums hold, and each transfer is made once.

use std::{
    fmt,
    time::{Duration, Instant},
};

use durable::{db::SystemDb, sqlite::Sqlite, state::Status};
use durable_testkit::effort;
#[cfg(any(feature = "pg-sqlx", feature = "pg-diesel"))]
use durable_testkit::pg::TestDb;

use crate::{
    process::{finish, kill, start},
    random::Random,
};

const PATIENCE: Duration = Duration::from_secs(120);

/// How many transfers a run makes; each is seven things done: three statements, a commit, a notice and its record, and the end.
const TRANSFERS: u64 = 4;
const THINGS: u64 = 7 * TRANSFERS;

/// How often it is killed in all, in a full run and otherwise.
const KILLS: u64 = 200;
const FEW: u64 = 12;

/// Where the databases are.
struct Bank {
    args: Vec<String>,
}

impl Bank {
    fn run(&self, more: &[&str]) -> std::process::Child {
        let count = TRANSFERS.to_string();
        let own = self.args.iter().map(String::as_str);
        let args: Vec<&str> = own
            .chain(["--count", &count])
            .chain(more.iter().copied())
            .collect();
        start("transfer", &args)
    }
}

/// Kills `transfer` so often, each time in databases of its own: half of the times after a given statement, which is each in its turn, the
/// other half at a random moment.
async fn killed<Make, Made>(
    name: &str,
    mut make: Make,
    db: impl AsyncFn(&Made) -> Box<dyn SystemDb>,
) where
    Make: AsyncFnMut() -> (Bank, Made),
    Made: fmt::Debug,
{
    let full = effort::is_full();
    let kills = if full { KILLS } else { FEW };
    if !full {
        effort::left_out(format_args!(
            "transfer killed on {name}: {FEW} times instead of {KILLS}"
        ));
    }
    let mut random = Random::new();
    // How long a run takes that nobody kills, so that random moments lie in it.
    let (bank, made) = make().await;
    let begin = Instant::now();
    let whole = bank.run(&[]);
    tokio::task::block_in_place(|| finish(whole, PATIENCE));
    let whole = u64::try_from(begin.elapsed().as_millis())
        .unwrap_or(1000)
        .max(1);
    drop(made);
    let mut died = 0;
    for n in 0..kills {
        let (bank, made) = make().await;
        let at = (n / 2 * (THINGS / (kills / 2).min(THINGS)) + random.below(3)) % THINGS + 1;
        if n % 2 == 0 {
            let mut child = bank.run(&["--crash-after", &at.to_string()]);
            let status = tokio::task::block_in_place(|| child.wait()).expect("its status");
            assert!(
                !status.success(),
                "{name}: it did not die after {at}: {}",
                kill(child)
            );
            died += 1;
        } else {
            let child = bank.run(&[]);
            tokio::time::sleep(Duration::from_millis(random.below(whole))).await;
            let printed = kill(child);
            died += u32::from(!printed.contains("at the end"));
        }
        let again = bank.run(&[]);
        let printed = tokio::task::block_in_place(|| finish(again, PATIENCE));
        let end = format!("{TRANSFERS} entries in the ledger, of {TRANSFERS} transfers");
        assert!(
            printed.contains("at the end:   50000 cents") && printed.contains(&end),
            "{name}, killed after {at} or at a random moment ({n}):\n{printed}"
        );
        let db = db(&made).await;
        for n in 0..TRANSFERS {
            let row = db
                .workflow(&format!("transfer-{n}").into())
                .await
                .expect("the row");
            let status = row.map(|row| row.status);
            assert_eq!(
                status,
                Some(Status::Success),
                "{name}: transfer-{n} in {made:?}"
            );
        }
    }
    println!("{name}: killed {died} times before its end, in {kills} runs");
    assert!(
        u64::from(died) > kills / 2,
        "{name}: most runs came to their end before the kill"
    );
}

async fn on_sqlite(name: &str, other: bool) {
    let make = async || {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| dir.path().join(name).display().to_string();
        let mut args = vec!["--db".to_owned(), path("system.db")];
        if other {
            args.extend(["--bank".to_owned(), path("bank.db")]);
        }
        (Bank { args }, dir)
    };
    killed(name, make, async |dir: &tempfile::TempDir| {
        let path = dir.path().join("system.db");
        Box::new(Sqlite::open(path).await.expect("the file opens")) as Box<dyn SystemDb>
    })
    .await;
}

#[cfg(any(feature = "pg-sqlx", feature = "pg-diesel"))]
async fn on_postgres<D: durable_pg::Driver>(name: &str, driver: &str, other: bool) {
    let make = async || {
        let system = TestDb::<D>::migrated().await;
        let mut args = vec!["--db".to_owned(), system.url().to_owned()];
        args.extend(["--driver".to_owned(), driver.to_owned()]);
        let mut bank = None;
        if other {
            let made = TestDb::<D>::empty().await;
            args.extend(["--bank".to_owned(), made.url().to_owned()]);
            bank = Some(made);
        }
        (Bank { args }, (system, bank))
    };
    killed(
        name,
        make,
        async |(system, _): &(TestDb<D>, Option<TestDb<D>>)| {
            let opened = system.options().pool_size(5).connect().await;
            Box::new(opened.expect("the server answers")) as Box<dyn SystemDb>
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_transfer_is_made_once_on_sqlite() {
    on_sqlite("sqlite", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_transfer_is_made_once_on_sqlite_with_the_accounts_in_another_file() {
    on_sqlite("sqlite, two files", true).await;
}

#[cfg(feature = "pg-sqlx")]
#[tokio::test(flavor = "multi_thread")]
async fn every_transfer_is_made_once_on_sqlx() {
    on_postgres::<durable::pg_sqlx::SqlxDriver>("sqlx", "sqlx", false).await;
}

#[cfg(feature = "pg-sqlx")]
#[tokio::test(flavor = "multi_thread")]
async fn every_transfer_is_made_once_on_sqlx_with_the_accounts_in_another_database() {
    on_postgres::<durable::pg_sqlx::SqlxDriver>("sqlx, two databases", "sqlx", true).await;
}

#[cfg(feature = "pg-diesel")]
#[tokio::test(flavor = "multi_thread")]
async fn every_transfer_is_made_once_on_diesel() {
    on_postgres::<durable::pg_diesel::DieselDriver>("diesel", "diesel", false).await;
}

#[cfg(feature = "pg-diesel")]
#[tokio::test(flavor = "multi_thread")]
async fn every_transfer_is_made_once_on_diesel_with_the_accounts_in_another_database() {
    on_postgres::<durable::pg_diesel::DieselDriver>("diesel, two databases", "diesel", true).await;
}

#[test]
fn what_it_says_about_starting_over_works() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let args = vec!["--db".to_owned(), path("my system.db")];
    let args = [args, vec!["--bank".to_owned(), path("bank.db")]].concat();
    let bank = Bank { args };
    let first = finish(bank.run(&[]), PATIENCE);
    assert!(
        first.contains("run it again: nothing is repeated"),
        "{first}"
    );
    let again = finish(bank.run(&[]), PATIENCE);
    assert!(again.contains("nothing ran now"), "{again}");

    let (_, command) = again.split_once("To start over: ").expect("the hint");
    let removed = std::process::Command::new("sh")
        .args(["-c", command])
        .status();
    assert!(removed.expect("a shell").success(), "{command}");
    let left = std::fs::read_dir(dir.path())
        .expect("the directory")
        .count();
    assert_eq!(left, 0, "{command}");
    let anew = finish(bank.run(&[]), PATIENCE);
    assert!(anew.contains("run it again: nothing is repeated"), "{anew}");
}
