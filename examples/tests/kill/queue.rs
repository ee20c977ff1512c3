//! Two workers on one queue, one of them killed again and again.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStdout},
    time::Duration,
};

use crate::{
    process::{finish, kill, start},
    random::Random,
};

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

/// A worker that will be killed, with what it prints.
struct Doomed {
    child: Child,
    output: BufReader<ChildStdout>,
    printed: String,
}

impl Doomed {
    fn new(mut child: Child) -> Self {
        let output = child.stdout.take().expect("its output");
        Self {
            child,
            output: BufReader::new(output),
            printed: String::new(),
        }
    }

    /// Waits until it takes part: it then says what it found.
    fn has_started(&mut self) {
        let read = self.output.read_line(&mut self.printed);
        read.expect("its output");
    }

    /// Kills it, and gives what it had printed.
    fn kill(mut self) -> String {
        kill(self.child);
        let read = self.output.read_to_string(&mut self.printed);
        read.expect("its output");
        self.printed
    }
}

#[test]
fn a_thousand_queued_workflows_finish_once_each_while_a_worker_is_killed_again_and_again() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = dir.path().join("queue.db").display().to_string();
    let queue = |args: &[&str]| start("queue", &[&["--db", &db], args].concat());
    finish(queue(&["enqueue", &COUNT.to_string()]), PATIENCE);

    let mut random = Random::new();
    // With few places, so that others have time to begin.
    let mut steady = queue(&["work", "4"]);
    // Read as it goes, or the pipe fills up and the worker stands still.
    let output = steady.stdout.take().expect("its output");
    let reader = std::thread::spawn(move || std::io::read_to_string(output).expect("its output"));
    let mut finishes = BTreeMap::new();
    let mut kills = 0;
    while steady.try_wait().expect("its status").is_none() {
        let mut doomed = Doomed::new(queue(&["work"]));
        // Some are killed while they start; on a busy machine all would be.
        if random.below(4) > 0 {
            doomed.has_started();
        }
        std::thread::sleep(Duration::from_millis(20 + random.below(80)));
        count_finishes(&doomed.kill(), &mut finishes);
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
