//! The real `dbos` and this library make the same tables, and leave each other's files as they are.

mod common;

use std::{collections::BTreeMap, path::Path};

use common::{Directory, close, open, queued, raw, start, step};
use durable_core::{
    db::{Steps, Workflows},
    payload::Outcome,
};
use durable_testkit::Dbos;

/// All that a file holds, as SQL.
const DUMP: &str = "
import sqlite3, sys
print('\\n'.join(sqlite3.connect(sys.argv[1]).iterdump()))";

/// What each table and index is made of, a line for each column, key and index. How a column's type is spelled is left out:
/// SQLite looks only at its affinity. So is what a default says: ours are exact to the millisecond, theirs to the second.
const SHAPE: &str = "
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
affinity = {'TEXT': 'text', 'REAL': 'real', 'BOOLEAN': 'number', 'INTEGER': 'number', 'BIGINT': 'number'}
for (table,) in db.execute(\"SELECT name FROM sqlite_schema WHERE type = 'table'\").fetchall():
    print(f'table {table}')
    for _, name, kind, required, default, key in db.execute(f'PRAGMA table_info({table})').fetchall():
        with_default = default not in (None, 'NULL')
        print(f'column {table}.{name}: {affinity[kind]} required={bool(required or key)} default={with_default} key={key}')
    for _, _, target, column, to, update, delete, _ in db.execute(f'PRAGMA foreign_key_list({table})').fetchall():
        print(f'reference {table}.{column}: {target}.{to} {update} {delete}')
    for _, index, unique, origin, partial in db.execute(f'PRAGMA index_list({table})').fetchall():
        columns = [(name, down) for _, _, name, down, _, key in db.execute(f'PRAGMA index_xinfo({index})') if key]
        name = index if origin == 'c' else f'{table} {origin}'
        where = db.execute('SELECT sql FROM sqlite_schema WHERE name = ?', (index,)).fetchone()[0] or ''
        where = ' '.join(where.partition('WHERE')[2].replace('\"', '').split())
        print(f'index {name}: unique={unique} {columns} {where}')";

/// A workflow that waits on a queue, put there by the package.
const ENQUEUE: &str = "
import sys
from dbos import DBOSClient
client = DBOSClient(system_database_url=sys.argv[1])
client.enqueue({'queue_name': 'q', 'workflow_name': 'demo', 'workflow_id': 'theirs'}, 1)
client.destroy()";

fn url(path: &Path) -> String {
    format!("sqlite:///{}", path.display())
}

fn dump(dbos: &Dbos, path: &Path) -> String {
    dbos.script(DUMP, &[path.to_str().unwrap()])
}

fn migrate(dbos: &Dbos, path: &Path) {
    dbos.cli(&["migrate", "--sys-db-url", &url(path)]);
}

/// The lines of [`SHAPE`] without what is our own, by what they describe.
fn shape(dbos: &Dbos, path: &Path) -> BTreeMap<String, String> {
    let text = dbos.script(SHAPE, &[path.to_str().unwrap()]);
    text.lines()
        .filter(|line| !line.contains("durable_"))
        .map(|line| line.split_once(':').unwrap_or((line, "")))
        .map(|(what, how)| (what.to_owned(), how.to_owned()))
        .collect()
}

#[tokio::test]
async fn a_file_of_ours_has_the_tables_that_dbos_makes() {
    let dbos = Dbos::new();
    let directory = Directory::new();
    let (ours, theirs) = (directory.file("ours.db"), directory.file("theirs.db"));
    close(open(&ours).await, &ours).await;
    migrate(&dbos, &theirs);
    let mut ours = shape(&dbos, &ours);
    let mut theirs = shape(&dbos, &theirs);
    assert!(theirs.len() > 150, "{theirs:#?}");
    // Ours goes on with what gives messages their order.
    let topic = "index idx_workflow_topic";
    let (ours_topic, theirs_topic) = (ours.remove(topic).unwrap(), theirs.remove(topic).unwrap());
    let begin = theirs_topic.trim_end().trim_end_matches(']');
    assert!(ours_topic.starts_with(begin), "{ours_topic} {theirs_topic}");
    let differ = |(what, how): &(&String, &String)| theirs.get(*what) != Some(*how);
    assert_eq!(ours.iter().filter(differ).collect::<Vec<_>>(), []);
    assert_eq!(ours, theirs);
}

#[tokio::test]
async fn a_file_of_ours_is_left_as_it_is_by_the_migration_of_dbos() {
    let dbos = Dbos::new();
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let database = open(&path).await;
    let owner = start(&database, "done", "a").await;
    database.record_step(&owner, &step(1, "1")).await.unwrap();
    let outcome = Outcome::Success(common::json("2"));
    database.finish_workflow(&owner, &outcome).await.unwrap();
    database
        .insert_workflow(&queued("waiting", "q"))
        .await
        .unwrap();
    close(database, &path).await;
    let before = dump(&dbos, &path);
    assert!(before.contains("'done'"), "{before}");
    migrate(&dbos, &path);
    assert_eq!(dump(&dbos, &path), before);
}

#[tokio::test]
async fn a_file_of_dbos_gets_our_own_objects_and_nothing_else() {
    let dbos = Dbos::new();
    let directory = Directory::new();
    let path = directory.file("shop.db");
    migrate(&dbos, &path);
    dbos.script(ENQUEUE, &[&url(&path)]);
    let before = dump(&dbos, &path);
    assert!(before.contains("'theirs'"), "{before}");
    close(open(&path).await, &path).await;
    let after = dump(&dbos, &path);
    assert_ne!(after, before);
    raw(
        &path,
        "DROP TABLE durable_executors; DROP TABLE durable_served_queues;
         DROP TABLE durable_attempts; DROP INDEX durable_enqueued",
    )
    .await;
    assert_eq!(dump(&dbos, &path), before);
}
