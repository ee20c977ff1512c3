//! Removing witnesses that are needed no longer.
//!
//! A transaction that may leave a witness holds a shared advisory lock of its workflow from before
//! its closure until its end ([`hold`]). Whoever removes witnesses takes that lock alone, and
//! leaves those alone where it is not free.

use std::collections::HashMap;

use durable_core::{
    ids::WorkflowId,
    source::{Still, WitnessKey},
};

use super::{Tables, open::PLAN_AS_WE_NEED};
use crate::{Connection as _, Driver, DriverError, core::give_up, value::params};

/// By the primary key.
const FORGET: &str = "
    DELETE FROM dbos.durable_transactions AS w
    WHERE w.workflow_uuid = $1
      AND w.incarnation = $2
      AND w.function_id = $3::bigint::int";

/// By the primary key.
const LIST: &str = "
    SELECT w.workflow_uuid, w.incarnation, w.function_id::bigint
    FROM dbos.durable_transactions AS w
    WHERE (w.workflow_uuid, w.incarnation, w.function_id) > ($1, $2, $3::bigint::int)
    ORDER BY w.workflow_uuid, w.incarnation, w.function_id
    LIMIT $4::bigint";

const LOCK: &str = "SELECT pg_catalog.pg_try_advisory_xact_lock($1::bigint)";

/// A statement that holds the workflow's lock, beside others that do, to the end of the
/// transaction.
pub(super) fn hold(workflow: &WorkflowId) -> String {
    format!(
        "SELECT pg_catalog.pg_advisory_xact_lock_shared({})",
        number(workflow)
    )
}

/// The number that is locked for a workflow: the same in every program. Two workflows of one number
/// only wait for each other.
fn number(workflow: &WorkflowId) -> i64 {
    const NAME: &[u8] = b"durable witnesses ";
    let hash = NAME
        .iter()
        .chain(workflow.as_str().as_bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    i64::from_ne_bytes(hash.to_ne_bytes())
}

pub(super) async fn forget<D: Driver>(
    tables: &Tables<D>,
    keys: &[WitnessKey],
    still: Still<'_>,
) -> Result<(), DriverError> {
    let mut connection = tables.driver.acquire().await?;
    let removed = remove(tables, &mut connection, keys, still).await;
    if let Err(error) = &removed {
        // It may be in a transaction.
        give_up(&mut connection, error);
        connection.discard();
    }
    removed
}

async fn remove<D: Driver>(
    tables: &Tables<D>,
    connection: &mut D::Connection,
    keys: &[WitnessKey],
    still: Still<'_>,
) -> Result<(), DriverError> {
    let begin = format!("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE{PLAN_AS_WE_NEED}");
    tables.answer(connection.batch(&begin)).await?;
    let mut open = Open(connection, true);
    let mut free: HashMap<&WorkflowId, bool> = HashMap::new();
    for key in keys {
        let is_free = if let Some(is_free) = free.get(&key.workflow) {
            *is_free
        } else {
            let text = tables.texts.get(LOCK);
            let parameters = [number(&key.workflow).into()];
            let asked = open.0.query(&text, &parameters);
            let row = tables.answer(asked).await?.pop();
            let mut row = row.ok_or_else(|| DriverError::unlike("a lock gives no row"))?;
            let is_free = row.bool()?;
            free.insert(&key.workflow, is_free);
            is_free
        };
        if is_free {
            let text = tables.texts.get(FORGET);
            let (workflow, incarnation) = (key.workflow.as_str(), key.incarnation.as_str());
            let deleted = open
                .0
                .query(&text, params![workflow, incarnation, i64::from(key.number)])
                .await;
            deleted?;
        }
    }
    let end = if still().await { "COMMIT" } else { "ROLLBACK" };
    tables.answer(open.0.batch(end)).await?;
    open.1 = false;
    Ok(())
}

/// A connection with a transaction that may be open; dropped with it, it is discarded.
struct Open<'a, C: crate::Connection>(&'a mut C, bool);

impl<C: crate::Connection> Drop for Open<'_, C> {
    fn drop(&mut self) {
        if self.1 {
            self.0.discard();
        }
    }
}

pub(super) async fn list<D: Driver>(
    tables: &Tables<D>,
    after: Option<&WitnessKey>,
    limit: usize,
) -> Result<Vec<WitnessKey>, DriverError> {
    let mut connection = tables.driver.acquire().await?;
    let text = tables.texts.get(LIST);
    let (workflow, incarnation, number) = after.map_or(("", "", i64::from(i32::MIN)), |key| {
        let (workflow, incarnation) = (key.workflow.as_str(), key.incarnation.as_str());
        (workflow, incarnation, i64::from(key.number))
    });
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let parameters = [
        workflow.into(),
        incarnation.into(),
        number.into(),
        limit.into(),
    ];
    let asked = connection.query(&text, &parameters);
    let found = tables.answer(asked).await;
    if let Err(error) = &found {
        give_up(&mut connection, error);
    }
    let key = |mut row: crate::Row| {
        Ok(WitnessKey {
            workflow: row.some_text()?.into(),
            incarnation: row.some_text()?,
            number: i32::try_from(row.some_integer()?).unwrap_or_default(),
        })
    };
    found?.into_iter().map(key).collect()
}
