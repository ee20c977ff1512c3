//! Where the statements of one process stop until they are let through.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::sync::{oneshot, watch};

/// What a process is about to do, or does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It runs on by itself, and will be at its next statement or its end soon.
    Between,
    /// It stands before a statement.
    Before(Arc<str>),
    /// A statement runs, in the session with this number.
    Within(i64, Arc<str>),
    /// It has done all it had to do.
    Ended,
}

/// Whether it makes no difference which of two statements comes first: neither ends a transaction or reaches rows that it does not name,
/// and they name no table in common, or both only read.
pub(super) fn are_independent(a: &str, b: &str) -> bool {
    let (a_tables, b_tables) = (tables(a), tables(b));
    if reaches_far(a, &a_tables) || reaches_far(b, &b_tables) {
        return false;
    }
    let reads = |statement: &str| {
        ["INSERT ", "UPDATE ", "DELETE ", "FOR "]
            .iter()
            .all(|word| !statement.contains(word))
    };
    a_tables.is_disjoint(&b_tables) || (reads(a) && reads(b))
}

/// Whether a statement ends a transaction, or may reach rows of other tables than it names by foreign keys or triggers: steps and
/// payloads have none.
fn reaches_far(statement: &str, tables: &BTreeSet<&str>) -> bool {
    const ALONE: [&str; 6] = [
        "workflow_input",
        "workflow_output",
        "operation_outputs",
        "durable_executors",
        "durable_served_queues",
        "durable_attempts",
    ];
    let changes = statement.contains("INSERT ") || statement.contains("DELETE ");
    tables.is_empty() || (changes && !tables.iter().all(|table| ALONE.contains(table)))
}

/// The tables that a statement names.
fn tables(statement: &str) -> BTreeSet<&str> {
    let named = statement.split("dbos.").skip(1);
    let name = |rest: &'_ str| rest.find(|c: char| !c.is_alphanumeric() && c != '_');
    named
        .map(|rest| &rest[..name(rest).unwrap_or(rest.len())])
        .collect()
}

/// What is sent in place of a statement, for those that are broken on purpose.
pub(super) type Rewrite = fn(&str) -> Option<String>;

/// The gate of one process: its connections pass through it, and one statement at a time.
#[derive(Debug)]
pub(super) struct Gate {
    armed: AtomicBool,
    phase: watch::Sender<Phase>,
    permit: Mutex<Option<oneshot::Sender<()>>>,
    rewrite: Mutex<Option<Rewrite>>,
    /// When each call of the process began and ended, counted in statements of all processes.
    spans: Mutex<Vec<Span>>,
    clock: Mutex<Arc<AtomicUsize>>,
    /// The server's numbers of all sessions that ever stopped here.
    sessions: Mutex<BTreeSet<i64>>,
}

/// When a call began and ended: the number of the first statement that was let through for it, and how many were when it answered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub(super) began: Option<usize>,
    pub(super) ended: usize,
}

impl Span {
    /// Whether it was over before the other began.
    pub(super) fn is_before(&self, other: &Self) -> bool {
        other.began.unwrap_or(other.ended) >= self.ended
    }
}

impl Gate {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            armed: AtomicBool::new(false),
            phase: watch::Sender::new(Phase::Ended),
            permit: Mutex::default(),
            rewrite: Mutex::default(),
            spans: Mutex::default(),
            clock: Mutex::default(),
            sessions: Mutex::default(),
        })
    }

    /// From now on statements stop; `clock` counts those of all processes.
    pub(super) fn arm(&self, clock: &Arc<AtomicUsize>) {
        *lock(&self.clock) = Arc::clone(clock);
        lock(&self.spans).clear();
        self.phase.send_replace(Phase::Between);
        self.armed.store(true, Ordering::SeqCst);
    }

    /// From now on statements pass; one that stands here goes on.
    pub(super) fn open(&self) {
        self.armed.store(false, Ordering::SeqCst);
        drop(lock(&self.permit).take());
    }

    pub(super) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::SeqCst)
    }

    pub(super) fn set_rewrite(&self, rewrite: Rewrite) {
        *lock(&self.rewrite) = Some(rewrite);
    }

    /// What is sent in place of this statement.
    pub(super) fn rewritten(&self, statement: &str) -> Option<String> {
        let rewrite = *lock(&self.rewrite);
        rewrite.and_then(|rewrite| rewrite(statement))
    }

    /// Waits before a statement until it is let through.
    pub(super) async fn pass(&self, session: i64, statement: &str) {
        let label: Arc<str> = statement.into();
        lock(&self.sessions).insert(session);
        let (permit, permitted) = oneshot::channel();
        *lock(&self.permit) = Some(permit);
        self.phase.send_replace(Phase::Before(Arc::clone(&label)));
        if !self.is_armed() {
            return;
        }
        // An error means that the gate is open.
        let _ = permitted.await;
        let now = lock(&self.clock).load(Ordering::SeqCst);
        if let Some(span) = lock(&self.spans).last_mut() {
            span.began.get_or_insert(now.saturating_sub(1));
        }
        self.phase.send_replace(Phase::Within(session, label));
    }

    /// A statement that was let through has come back.
    pub(super) fn passed(&self) {
        self.phase.send_replace(Phase::Between);
    }

    /// Lets the process do its next statement.
    pub(super) fn let_through(&self) {
        lock(&self.clock).fetch_add(1, Ordering::SeqCst);
        self.phase.send_replace(Phase::Between);
        if let Some(permit) = lock(&self.permit).take() {
            let _ = permit.send(());
        }
    }

    pub(super) fn call_begins(&self) {
        lock(&self.spans).push(Span::default());
    }

    pub(super) fn call_ends(&self) {
        let now = lock(&self.clock).load(Ordering::SeqCst);
        if let Some(span) = lock(&self.spans).last_mut() {
            span.ended = now;
        }
    }

    /// The process has made its last call.
    pub(super) fn end(&self) {
        self.phase.send_replace(Phase::Ended);
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        lock(&self.spans).clone()
    }

    pub(super) fn sessions(&self) -> Vec<i64> {
        lock(&self.sessions).iter().copied().collect()
    }

    pub(super) fn watch(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A statement in one line that tells it from others.
pub(super) fn short(statement: &str) -> String {
    const LENGTH: usize = 110;
    let words: Vec<&str> = statement.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_cannot_see_each_other_are_told_from_those_that_can() {
        let life = "SELECT e.incarnation FROM dbos.durable_executors AS e FOR SHARE";
        let lock = "SELECT s.status FROM dbos.workflow_status AS s FOR NO KEY UPDATE";
        let look = "SELECT s.status FROM dbos.workflow_status AS s";
        assert!(are_independent(life, lock));
        assert!(are_independent(look, look));
        for (a, b) in [
            (lock, look),
            (life, life),
            (life, "COMMIT"),
            (life, "INSERT INTO dbos.notifications VALUES (1)"),
        ] {
            assert!(!are_independent(a, b) && !are_independent(b, a), "{a} {b}");
        }
    }
}
