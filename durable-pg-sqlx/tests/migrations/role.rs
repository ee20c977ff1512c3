//! A role that may do what an application does, and one that may not even that.

use durable_core::db::SystemDb as _;
use durable_pg_sqlx::SqlxDriver;
use durable_testkit::{
    conformance,
    pg::{APP_ROLE, PgFactory},
};

use crate::common::{Db, OLD, assert_current, made_by, migration};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_role_with_no_more_than_its_grants_keeps_every_promise_of_a_backend() {
    let report =
        conformance::run(&PgFactory::<SqlxDriver>::new("pg-sqlx as a role").as_app_role()).await;
    assert_eq!(report.passed, conformance::cases().len());
}

#[tokio::test]
async fn a_role_is_granted_what_it_needs_and_no_more() {
    let database = Db::migrated_for_app_role().await;
    let mut bare = database.bare().await;
    let granted = bare
        .texts(&format!(
            "SELECT c.relname || ': ' || string_agg(a.privilege_type, ' ' ORDER BY a.privilege_type)
             FROM pg_class AS c, aclexplode(c.relacl) AS a
             WHERE c.relnamespace = 'dbos'::regnamespace AND a.grantee = '{APP_ROLE}'::regrole
             GROUP BY c.relname ORDER BY 1"
        ))
        .await;
    let written = [
        "application_versions",
        "durable_attempts",
        "durable_executors",
        "durable_served_queues",
        "notifications",
        "operation_outputs",
        "queues",
        "streams",
        "workflow_events",
        "workflow_events_history",
        "workflow_input",
        "workflow_output",
        "workflow_schedules",
        "workflow_status",
    ];
    let mut expected: Vec<String> = written
        .iter()
        .map(|table| format!("{table}: DELETE INSERT SELECT UPDATE"))
        .collect();
    expected.push("dbos_migrations: SELECT".to_owned());
    expected.sort();
    assert_eq!(granted, expected);
    let may = format!(
        "SELECT count(*) FROM pg_roles WHERE has_schema_privilege('{APP_ROLE}', 'dbos', 'CREATE') AND rolname = '{APP_ROLE}'"
    );
    assert_eq!(bare.number(&may).await, 0);
    // Granted once, there is nothing left to grant.
    migration(&database)
        .app_role(APP_ROLE)
        .check()
        .await
        .unwrap();
}

#[tokio::test]
async fn an_older_database_is_migrated_and_its_role_granted_at_once() {
    let database = made_by(OLD).await;
    let as_role = database.app_role_options().await;
    migration(&database).app_role(APP_ROLE).run().await.unwrap();
    assert_current(&mut database.bare().await, "dbos").await;
    let handle = as_role.connect().await.unwrap();
    handle.verify().await.unwrap();
    // Nothing is missing, so a launch with migrations on needs no more rights than one without.
    handle.migrate().await.unwrap();
}

#[tokio::test]
async fn a_role_without_the_rights_is_told_who_must_run_what() {
    for database in [Db::empty().await, made_by(OLD).await] {
        let handle = database.app_role_options().await.connect().await.unwrap();
        let error = handle.migrate().await.unwrap_err().to_string();
        let wanted = format!("role \"{APP_ROLE}\" may not migrate schema \"dbos\"");
        assert!(error.contains(&wanted), "{error}");
        assert!(
            error.contains(&format!(
                "cargo xtask migrate --database-url URL --app-role {APP_ROLE}"
            )),
            "{error}"
        );
        let error = handle.verify().await.unwrap_err().to_string();
        assert!(error.contains("cargo xtask migrate"), "{error}");
    }
}

#[tokio::test]
async fn who_may_not_even_look_is_told_by_name_and_the_schema_is_in_every_hint() {
    let database = Db::empty().await;
    let as_role = || async { database.app_role_options().await.schema("jobs") };
    let handle = as_role().await.connect().await.unwrap();
    let error = handle.verify().await.unwrap_err().to_string();
    assert!(
        error.contains(
            "run `cargo xtask migrate --database-url URL --schema jobs` in a checkout of durable"
        ) && error.contains("or `Postgres::options(URL).schema(\"jobs\").migration()?.run()`"),
        "{error}"
    );
    let owner = database.options().schema("jobs").migration().unwrap();
    owner.run().await.unwrap();
    let verify = handle.verify().await.unwrap_err().to_string();
    let migrate = handle.migrate().await.unwrap_err().to_string();
    let itself = as_role().await.migration().unwrap().check().await;
    let check = itself.unwrap_err().to_string();
    let by_owner = database.options().schema("jobs").migration().unwrap();
    let by_owner = by_owner.app_role(APP_ROLE).check().await.unwrap_err();
    for (error, begin) in [
        (verify, "may not look into schema \"jobs\""),
        (migrate, "may not migrate schema \"jobs\""),
        (check, "may not look into schema \"jobs\""),
        (by_owner.to_string(), "lacks rights"),
    ] {
        assert!(
            error.contains(&format!("role \"{APP_ROLE}\" {begin}"))
                && error.contains(&format!("--schema jobs --app-role {APP_ROLE}")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_launch_finds_a_grant_that_is_missing() {
    let database = Db::migrated_for_app_role().await;
    let as_role = database.app_role_options().await;
    let handle = as_role.connect().await.unwrap();
    handle.verify().await.unwrap();
    let mut bare = database.bare().await;
    bare.batch(&format!(
        "REVOKE DELETE ON dbos.notifications FROM {APP_ROLE}"
    ))
    .await;
    let error = handle.verify().await.unwrap_err().to_string();
    assert!(
        error.contains(&format!(
            "role \"{APP_ROLE}\" may not read and write table dbos.notifications"
        )),
        "{error}"
    );
    assert!(error.contains(&format!("--app-role {APP_ROLE}")), "{error}");
    let check = migration(&database)
        .app_role(APP_ROLE)
        .check()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        check.contains(&format!("role \"{APP_ROLE}\" lacks rights; have a role that owns"))
            && check.contains(&format!(
                "does this:\n  GRANT SELECT, INSERT, UPDATE, DELETE ON \"dbos\".notifications TO \"{APP_ROLE}\""
            )),
        "{check}"
    );
    // The tables are as they are to be.
    assert!(!check.contains("needed"), "{check}");
    // A launch that may migrate has nothing to migrate, and finds it too.
    let error = handle.migrate().await.unwrap_err().to_string();
    assert!(
        error.contains(&format!("role \"{APP_ROLE}\" may not read and write")),
        "{error}"
    );
}

#[tokio::test]
async fn a_role_that_is_not_there_is_named_before_anything_is_done() {
    let database = Db::empty().await;
    let alone = migration(&database).app_role("nobody \"x\"");
    let alone = alone.check_role().await.unwrap_err().to_string();
    let error = migration(&database)
        .app_role("nobody \"x\"")
        .run()
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(alone, error);
    migration(&database).check_role().await.unwrap();
    assert!(
        error.contains("CREATE ROLE \"nobody \"\"x\"\"\" LOGIN"),
        "{error}"
    );
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'dbos'";
    assert_eq!(database.bare().await.number(schemas).await, 0);
}
