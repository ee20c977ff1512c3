//! Databases of older SDKs: what they left is all there, and read as it was.

use durable_core::{
    db::{
        ClaimRequest, Events as _, Executors as _, Queues as _, Serves, StepResult, Steps as _,
        SystemDb as _, Versions as _, Waits, WantedExecutor, Workflows as _,
    },
    ids::Format,
    payload::{Encoded, Ended, Outcome},
    state::claim::Claimant,
};
use durable_pg::FoundSchema;

use crate::common::{
    Db, OLD, assert_current, catalog, counts, made_by, migrate, migration, version,
};

/// Migrates the database, and looks at all that no SDK does differently.
async fn converged(dump: &str, found: FoundSchema) -> Db {
    let database = made_by(dump).await;
    let mut bare = database.bare().await;
    let before = counts(&mut bare).await;
    let report = migrate(&database).await;
    assert_eq!(report.found, found);
    assert_current(&mut bare, "dbos").await;
    assert_eq!(version(&mut bare).await, 125);
    let after = counts(&mut bare).await;
    for (table, count) in before {
        let kept = after
            .iter()
            .find(|(name, _)| *name == table || *name == format!("durable_former_{table}"));
        assert_eq!(kept.map_or(0, |(_, count)| *count), count, "{table}");
    }
    let open = bare
        .number(
            "SELECT count(*) FROM dbos.workflow_status
             WHERE (completed_at IS NULL) <> (status IN ('PENDING', 'ENQUEUED', 'DELAYED'))",
        )
        .await;
    assert_eq!(
        open, 0,
        "what has ended, and nothing else, has the time of its end"
    );
    let again = migrate(&database).await;
    assert!(again.is_empty(), "{:#?}", again.statements);
    database
}

#[tokio::test]
async fn python_2_17_at_version_19() {
    let database = converged(OLD, FoundSchema::Version(19)).await;
    let pickled = |text| Encoded::new(text, "py_pickle");
    read(
        &database,
        &Payloads {
            input: pickled("gASVHQAAAAAAAAB9lCiMBGFyZ3OUSwFLAoaUjAZrd2FyZ3OUfZR1Lg=="),
            output: pickled("gASVDgAAAAAAAAB9lIwFdG90YWyUSypzLg=="),
            error: "gASVKgAAAAAAAACMCGJ1aWx0aW5zlIwKVmFsdWVFcnJvcpSTlIwIbm8gc3RvY2uUhZRSlC4=",
            step: pickled("gARLFS4="),
            event: pickled("gASVDAAAAAAAAAB9lIwDc3VtlEsVcy4="),
        },
    )
    .await;
}

#[tokio::test]
async fn python_2_31_at_version_108() {
    let dump = include_str!("../../../durable-pg/tests-data/older/python-2.31.1.sql");
    let database = converged(dump, FoundSchema::Version(108)).await;
    let pickled = |text| Encoded::new(text, "py_pickle");
    read(
        &database,
        &Payloads {
            input: pickled("gASVHQAAAAAAAAB9lCiMBGFyZ3OUSwFLAoaUjAZrd2FyZ3OUfZR1Lg=="),
            output: pickled("gASVDgAAAAAAAAB9lIwFdG90YWyUSypzLg=="),
            error: "gASVKgAAAAAAAACMCGJ1aWx0aW5zlIwKVmFsdWVFcnJvcpSTlIwIbm8gc3RvY2uUhZRSlC4=",
            step: pickled("gARLFS4="),
            event: pickled("gASVDAAAAAAAAAB9lIwDc3VtlEsVcy4="),
        },
    )
    .await;
}

