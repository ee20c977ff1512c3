//! How statements are planned once their tables have grown.
//!
//! A statement is planned when it has been run a few times, and that plan is kept. Made while the tables are empty, it may read a table
//! from its beginning to its end for ever after.

use std::fmt::Write as _;

use durable_pg::{
    Driver, PgDataSource, PgSystemDb,
    hot::{BEGIN_AS_GUEST, statements},
};

use super::{Bare, TestDb};

/// How many workflows there are in the end.
const WORKFLOWS: u32 = 100_000;

/// How often a statement is run before the server may settle on one plan for all parameters: five times, and a few more.
const RUNS: usize = 8;

/// The tables that grow with the workflows.
const LARGE: [&str; 7] = [
    "workflow_status",
    "workflow_input",
    "workflow_output",
    "operation_outputs",
    "notifications",
    "workflow_events",
    "workflow_events_history",
];

/// The indexes that hold only rows of workflows that have not ended: few beside those that have, and read whole where it is wanted.
const SMALL: [&str; 2] = ["idx_workflow_status_pending", "idx_workflow_status_delayed"];

/// Every hot statement, prepared and run while the database is empty, keeps to its indexes when there are 100,000 workflows: in a session
/// of our own, and in one of an application. Panics, and shows the plans that do not.
pub async fn every_statement_keeps_to_its_indexes<D: Driver>() {
    let database = TestDb::<D>::migrated().await;
    let system = PgSystemDb::<D>::connect(database.url())
        .await
        .expect("the server answers");
    let own = system.driver().acquire().await;
    // Statements about witnesses are of another database, which may be any.
    let source = PgDataSource::<D>::options(database.url()).connect().await;
    let migrated = source.expect("the server answers").migrate().await;
    migrated.expect("the table of witnesses");
    let mut sessions = [
        Session {
            whose: "ours",
            begin: "BEGIN",
            bare: Bare(own.expect("the server answers")),
        },
        Session {
            whose: "an application's",
            begin: BEGIN_AS_GUEST,
            bare: database.bare().await,
        },
    ];
    for session in &mut sessions {
        session.prepare().await;
    }
    let mut filler = database.bare().await;
    filler.batch(&fill()).await;
    let mut bad = String::new();
    for session in &mut sessions {
        session
            .look("kept from when they were empty", &mut bad)
            .await;
    }
    // The statistics that autovacuum brings sooner or later, upon which everything is planned anew.
    filler.batch("ANALYZE").await;
    for session in &mut sessions {
        session
            .look("made for the tables as they are", &mut bad)
            .await;
    }
    assert!(bad.is_empty(), "{bad}");
}

/// A session with every statement prepared.
struct Session<D: Driver> {
    whose: &'static str,
    begin: &'static str,
    bare: Bare<D>,
}

impl<D: Driver> Session<D> {
    /// Prepares every statement, and has the server settle on a plan.
    async fn prepare(&mut self) {
        for (n, (_, text)) in statements().into_iter().enumerate() {
            self.bare.batch(&format!("PREPARE hot_{n} AS {text}")).await;
            let call = self.call(n).await;
            let once = format!("{}; {call}; ROLLBACK", self.begin);
            for _ in 0..RUNS {
                self.bare.batch(&once).await;
            }
        }
    }

    /// Looks at each plan, and tells of those that read what is large from its beginning to its end.
    async fn look(&mut self, which: &str, bad: &mut String) {
        for (n, (name, _)) in statements().into_iter().enumerate() {
            let call = self.call(n).await;
            self.bare.batch(self.begin).await;
            let explain = format!("EXPLAIN (VERBOSE, COSTS OFF) {call}");
            let plan = self.bare.texts(&explain).await;
            self.bare.batch("ROLLBACK").await;
            let found = whole_reads(&plan);
            if !found.is_empty() {
                let (whose, plan) = (self.whose, plan.join("\n"));
                let _ = writeln!(
                    bad,
                    "{name}, its plan {which}, in a session of {whose}: {found:?}\n{plan}\n"
                );
            }
        }
    }

    /// The call of a prepared statement with some value for each parameter, none of which is in the database.
    async fn call(&mut self, n: usize) -> String {
        let types = format!(
            "SELECT unnest(parameter_types)::text FROM pg_prepared_statements WHERE name = 'hot_{n}'"
        );
        let types = self.bare.texts(&types).await;
        let values: Vec<_> = types.iter().map(|kind| some_value(kind)).collect();
        format!("EXECUTE hot_{n} ({})", values.join(", "))
    }
}

fn some_value(kind: &str) -> &'static str {
    match kind {
        "text" | "character varying" => "'none'",
        "bigint" => "7",
        "text[]" => "ARRAY['none', 'nobody']",
        "bigint[]" => "ARRAY[7, 8]::bigint[]",
        other => panic!("no value of type {other} for a parameter"),
    }
}

/// The parts of a plan that read a large table, or a large index of one, from its beginning to its end.
fn whole_reads(plan: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (n, line) in plan.iter().enumerate() {
        let node = line.trim_start().trim_start_matches("->").trim();
        let of_large = |words: &str| {
            let names = words.split_whitespace().next().unwrap_or_default();
            let table = names.strip_prefix("dbos.");
            table.is_some_and(|table| LARGE.contains(&table))
        };
        if let Some(table) = node.strip_prefix("Seq Scan on ") {
            if of_large(table) {
                found.push(node.to_owned());
            }
            continue;
        }
        let Some((index, table)) = index_of(node) else {
            continue;
        };
        // What belongs to this node stands below it, up to the next.
        let conditions = plan[n + 1..].iter().take_while(|line| !starts_node(line));
        let bounded = conditions
            .map(|line| line.trim_start())
            .any(|line| line.starts_with("Index Cond:"));
        if !bounded && !SMALL.contains(&index) && table.is_none_or(of_large) {
            found.push(node.to_owned());
        }
    }
    found
}

