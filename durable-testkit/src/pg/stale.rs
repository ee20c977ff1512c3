//! Connections whose prepared statements are of no use any more: they are given up, and no caller
//! hears of it.

use std::sync::Arc;

use durable_core::db::{Serves, SystemDb, WantedExecutor};
use durable_pg::{Driver, PgSystemDb};
use futures_util::future::join_all;

use super::{
    TestDb,
    prepares::{live, send, start},
};

/// How many connections a pool has at most.
pub const POOL: u32 = 4;

/// Where a handle has its connections from.
pub enum From<'a, D: Driver> {
    /// A pool of its own.
    Url,
    /// A pool of the application, of up to [`POOL`] connections.
    Pool(&'a (dyn Fn(&str) -> D::Pool + Sync)),
}

/// What changes under the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Columns of the system tables are given another type.
    Columns,
    /// A pooler, or somebody who has their sessions, resets them.
    Reset,
}

/// A process goes on after each kind of change as if nothing had been. Panics at the first call
/// that fails.
pub async fn no_call_fails_for_what_was_prepared_before<D: Driver>(
    from: From<'_, D>,
    change: Change,
) {
    let database = TestDb::<D>::migrated().await;
    let options = match from {
        From::Url => database.options().pool_size(POOL),
        From::Pool(pool) => PgSystemDb::pool_options(pool(database.url())),
    };
    let system = options.lanes(1).connect().await;
    let system: Arc<dyn SystemDb> = Arc::new(system.expect("the server answers"));
    let stays = WantedExecutor {
        id: "stays".into(),
        given: true,
        application: "shop".to_owned(),
        serves: Serves::default(),
    };
    system.join(&stays).await.expect("it joins");
    lives(&system, "before").await;
    let mut bare = database.bare().await;
    match change {
        Change::Columns => bare.batch(OTHER_TYPES).await,
        Change::Reset => {
            bare.batch(RESETS).await;
            // The lane's connection, and those of the pool: as many at a time as there are.
            start(&*system, "reset").await;
            let sends = (0..POOL).map(|n| send(&*system, "reset", n));
            join_all(sends).await;
            for table in ["workflow_status", "notifications"] {
                bare.batch(&format!("DROP TRIGGER resets ON dbos.{table}"))
                    .await;
            }
        }
    }
    lives(&system, "after").await;
    system.leave(&stays.id).await.expect("it leaves");
}

/// Several lives at the same time, so that all connections are in use.
async fn lives(system: &Arc<dyn SystemDb>, when: &str) {
    for round in 0..2 {
        let lives = (0..6).map(|n| live(Arc::clone(system), format!("{when}-{round}-{n}")));
        join_all(lives).await;
    }
}

/// Types that are as good, of columns that statements give back.
const OTHER_TYPES: &str = "
    ALTER TABLE dbos.notifications ALTER COLUMN message TYPE varchar;
    ALTER TABLE dbos.operation_outputs ALTER COLUMN function_name TYPE varchar;
    ALTER TABLE dbos.workflow_events ALTER COLUMN value TYPE varchar;
    ALTER TABLE dbos.workflow_status ALTER COLUMN name TYPE varchar;
    ALTER TABLE dbos.workflow_status ALTER COLUMN owner_xid TYPE varchar;
    ALTER TABLE dbos.durable_executors ALTER COLUMN executor_id TYPE varchar";

/// What is written about `reset` deallocates whatever the writing session has prepared, and takes a
/// moment to.
const RESETS: &str = "
    CREATE FUNCTION dbos.resets() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        EXECUTE 'DEALLOCATE ALL';
        PERFORM pg_sleep(0.1);
        RETURN NEW;
    END $$;
    CREATE TRIGGER resets BEFORE INSERT ON dbos.workflow_status
        FOR EACH ROW WHEN (NEW.workflow_uuid = 'reset') EXECUTE FUNCTION dbos.resets();
    CREATE TRIGGER resets BEFORE INSERT ON dbos.notifications
        FOR EACH ROW WHEN (NEW.topic = 'reset') EXECUTE FUNCTION dbos.resets()";
