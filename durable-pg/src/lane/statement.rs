//! The statement of a batch: as much of it as the batch needs.
//!
//! Its parts see one snapshot, and none sees what another writes; that is no obstacle, as a workflow's steps are never in the batch of
//! its start. `owner` locks the rows of all workflows that steps, outcomes and child starts belong to, in the order of their ids, and gives
//! each as it is committed last, not as the snapshot has it: so nothing can come between the check of a token and the write. Rows that
//! another transaction holds are skipped, and their writes go alone.
//!
//! What a part cannot write (the token is another, the number or the id is taken) it leaves out; the answer tells what was written.
//! A child is started only together with its step: the last column divides by zero where that would not be so, and the batch fails whole.
//!
//! It rides on primary keys only, each asked by an array, so that no plan depends on how large a table is thought to be.
//!
//! The server sets up each part of a statement at every run, also one that has nothing to write; a lone step would cost as much for what
//! it is not as for what it is.

use crate::rows::now_ms;

/// The steps. `$1` to `$11`.
macro_rules! steps {
    () => {
        "WITH owner AS MATERIALIZED (
    SELECT s.workflow_uuid AS id, s.status, s.owner_xid AS token, s.application_name AS application
    FROM dbos.workflow_status AS s
    WHERE s.workflow_uuid = ANY ($1::text[])
    ORDER BY s.workflow_uuid
    FOR NO KEY UPDATE SKIP LOCKED
),
step AS (
    INSERT INTO dbos.operation_outputs (
        workflow_uuid, function_id, function_name, output, error, serialization, child_workflow_id,
        started_at_epoch_ms, completed_at_epoch_ms, application_name)
    SELECT t.workflow, t.number::int, t.name, t.output, t.error, t.format, t.child, t.started, t.completed, o.application
    FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                $10::bigint[], $11::bigint[])
        AS t (workflow, token, number, name, output, error, format, child, started, completed)
    JOIN owner AS o ON o.id = t.workflow AND o.token = t.token
    WHERE o.status = 'PENDING'
    ON CONFLICT (workflow_uuid, function_id) DO NOTHING
    RETURNING workflow_uuid, function_id
)"
    };
}

/// The outcomes. `$12` to `$16`.
macro_rules! outcomes {
    () => {
        concat!(
            ",
finish AS (
    UPDATE dbos.workflow_status AS s
    SET status = t.status, owner_xid = NULL, deduplication_id = NULL, updated_at = ",
            now_ms!(),
            ", completed_at = ",
            now_ms!(),
            ", serialization = COALESCE(t.format, s.serialization)
    FROM unnest($12::text[], $13::text[], $14::text[], $15::text[], $16::text[])
        AS t (workflow, token, status, payload, format)
    JOIN owner AS o ON o.id = t.workflow AND o.token = t.token
    WHERE s.workflow_uuid = ANY ($12::text[])
      AND s.workflow_uuid = t.workflow
      AND s.status = 'PENDING'
      AND s.owner_xid = t.token
    RETURNING s.workflow_uuid, s.queue_name, t.status, t.payload
),
outcome AS (
    INSERT INTO dbos.workflow_output (workflow_uuid, output, error)
    SELECT f.workflow_uuid,
           CASE WHEN f.status = 'SUCCESS' THEN f.payload END,
           CASE WHEN f.status <> 'SUCCESS' THEN f.payload END
    FROM finish AS f
    ON CONFLICT (workflow_uuid) DO UPDATE
        SET output = excluded.output, error = excluded.error
)"
        )
    };
}

