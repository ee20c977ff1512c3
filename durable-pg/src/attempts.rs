//! How many dispatches of workflows do not count as crashes: what is stored of that beside the
//! rows, in a table of our own.

use std::collections::{HashMap, HashSet};

use durable_core::{
    ids::{Owner, WorkflowId},
    state::{Attempts, WorkflowRow},
};

use crate::{Driver, Row, changes::lock, error::Failure, transaction::Transaction, value::params};

/// By the primary keys. A row of an earlier workflow of this id is not this one's.
pub(crate) const KNOWN: &str = "
    SELECT w.id, COALESCE(a.excused, 0), COALESCE(a.steps, 0), COALESCE(a.last_excused, 0),
           (SELECT count(*) FROM dbos.operation_outputs AS o WHERE o.workflow_uuid = w.id)
    FROM unnest($1::text[], $2::text[]) AS w (id, incarnation)
    LEFT JOIN LATERAL (
        SELECT d.excused, d.steps, d.last_excused
        FROM dbos.durable_attempts AS d
        WHERE d.workflow_uuid = w.id
          AND d.incarnation = w.incarnation
        OFFSET 0) AS a ON TRUE";

/// By the primary key. The rows of the workflows are locked.
pub(crate) const KEEP: &str = "
    INSERT INTO dbos.durable_attempts (workflow_uuid, incarnation, excused, steps, last_excused)
    SELECT t.id, t.incarnation, t.excused, t.steps, t.last
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
        AS t (id, incarnation, excused, steps, last)
    ON CONFLICT (workflow_uuid) DO UPDATE
        SET incarnation = excluded.incarnation, excused = excluded.excused, steps = excluded.steps,
            last_excused = excluded.last_excused";

/// What is known of the executions of some workflows beside their number, and how many operations
/// are recorded.
type Known = HashMap<WorkflowId, (Attempts, i64)>;

/// What [`KNOWN`] found.
pub(crate) fn known(found: Vec<Row>) -> Result<Known, Failure> {
    let one = |mut row: Row| {
        let id = WorkflowId::from(row.some_text()?);
        let known = Attempts {
            excused: row.some_integer()?,
            steps: row.some_integer()?,
            last: row.some_integer()?,
        };
        Ok((id, (known, row.some_integer()?)))
    };
    found.into_iter().map(one).collect()
}

/// The parameters of [`KNOWN`]: ids and incarnations.
pub(crate) fn asked<'a>(
    rows: impl IntoIterator<Item = &'a WorkflowRow>,
) -> (Vec<Option<&'a str>>, Vec<Option<String>>) {
    let asked = rows.into_iter();
    asked
        .map(|row| (Some(row.id.as_str()), Some(row.incarnation())))
        .unzip()
}

/// Changes what is known of the executions of these rows, which are locked; `change` gets how many
/// operations are recorded. How many dispatches of each do not count.
async fn note<D: Driver>(
    t: &mut Transaction<'_, D>,
    rows: &[&WorkflowRow],
    change: impl Fn(&Attempts, &WorkflowRow, i64) -> Attempts,
) -> Result<HashMap<WorkflowId, i64>, Failure> {
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let (ids, incarnations) = asked(rows.iter().copied());
    let incarnations: Vec<_> = incarnations.iter().map(Option::as_deref).collect();
    let mut before = known(t.query(KNOWN, params![&ids, &incarnations]).await?)?;
    let after: Vec<Attempts> = rows
        .iter()
        .map(|row| {
            let (known, steps) = before.remove(&row.id).unwrap_or_default();
            change(&known, row, steps)
        })
        .collect();
    let column = |of: fn(&Attempts) -> i64| -> Vec<Option<i64>> {
        after.iter().map(|known| Some(of(known))).collect()
    };
    t.query(
        KEEP,
        params![
            &ids,
            &incarnations,
            &column(|known| known.excused),
            &column(|known| known.steps),
            &column(|known| known.last),
        ],
    )
    .await?;
    let excused = rows.iter().zip(&after);
    Ok(excused
        .map(|(row, known)| (row.id.clone(), known.excused))
        .collect())
}

/// Notes one more dispatch of those of these rows that were dispatched before. How many dispatches
/// of each do not count, if any.
pub(crate) async fn dispatched<D: Driver>(
    t: &mut Transaction<'_, D>,
    before: &[WorkflowRow],
    taken: &[WorkflowRow],
) -> Result<HashMap<WorkflowId, i64>, Failure> {
    let taken: HashSet<&WorkflowId> = taken.iter().map(|row| &row.id).collect();
    let again = |row: &&WorkflowRow| row.attempts > 0 && taken.contains(&row.id);
    let again: Vec<_> = before.iter().filter(again).collect();
    note(t, &again, Attempts::dispatched).await
}

/// Notes that a shutdown has ended these executions while nothing of them ran; the workflows that
/// still held their tokens.
pub(crate) async fn release<D: Driver>(
    t: &mut Transaction<'_, D>,
    owners: &[Owner],
) -> Result<Vec<WorkflowId>, Failure> {
    let ids: HashSet<&WorkflowId> = owners.iter().map(|owner| &owner.workflow).collect();
    let ids: Vec<_> = ids.into_iter().cloned().collect();
    let locked = lock(t, &ids).await?;
    let is_held = |owner: &&Owner| {
        let mut rows = locked.rows.iter();
        rows.any(|row| row.id == owner.workflow && row.is_owned_by(&owner.token))
    };
    let held: Vec<_> = owners.iter().filter(is_held).collect();
    let rows = locked.rows.iter();
    let rows: Vec<_> = rows
        .filter(|row| held.iter().any(|owner| owner.workflow == row.id))
        .collect();
    note(t, &rows, |known, row, _| known.released(row)).await?;
    Ok(held.iter().map(|owner| owner.workflow.clone()).collect())
}

/// Notes that these rows were resumed: they count anew.
pub(crate) async fn resumed<D: Driver>(
    t: &mut Transaction<'_, D>,
    rows: &[WorkflowRow],
) -> Result<(), Failure> {
    let rows: Vec<_> = rows.iter().collect();
    note(t, &rows, |_, _, steps| Attempts::resumed(steps)).await?;
    Ok(())
}
