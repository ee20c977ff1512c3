//! What a user is told where a database cannot be opened: each reason with what helps against that, and not against others.

use durable_core::db::{DbError, SystemDb as _};
use durable_pg::{Driver, PgSystemDb};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{APP_ROLE, TestDb, as_app_role, with_database};

/// Opens a database in ways that fail. Panics where the error does not name the reason and the advice.
pub async fn each_reason_comes_with_its_advice<D: Driver>() {
    let database = TestDb::<D>::empty().await;
    let url = database.url();
    drop(database.app_role_options().await);
    let mut bare = database.bare().await;
    let name = database.name();
    bare.batch(&format!("ALTER DATABASE {name} CONNECTION LIMIT 0"))
        .await;
    let nobody = as_app_role(url).replace(APP_ROLE, "durable_test_nobody");
    // Where passwords are asked for it is not told who there is.
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let login = rest.split_once('@').map(|(login, _)| login);
    let asks = login.is_some_and(|login| login.contains(':'));
    let (no_such_role, its_advice) = if asks {
        (r#"user "durable_test_nobody""#, "mend the role's password")
    } else {
        (r#"role "durable_test_nobody""#, "make the role")
    };
    let nowhere = unused().await;
    let mut cases = vec![
        (
            with_database(url, "durable_no_such"),
            r#"database "durable_no_such" does not exist"#,
            "make the database by CREATE DATABASE",
        ),
        (nobody, no_such_role, its_advice),
        (
            as_app_role(url),
            "too many connections",
            "smaller (`pool_size`",
        ),
        (nowhere, "refused", "no server listens there"),
    ];
    for greeting in ["HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-x\r\n", ""] {
        for mode in ["disable", "prefer", "require"] {
            let url = format!("{}?sslmode={mode}", peer(greeting).await);
            // A driver that must encrypt takes any answer but one for a server that cannot.
            let encrypts = mode == "require" && greeting.starts_with('H');
            let advice = if encrypts {
                "; "
            } else {
                "not a Postgres server"
            };
            cases.push((url, "cannot connect", advice));
        }
    }
    let mut wrong = Vec::new();
    for (url, reason, advice) in cases {
        let opened = PgSystemDb::<D>::connect(&url).await;
        let error = opened.expect_err("it cannot be opened").to_string();
        if !error.contains(reason) || !error.contains(advice) {
            wrong.push(format!("{url}: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", D::NAME, wrong.join("\n"));
}

/// Opens databases whose encoding cannot hold every text. Panics where one is not refused, in words, whatever is asked first.
pub async fn a_database_that_cannot_hold_every_text_is_refused<D: Driver>() {
    let database = TestDb::<D>::empty().await;
    let mut bare = database.bare().await;
    let mut wrong = Vec::new();
    for encoding in ["SQL_ASCII", "LATIN1"] {
        let name = format!("{}_{}", database.name(), encoding.to_lowercase());
        bare.batch(&format!(
            "CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        ))
        .await;
        let url = with_database(database.url(), &name);
        let options = || PgSystemDb::<D>::options(&url);
        let handle = options().connect().await.expect("the server answers");
        let migration = || options().migration().expect("the URL is right");
        for (call, answer) in [
            ("migrate", handle.migrate().await),
            ("verify", handle.verify().await),
            ("run", migration().run().await.map(drop)),
            ("dry run", migration().dry_run().await.map(drop)),
            ("check", migration().check().await),
        ] {
            match answer {
                Err(DbError::Refused(why))
                    if [encoding, "encoding UTF8", name.as_str()]
                        .iter()
                        .all(|words| why.contains(words)) => {}
                other => wrong.push(format!("{encoding}, {call}: {other:?}")),
            }
        }
        drop(handle);
        bare.batch(&format!("DROP DATABASE {name} WITH (FORCE)"))
            .await;
    }
    assert!(wrong.is_empty(), "{}:\n{}", D::NAME, wrong.join("\n"));
}

/// The URL of a port on which nobody listens.
async fn unused() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    format!("postgres://ann@127.0.0.1:{port}/shop?sslmode=disable")
}

/// The URL of a program that is no Postgres server: it hears something, says this, and hangs up.
async fn peer(greeting: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut heard = [0; 64];
            let _ = client.read(&mut heard).await;
            let _ = client.write_all(greeting.as_bytes()).await;
        }
    });
    format!("postgres://ann@127.0.0.1:{port}/shop")
}