/// The starts: their columns as arrays, the names of these, what else holds for each, and the array of their ids.
macro_rules! starts {
    ($columns:literal, $names:literal, $condition:literal, $ids:literal) => {
        concat!(
            "
start AS MATERIALIZED (
    SELECT t.*, greatest(",
            now_ms!(),
            ", t.floor) + t.place AS created
    FROM unnest(",
            $columns,
            ")
        AS t (",
            $names,
            ")",
            $condition,
            "
),
started AS (
    INSERT INTO dbos.workflow_status (
        workflow_uuid, status, name, class_name, config_name, application_id, application_name, application_version,
        executor_id, owner_xid, creator_xid, recovery_attempts, queue_name, priority, workflow_timeout_ms,
        workflow_deadline_epoch_ms, parent_workflow_id, serialization, created_at, updated_at)
    SELECT t.id, t.status, t.name, t.class, t.config, '', t.application, t.version, t.executor, t.owner, t.creator, t.attempts,
           t.queue, t.priority::int, t.timeout,
           CASE
               WHEN t.deadline IS NOT NULL OR t.status <> 'PENDING' THEN t.deadline
               WHEN t.timeout > 9223372036854775807 - t.created THEN 9223372036854775807
               ELSE t.created + t.timeout
           END,
           t.parent, t.format, t.created, t.created
    FROM start AS t
    ORDER BY t.id
    ON CONFLICT (workflow_uuid) DO NOTHING
    RETURNING workflow_uuid, created_at, workflow_deadline_epoch_ms
),
input AS (
    INSERT INTO dbos.workflow_input (workflow_uuid, inputs)
    SELECT t.id, t.input
    FROM started AS s
    JOIN start AS t ON t.id = s.workflow_uuid
    ON CONFLICT (workflow_uuid) DO UPDATE
        SET inputs = excluded.inputs, retention_timestamp = excluded.retention_timestamp
),
stale_steps AS (
    DELETE FROM dbos.operation_outputs AS stale
    WHERE stale.workflow_uuid = ANY (",
            $ids,
            "::text[])
      AND stale.workflow_uuid IN (SELECT s.workflow_uuid FROM started AS s)
),
stale_outcome AS (
    DELETE FROM dbos.workflow_output AS stale
    WHERE stale.workflow_uuid = ANY (",
            $ids,
            "::text[])
      AND stale.workflow_uuid IN (SELECT s.workflow_uuid FROM started AS s)
)"
        )
    };
}

/// The steps of those who start children. `$37` to `$42` are among the columns of the starts.
macro_rules! child_steps {
    () => {
        ",
child AS (
    SELECT t.*
    FROM started AS s
    JOIN start AS t ON t.id = s.workflow_uuid
    WHERE t.caller IS NOT NULL
),
child_step AS (
    INSERT INTO dbos.operation_outputs (
        workflow_uuid, function_id, function_name, child_workflow_id, started_at_epoch_ms, completed_at_epoch_ms,
        application_name)
    SELECT c.caller, c.number::int, c.step, c.id, c.began, c.ended, o.application
    FROM child AS c
    JOIN owner AS o ON o.id = c.caller
    ON CONFLICT (workflow_uuid, function_id) DO NOTHING
    RETURNING workflow_uuid
)"
    };
}

/// The steps that were written, where some were not.
macro_rules! some_steps {
    () => {
        "
UNION ALL
SELECT 1, s.workflow_uuid, s.function_id::bigint, NULL
FROM step AS s
WHERE (SELECT count(*) FROM step) <> cardinality($2::text[])"
    };
}

/// The outcomes that were written, where some were not or came from a queue.
macro_rules! some_outcomes {
    () => {
        "
UNION ALL
SELECT 2, f.workflow_uuid, (f.queue_name IS NOT NULL)::int::bigint, NULL
FROM finish AS f
WHERE f.queue_name IS NOT NULL
   OR (SELECT count(*) FROM finish) <> cardinality($12::text[])"
    };
}

/// A batch of steps only.
pub(crate) const WRITE_STEPS: &str = concat!(
    steps!(),
    "
SELECT 0::bigint, NULL::text, (SELECT count(*) FROM step), 0::bigint",
    some_steps!()
);

/// A batch of steps and outcomes.
pub(crate) const WRITE_ENDS: &str = concat!(
    steps!(),
    outcomes!(),
    "
SELECT 0::bigint, NULL::text, (SELECT count(*) FROM step), (SELECT count(*) FROM finish)",
    some_steps!(),
    some_outcomes!()
);

/// A batch of starts that no workflow makes.
pub(crate) const WRITE_STARTS: &str = concat!(
    "WITH",
    starts!(
        "$1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                $10::text[], $11::bigint[], $12::text[], $13::bigint[], $14::bigint[], $15::bigint[], $16::text[],
                $17::text[], $18::text[], $19::bigint[], $20::bigint[]",
        "id, status, name, class, config, application, version, executor, owner, creator, attempts, queue, priority,
              timeout, deadline, parent, format, input, floor, place",
        "",
        "$1"
    ),
    "
SELECT 3::bigint, s.workflow_uuid, s.created_at, s.workflow_deadline_epoch_ms
FROM started AS s"
);

/// Any batch.
pub(crate) const WRITE: &str = concat!(
    steps!(),
    outcomes!(),
    ",",
    starts!(
        "$17::text[], $18::text[], $19::text[], $20::text[], $21::text[], $22::text[], $23::text[], $24::text[],
                $25::text[], $26::text[], $27::bigint[], $28::text[], $29::bigint[], $30::bigint[], $31::bigint[],
                $32::text[], $33::text[], $34::text[], $35::bigint[], $36::bigint[], $37::text[], $38::text[],
                $39::bigint[], $40::text[], $41::bigint[], $42::bigint[]",
        "id, status, name, class, config, application, version, executor, owner, creator, attempts, queue, priority,
              timeout, deadline, parent, format, input, floor, place, caller, caller_token, number, step, began, ended",
        "
    LEFT JOIN owner AS o ON o.id = t.caller AND o.token = t.caller_token AND o.status = 'PENDING'
    WHERE t.caller IS NULL
       OR (o.id IS NOT NULL AND NOT EXISTS (
              SELECT 1
              FROM dbos.operation_outputs AS taken
              WHERE taken.workflow_uuid = t.caller
                AND taken.function_id = t.number::int
              OFFSET 0))",
        "$17"
    ),
    child_steps!(),
    "
SELECT 0::bigint, NULL::text, (SELECT count(*) FROM step),
       (SELECT count(*) FROM finish)
           / CASE WHEN (SELECT count(*) FROM child_step) = (SELECT count(*) FROM child) THEN 1 ELSE 0 END",
    some_steps!(),
    some_outcomes!(),
    "
UNION ALL
SELECT 3, s.workflow_uuid, s.created_at, s.workflow_deadline_epoch_ms
FROM started AS s"
);
