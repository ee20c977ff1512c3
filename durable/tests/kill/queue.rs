//! Two workers on one queue, one of them killed again and again.

use std::{collections::BTreeMap, time::Duration};

use crate::process::{Random, finish, kill, start};

const COUNT: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(300);

/// How often each workflow was seen to finish.
fn count_finishes(printed: &str, counts: &mut BTreeMap<String, usize>) {
    for line in printed.lines() {
        if let Some(id) = line.strip_suffix(" finished") {
            *counts.entry(id.to_owned()).or_default() += 1;
        }
    }
}

#[test]
fn a_thousand_queued_workflows_finish_once_each_while_a_worker_is_killed_again_and_again() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = dir.path().join("queue.db").display().to_string();
    let queue = |args: &[&str]| start("queue", &[&["--db", &db], args].concat());
    finish(queue(&["enqueue", &COUNT.to_string()]), PATIENCE);

    let mut random = Random::new();
    let mut steady = queue(&["work"]);
    // Read as it goes, or the pipe fills up and the worker stands still.
    let output = steady.stdout.take().expect("its output");
    let reader = std::thread::spawn(move || std::io::read_to_string(output).expect("its output"));
    let mut finishes = BTreeMap::new();
    let mut kills = 0;
    while steady.try_wait().expect("its status").is_none() {
        let doomed = queue(&["work"]);
        std::thread::sleep(Duration::from_millis(20 + random.below(300)));
        count_finishes(&kill(doomed), &mut finishes);
        kills += 1;
    }
    assert!(steady.wait().expect("its status").success());
    let by_killed: usize = finishes.values().sum();
    count_finishes(&reader.join().expect("the reader"), &mut finishes);
    println!("{kills} kills; {by_killed} workflows were finished by the killed ones");

    let twice: Vec<_> = finishes.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "finished more than once: {twice:?}");
    // A kill may come between a finish and its being printed; the database knows.
    let status = finish(queue(&["status"]), PATIENCE);
    assert_eq!(
        status.split_whitespace().collect::<Vec<_>>(),
        ["SUCCESS", &COUNT.to_string()],
        "{status}"
    );
    assert!(
        kills >= 3 && by_killed > 0,
        "{kills} kills, {by_killed} finished by the killed"
    );
}
