//! Where the server of a program's tests comes from, and what is left when the program ends. The programs are this one, started again.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use durable::pg_sqlx::SqlxDriver;
use durable_testkit::pg::{Bare, PgServer, TestDb, VARIABLE, local::Server};

/// Tells the program to be one whose tests ask for a database, and to say what it has.
const CHILD: &str = "DURABLE_TEST_CHILD";

const PATIENCE: Duration = Duration::from_secs(20);

/// A program with these variables besides those that name no server.
fn program(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command
        .args(["--exact", "child", "--nocapture"])
        .env_remove(VARIABLE)
        .env_remove("DATABASE_URL")
        .env(CHILD, "1")
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// One that runs, with the URL of its database.
struct Running {
    child: Child,
    url: String,
    // Whoever prints into a closed pipe ends.
    _output: BufReader<ChildStdout>,
}

fn running(variables: &[(&str, &str)]) -> Running {
    let mut child = program(variables).spawn().expect("this program starts");
    let mut output = BufReader::new(child.stdout.take().expect("its output"));
    let mut url = None;
    let mut line = String::new();
    while url.is_none() && output.read_line(&mut line).expect("it prints") > 0 {
        url = line.strip_prefix("has ").map(|url| url.trim().to_owned());
        line.clear();
    }
    let Some(url) = url else {
        panic!("it has no database: {}", said(child.wait_with_output()));
    };
    Running {
        child,
        url,
        _output: output,
    }
}

impl Running {
    fn kill(mut self) -> String {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it has ended");
        self.url
    }

    /// Lets its test end.
    fn finish(mut self) -> String {
        drop(self.child.stdin.take());
        assert!(self.child.wait().expect("its status").success());
        self.url
    }
}

fn said(output: std::io::Result<std::process::Output>) -> String {
    let output = output.expect("its output");
    let both = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// What such a program says that has no database.
fn failing(variables: &[(&str, &str)]) -> String {
    let output = program(variables).output();
    let said = said(output);
    assert!(!said.contains("has postgres"), "{said}");
    said
}

/// The program: has a database until its input ends.
#[tokio::test]
async fn child() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::var_os(CHILD).is_none() {
        return Ok(());
    }
    let database: TestDb<SqlxDriver> = PgServer::shared().await?.database().await?;
    let mut bare = database.bare().await;
    let found = bare
        .number("SELECT count(*) FROM dbos.workflow_status")
        .await;
    assert_eq!(found, 0, "it is migrated, and empty");
    println!("\nhas {}", database.url());
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

async fn databases(url: &str) -> Vec<String> {
    let mut admin = Bare::<SqlxDriver>::connect(url).await;
    admin
        .texts("SELECT datname::text FROM pg_database WHERE datname LIKE 'durable\\_test\\_%' ORDER BY 1")
        .await
}

fn name(url: &str) -> String {
    let (_, name) = url.rsplit_once('/').expect("a URL");
    name.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_server_of_the_users_own_a_test_leaves_nothing_and_a_killed_one_until_the_next() {
    let server = Server::options().password("s3cret").start().await;
    let url = server.url();
    let given = [("DATABASE_URL", &*url)];
    let killed = name(&running(&given).kill());
    let left = databases(&url).await;
    assert!(left.contains(&killed), "{left:?}");
    // Two at the same time are not in each other's way.
    let (one, two) = (running(&given), running(&given));
    let left = databases(&url).await;
    assert!(!left.contains(&killed), "{left:?}");
    assert!(left.contains(&name(&one.url)), "{left:?}");
    let finished = [one.finish(), two.finish()].map(|url| name(&url));
    let left = databases(&url).await;
    assert!(!left.iter().any(|name| finished.contains(name)), "{left:?}");
    assert_eq!(
        left.len(),
        2,
        "the templates, which go with the next: {left:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_server_is_gone_with_its_program_also_where_that_is_killed() {
    for killed in [false, true] {
        let running = running(&[]);
        assert!(
            running.url.starts_with("postgres://postgres:"),
            "{}",
            running.url
        );
        let mut bare = Bare::<SqlxDriver>::connect(&running.url).await;
        let data = bare.texts("SHOW data_directory").await.remove(0);
        assert!(std::path::Path::new(&data).exists());
        let url = if killed {
            running.kill()
        } else {
            running.finish()
        };
        let begun = Instant::now();
        while std::path::Path::new(&data).exists() {
            assert!(begun.elapsed() < PATIENCE, "{data} is left");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(bare.try_batch("SELECT 1").await.is_err(), "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_server_asks_for_its_password() {
    let running = running(&[]);
    let (_, place) = running.url.rsplit_once('@').expect("a URL");
    let url = format!("postgres://postgres:guess@{place}");
    let error = durable::pg_sqlx::Postgres::connect(&url).await.unwrap_err();
    assert!(error.to_string().contains("password"), "{error}");
    running.finish();
}

#[test]
fn where_no_server_is_it_says_where_it_looked_and_what_helps() {
    let said = failing(&[("DURABLE_TEST_PG_BIN", "/nowhere")]);
    for words in [
        "no Postgres for tests: DATABASE_URL is not set; no local `postgres` (DURABLE_TEST_PG_BIN names /nowhere, where they are not); \
         containers are not tried",
        "  - name a server whose role may create databases: DATABASE_URL=postgres://",
        "  - or install one: `apt-get install postgresql`",
        "  - or have a container started: ",
    ] {
        assert!(said.contains(words), "{words:?} is not in:\n{said}");
    }
}

#[test]
fn where_the_named_server_is_not_to_be_used_it_says_so_without_the_password() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let place = listener.local_addr().expect("it is bound");
    drop(listener);
    let url = format!("postgres://ann:s3cret@{place}/shop");
    let said = failing(&[("DATABASE_URL", &url)]);
    let words = format!("the Postgres server of tests (DATABASE_URL): connecting: {place}");
    assert!(said.contains(&words), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    let said = failing(&[
        ("DATABASE_URL", "mysql://ann:s3cret@db/shop"),
        ("DURABLE_TEST_PG_BIN", "/nowhere"),
    ]);
    assert!(
        said.contains("DATABASE_URL is not a postgres:// URL"),
        "{said}"
    );
    assert!(!said.contains("s3cret"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_create_databases_is_told_so() {
    let server = Server::options().password("s3cret").start().await;
    let mut admin = Bare::<SqlxDriver>::connect(&server.url()).await;
    admin.batch("CREATE ROLE ann LOGIN PASSWORD 's3cret'").await;
    let url = server.url().replace("//postgres:", "//ann:");
    let said = failing(&[("DATABASE_URL", &url)]);
    assert!(said.contains("its role needs CREATEDB"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
}