#[tokio::test]
async fn typescript_3_5_at_version_24() {
    let dump = include_str!("../../../durable-pg/tests-data/older/typescript-3.5.8.sql");
    let database = converged(dump, FoundSchema::Version(24)).await;
    let json = |json| Encoded {
        text: format!(r#"{{"json":{json},"__dbos_serializer":"superjson"}}"#),
        format: None,
    };
    read(
        &database,
        &Payloads {
            input: json("[1,2]"),
            output: json(r#"{"total":42}"#),
            error: "no stock",
            step: json("21"),
            event: json(r#"{"sum":21}"#),
        },
    )
    .await;
}

#[tokio::test]
async fn durare_0_5_at_version_40_of_its_own() {
    let dump = include_str!("../../../durable-pg/tests-data/older/durare-0.5.0.sql");
    let database = converged(dump, FoundSchema::Unnumbered).await;
    let json = |text| Encoded::new(text, "DBOS_JSON");
    read(
        &database,
        &Payloads {
            input: json("MQ=="),
            output: json("eyJ0b3RhbCI6NDJ9"),
            error: "no stock",
            step: json("MjE="),
            event: json("eyJzdW0iOjIxfQ=="),
        },
    )
    .await;
}

/// What the same workflows left, as their SDK encoded it.
struct Payloads {
    input: Encoded,
    output: Encoded,
    error: &'static str,
    step: Encoded,
    event: Encoded,
}

/// Reads all of it as an engine does.
async fn read(database: &Db, wanted: &Payloads) {
    let db = database.options().connect().await.unwrap();
    db.verify().await.unwrap();
    let ids = ["success", "error", "cancelled", "enqueued-3", "pending"];
    let waits = Waits {
        results: ids.map(Into::into).to_vec(),
        ..Waits::default()
    };
    let ends = db.poll(&waits).await.unwrap().results;
    let end = |id: &str| {
        ends.iter()
            .find(|(ended, _)| ended.as_str() == id)
            .map(|(_, end)| end)
    };
    let success = Outcome::Success(wanted.output.clone());
    assert_eq!(end("success"), Some(&Ended::Outcome(success)));
    match end("error") {
        Some(Ended::Outcome(Outcome::Failure(error))) => {
            assert!(error.text.contains(wanted.error), "{error:?}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(end("cancelled"), Some(&Ended::Cancelled));
    assert_eq!(end("enqueued-3"), Some(&Ended::DeadLettered));
    assert_eq!(end("pending"), None);
    let histories = db.histories(&["success".into()]).await.unwrap();
    let step = &histories[0].steps[0];
    assert_eq!(
        (step.name.as_str(), &step.result),
        ("add", &StepResult::Output(wanted.step.clone()))
    );
    let event = db.event(&"success".into(), "state").await.unwrap();
    assert_eq!(event.as_ref(), Some(&wanted.event));
    let input = match &wanted.input.format {
        Some(format) => claimed(&db, format.clone()).await,
        // An SDK that named no format yet has rows that nobody else can run: they wait for its next version.
        None => unclaimed(database).await,
    };
    assert_eq!(input, wanted.input);
}

/// The input of a workflow that waits, as its executor gets it.
async fn claimed(db: &durable_pg_sqlx::Postgres, format: Format) -> Encoded {
    db.register_version("shop", "v1").await.unwrap();
    let waiting = db.workflow(&"enqueued-0".into()).await.unwrap().unwrap();
    let joined = db
        .join(&WantedExecutor {
            id: "reader".into(),
            given: true,
            application: "shop".to_owned(),
            serves: Serves::default(),
        })
        .await
        .unwrap();
    let request = ClaimRequest {
        queue: "elsewhere".to_owned(),
        claimant: Claimant {
            executor: joined.id,
            incarnation: joined.incarnation,
            application: "shop".to_owned(),
            version: "v1".to_owned(),
            runnable: [waiting.key].into(),
            formats: [format].into(),
        },
        tokens: ["a", "b", "c", "d"].map(Into::into).to_vec(),
    };
    let claimed = db.claim(&request).await.unwrap();
    let first = claimed
        .into_iter()
        .find(|claimed| claimed.row.id.as_str() == "enqueued-0");
    first
        .and_then(|claimed| claimed.input)
        .expect("it waits, and has an input")
}

async fn unclaimed(database: &Db) -> Encoded {
    let statement = "SELECT inputs FROM dbos.workflow_status WHERE workflow_uuid = 'enqueued-0'";
    let text = database.bare().await.texts(statement).await.pop();
    Encoded {
        text: text.expect("it is there"),
        format: None,
    }
}

#[tokio::test]
async fn a_primary_key_that_an_old_mistake_left_out_is_made() {
    let database = made_by(OLD).await;
    let mut bare = database.bare().await;
    bare.batch("ALTER TABLE dbos.notifications DROP CONSTRAINT notifications_pkey")
        .await;
    migrate(&database).await;
    assert_current(&mut bare, "dbos").await;
}

#[tokio::test]
async fn keys_and_columns_that_differ_in_name_or_strictness_are_made_alike() {
    let database = made_by(OLD).await;
    let mut bare = database.bare().await;
    bare.batch(
        "ALTER TABLE dbos.application_versions RENAME CONSTRAINT application_versions_version_name_key TO other;
         ALTER TABLE dbos.workflow_status ALTER COLUMN priority DROP NOT NULL, ALTER COLUMN name SET NOT NULL;
         ALTER TABLE dbos.workflow_status ALTER COLUMN serialization SET DEFAULT 'x';
         UPDATE dbos.workflow_status SET priority = NULL;
         ALTER TABLE dbos.streams DROP CONSTRAINT streams_workflow_uuid_fkey;
         DROP TABLE dbos.workflow_events_history",
    )
    .await;
    migrate(&database).await;
    assert_current(&mut bare, "dbos").await;
    assert_eq!(
        bare.number("SELECT max(priority) FROM dbos.workflow_status")
            .await,
        0
    );
}

#[tokio::test]
async fn what_the_application_added_stays() {
    let database = made_by(OLD).await;
    let mut bare = database.bare().await;
    bare.batch(
        "ALTER TABLE dbos.workflow_status ADD COLUMN shop TEXT DEFAULT 'ours';
         CREATE INDEX shop_index ON dbos.workflow_status (shop);
         CREATE TABLE dbos.shop (id INT);
         CREATE FUNCTION dbos.shop() RETURNS INT LANGUAGE sql AS 'SELECT 1'",
    )
    .await;
    migrate(&database).await;
    let found = catalog(&mut bare, "dbos").await;
    for kept in ["shop_index", "\"shop\": [", "'ours'::text"] {
        assert!(found.contains(kept), "{kept}: {found}");
    }
    assert_eq!(bare.number("SELECT dbos.shop()").await, 1);
}

#[tokio::test]
async fn a_table_of_an_older_sdk_that_has_rows_is_kept_under_another_name() {
    let dump = include_str!("../../../durable-pg/tests-data/older/typescript-3.5.8.sql");
    let database = made_by(dump).await;
    let mut bare = database.bare().await;
    bare.batch("INSERT INTO dbos.scheduler_state VALUES ('nightly', 7)")
        .await;
    migrate(&database).await;
    assert_current(&mut bare, "dbos").await;
    let kept = "SELECT last_run_time FROM dbos.durable_former_scheduler_state WHERE workflow_fn_name = 'nightly'";
    assert_eq!(bare.number(kept).await, 7);
    let gone = "SELECT count(*) FROM pg_class WHERE relname LIKE '%workflow_queue'";
    assert_eq!(bare.number(gone).await, 0);
}

#[tokio::test]
async fn many_rows_are_given_their_end_in_portions() {
    let database = made_by(OLD).await;
    let mut bare = database.bare().await;
    bare.batch(
        "INSERT INTO dbos.workflow_status (workflow_uuid, status, name, updated_at)
         SELECT 'many-' || n, CASE n % 2 WHEN 0 THEN 'SUCCESS' ELSE 'PENDING' END, 'x', n FROM generate_series(1, 12000) AS n",
    )
    .await;
    migrate(&database).await;
    let ended =
        "SELECT count(*) FROM dbos.workflow_status WHERE name = 'x' AND completed_at = updated_at";
    assert_eq!(bare.number(ended).await, 6000);
    let open =
        "SELECT count(*) FROM dbos.workflow_status WHERE name = 'x' AND completed_at IS NULL";
    assert_eq!(bare.number(open).await, 6000);
}

#[tokio::test]
async fn an_older_database_is_not_current_and_a_check_says_so() {
    let database = made_by(OLD).await;
    let error = migration(&database).check().await.unwrap_err().to_string();
    assert!(
        error.contains("of version 19, and version 125 is needed"),
        "{error}"
    );
    let handle = database.options().connect().await.unwrap();
    let error = handle.verify().await.unwrap_err().to_string();
    assert!(
        error.contains("of version 19") && error.contains("cargo xtask migrate"),
        "{error}"
    );
    handle.migrate().await.unwrap();
    handle.verify().await.unwrap();
    migration(&database).check().await.unwrap();
}

#[tokio::test]
async fn a_process_that_still_writes_as_older_sdks_do_is_seen() {
    let database = made_by(OLD).await;
    let mut bare = database.bare().await;
    migrate(&database).await;
    let old =
        "SELECT count(*) FROM dbos.workflow_status WHERE output IS NOT NULL AND status = 'SUCCESS'";
    assert!(bare.number(old).await > 0);
    let found = async || migration(&database).older_sdks().await.unwrap();
    assert_eq!(found().await, None, "what was there before says nothing");

    let now = "(EXTRACT(epoch FROM now()) * 1000)::bigint";
    let ended = |id: &str, columns: &str, values: &str| {
        format!(
            "INSERT INTO dbos.workflow_status (workflow_uuid, status, name, created_at, updated_at, {columns})
             VALUES ('{id}', 'SUCCESS', 'x', {now}, {now} + 5, {values})"
        )
    };
    // One that a newer SDK ran, and one that it forked from an old one.
    bare.batch("INSERT INTO dbos.workflow_input (workflow_uuid, inputs) VALUES ('new', '1')")
        .await;
    bare.batch(&ended("new", "completed_at", &format!("{now} + 5")))
        .await;
    bare.batch("INSERT INTO dbos.workflow_output (workflow_uuid, output) VALUES ('new', '1')")
        .await;
    bare.batch(&ended("fork", "inputs", "'1'")).await;
    assert_eq!(found().await, None);

    // An older SDK does not know `completed_at` either.
    bare.batch(&ended(
        "theirs",
        "output, application_name",
        "'2', 'billing'",
    ))
    .await;
    let told = found().await.expect("it is seen");
    for words in [
        "1 workflow of application \"billing\"",
        "\"theirs\" is one",
        "dbos 3.0.0",
        "dbos-sdk 5.0.2",
    ] {
        assert!(told.contains(words), "{told}");
    }
    migration(&database).check().await.unwrap();
}