/// The index that a node reads, and its table where that is told.
fn index_of(node: &str) -> Option<(&str, Option<&str>)> {
    if let Some(index) = node.strip_prefix("Bitmap Index Scan on ") {
        return Some((index, None));
    }
    let (kind, rest) = node.split_once(" using ")?;
    if !kind.starts_with("Index Scan") && !kind.starts_with("Index Only Scan") {
        return None;
    }
    let (index, table) = rest.split_once(" on ")?;
    Some((index, Some(table)))
}

/// Whether a line begins another part of the plan.
fn starts_node(line: &str) -> bool {
    let line = line.trim_start();
    ["->", "CTE ", "SubPlan ", "InitPlan "]
        .iter()
        .any(|start| line.starts_with(start))
}

/// Fills the tables: most workflows have ended, some have not, a few wait in a queue or for a message.
fn fill() -> String {
    let each = format!("FROM generate_series(1, {WORKFLOWS}) AS n");
    format!(
        "BEGIN;
        INSERT INTO dbos.workflow_status (
            workflow_uuid, status, name, application_name, application_version, executor_id, owner_xid, creator_xid,
            queue_name, serialization, workflow_deadline_epoch_ms, delay_until_epoch_ms, parent_workflow_id, created_at,
            started_at_epoch_ms, completed_at)
        SELECT 'workflow-' || n, s.status, 'work', 'shop', 'v1', 'executor-' || n % 7,
               CASE WHEN s.status = 'PENDING' THEN 'token-' || n END, 'token-' || n,
               CASE WHEN n % 2 = 0 THEN 'orders' END, 'portable_json',
               CASE WHEN n % 10 = 0 THEN 4000000000000 + n END,
               CASE WHEN s.status = 'DELAYED' THEN 4000000000000 + n END,
               CASE WHEN n % 5 = 0 THEN 'workflow-' || n - 1 END, n, n,
               CASE WHEN s.status IN ('SUCCESS', 'ERROR') THEN n END
        FROM (
            SELECT n,
                   CASE n % 250 WHEN 0 THEN 'PENDING' WHEN 2 THEN 'ENQUEUED' WHEN 4 THEN 'DELAYED' WHEN 5 THEN 'ERROR'
                        ELSE 'SUCCESS' END AS status
            {each}) AS s;
        INSERT INTO dbos.workflow_input (workflow_uuid, inputs)
        SELECT 'workflow-' || n, '{{\"positionalArgs\":[],\"namedArgs\":{{}}}}' {each};
        INSERT INTO dbos.workflow_output (workflow_uuid, output)
        SELECT 'workflow-' || n, 'null' {each};
        INSERT INTO dbos.operation_outputs (workflow_uuid, function_id, function_name, output, serialization)
        SELECT 'workflow-' || n, step, 'charge', 'null', 'portable_json' {each}, generate_series(1, 2) AS step;
        INSERT INTO dbos.notifications (destination_uuid, topic, message, consumed)
        SELECT 'workflow-' || n, 'topic', 'null', n % 3 <> 0 {each} WHERE n % 10 = 0;
        INSERT INTO dbos.workflow_events (workflow_uuid, key, value)
        SELECT 'workflow-' || n, 'key', 'null' {each} WHERE n % 4 = 0;
        INSERT INTO dbos.workflow_events_history (workflow_uuid, function_id, key, value)
        SELECT 'workflow-' || n, 1, 'key', 'null' {each} WHERE n % 4 = 0;
        COMMIT"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_in(plan: &str) -> Vec<String> {
        let lines: Vec<String> = plan.lines().map(str::to_owned).collect();
        whole_reads(&lines)
    }

    #[test]
    fn what_is_read_whole_is_found_in_a_plan() {
        let bounded = "Nested Loop
  ->  Index Scan using workflow_status_pkey on dbos.workflow_status s
        Output: s.status
        Index Cond: (s.workflow_uuid = ANY ($1))
  ->  Index Scan using idx_workflow_status_pending on dbos.workflow_status p
        Filter: (p.owner_xid = ANY ($1))
  ->  Seq Scan on pg_catalog.pg_database d";
        assert!(found_in(bounded).is_empty());
        let whole = "Nested Loop
  ->  Seq Scan on dbos.workflow_status s
  ->  Bitmap Heap Scan on dbos.workflow_input i
        ->  Bitmap Index Scan on workflow_input_pkey
  ->  Index Only Scan using workflow_output_pkey on dbos.workflow_output o
        Filter: (o.output IS NULL)
  ->  Index Scan using workflow_events_pkey on dbos.workflow_events e
        Index Cond: (e.key = $1)";
        assert_eq!(
            found_in(whole),
            [
                "Seq Scan on dbos.workflow_status s",
                "Bitmap Index Scan on workflow_input_pkey",
                "Index Only Scan using workflow_output_pkey on dbos.workflow_output o",
            ]
        );
    }
}
