//! The one session that stays: it holds the locks that show who lives, and tells other processes of changes.
//!
//! An executor is alive while a session holds an advisory lock on its id: the server frees it when the process dies, however it dies. If
//! the connection breaks, the session is made again and takes its locks again. Hints are told in transactions of their own that wait for
//! no disk: a NOTIFY inside a batch would hold a lock of the whole server through its commit.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use durable_core::{db::Hint, ids::ExecutorId};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::{
    Connection as _, Driver, DriverError, core::prepared, error::Failure, hints::told_as,
    leases::has_lapsed, options::Bounds, text::SchemaName,
};

/// How many hints may wait to be told; more are left to polling.
const MAX_TOLD: usize = 8192;

/// How often the session is looked at while it holds locks.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// After an outage of the database no lock is held, and each process takes its own again within a heartbeat: until then a free lock says
/// nothing.
const SETTLING: Duration = HEARTBEAT.saturating_mul(2);

/// The number that is locked for the executor with this id. `$1` the schema.
macro_rules! lock_key {
    ($id:literal) => {
        concat!(
            "hashtextextended('durable executor ' || $1::text || ' ' || ",
            $id,
            ", 0)"
        )
    };
}
pub(crate) use lock_key;

const LOCK: &str = concat!("SELECT pg_try_advisory_lock(", lock_key!("$2::text"), ")");
const UNLOCK: &str = concat!("SELECT pg_advisory_unlock(", lock_key!("$2::text"), ")");
const TELL: &str = "
    SELECT count(pg_notify(t.channel, t.payload))
    FROM unnest($1::text[], $2::text[]) AS t (channel, payload)";

/// The handle's end of the session. It ends with this.
#[derive(Debug)]
pub(crate) struct Session {
    wishes: mpsc::UnboundedSender<Wish>,
    told: Option<mpsc::Sender<(&'static str, String)>>,
    held: Arc<Mutex<BTreeSet<ExecutorId>>>,
    /// When a session was made in place of one that broke.
    remade: Arc<Mutex<Option<Instant>>>,
}

enum Wish {
    Lock(ExecutorId, oneshot::Sender<Result<bool, Failure>>),
    Unlock(ExecutorId, oneshot::Sender<Result<bool, Failure>>),
}

impl Session {
    /// Starts it on the current tokio runtime; it connects when there is something to do.
    pub(crate) fn start<D: Driver>(
        driver: D,
        schema: SchemaName,
        notify: bool,
        bounds: Bounds,
    ) -> Self {
        let (wishes, wished) = mpsc::unbounded_channel();
        let (told, hints) = mpsc::channel(MAX_TOLD);
        let held = Arc::new(Mutex::default());
        let remade = Arc::new(Mutex::default());
        let holder = Holder {
            driver,
            bounds,
            schema,
            held: Arc::clone(&held),
            remade: Arc::clone(&remade),
            missing: BTreeSet::new(),
            connection: None,
        };
        tokio::spawn(holder.run(wished, hints));
        Self {
            wishes,
            told: notify.then_some(told),
            held,
            remade,
        }
    }

    /// Begins the life of an executor; whether its id was free.
    pub(crate) async fn lock(&self, id: &ExecutorId) -> Result<bool, Failure> {
        let (answer, locked) = oneshot::channel();
        self.wish(Wish::Lock(id.clone(), answer), locked).await
    }

    /// Ends a life; does nothing if it is not held here.
    pub(crate) async fn unlock(&self, id: &ExecutorId) -> Result<(), Failure> {
        if !self.holds(id) {
            return Ok(());
        }
        let (answer, unlocked) = oneshot::channel();
        self.wish(Wish::Unlock(id.clone(), answer), unlocked)
            .await?;
        Ok(())
    }

    /// Whether its task has ended, as it does with the runtime that the handle was opened in.
    pub(crate) fn is_closed(&self) -> bool {
        self.wishes.is_closed()
    }

    /// Whether the executor lives here.
    pub(crate) fn holds(&self, id: &ExecutorId) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.contains(id)
    }

    /// Whether the others have had time to take their locks again, if the session has broken.
    pub(crate) fn is_settled(&self) -> bool {
        let remade = self.remade.lock().unwrap_or_else(PoisonError::into_inner);
        remade.is_none_or(|remade| remade.elapsed() >= SETTLING)
    }

    async fn wish(
        &self,
        wish: Wish,
        answer: oneshot::Receiver<Result<bool, Failure>>,
    ) -> Result<bool, Failure> {
        self.wishes.send(wish).map_err(|_| Failure::closed())?;
        answer.await.unwrap_or_else(|_| Err(Failure::closed()))
    }

    /// Tells other processes. Hints may be lost: what finds no place is left to polling.
    pub(crate) fn tell<'a>(&self, hints: impl IntoIterator<Item = &'a Hint>) {
        let Some(told) = &self.told else { return };
        for (channel, payload) in hints.into_iter().filter_map(told_as) {
            let _ = told.try_send((channel, payload));
        }
    }
}

/// The task's end.
struct Holder<D: Driver> {
    driver: D,
    bounds: Bounds,
    schema: SchemaName,
    held: Arc<Mutex<BTreeSet<ExecutorId>>>,
    remade: Arc<Mutex<Option<Instant>>>,
    /// Those of the held whose locks the present session does not have: they are tried again at each heartbeat.
    missing: BTreeSet<ExecutorId>,
    connection: Option<D::Connection>,
}

impl<D: Driver> Holder<D> {
    async fn run(
        mut self,
        mut wishes: mpsc::UnboundedReceiver<Wish>,
        mut hints: mpsc::Receiver<(&'static str, String)>,
    ) {
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut telling = Vec::new();
        let mut notifies = true;
        loop {
            tokio::select! {
                biased;
                wish = wishes.recv() => match wish {
                    Some(wish) => self.grant(wish).await,
                    None => return,
                },
                taken = hints.recv_many(&mut telling, MAX_TOLD), if notifies => {
                    notifies = taken > 0;
                    self.tell(std::mem::take(&mut telling)).await;
                }
                _ = heartbeat.tick() => self.beat().await,
            }
        }
    }

    async fn grant(&mut self, wish: Wish) {
        // A caller that went away wants no answer; what it took it has.
        match wish {
            Wish::Lock(id, answer) => {
                let taken = self.lock(&id).await;
                let _ = answer.send(taken.map_err(Failure::from));
            }
            Wish::Unlock(id, answer) => {
                self.held().remove(&id);
                self.missing.remove(&id);
                let freed = self.ask(UNLOCK, &id).await;
                let _ = answer.send(freed.map_err(Failure::from));
            }
        }
    }

    async fn lock(&mut self, id: &ExecutorId) -> Result<bool, DriverError> {
        // A session may lock what it has locked: two executors of one process would both have the id.
        if self.held().contains(id) {
            return Ok(false);
        }
        let locked = self.ask(LOCK, id).await?;
        if locked {
            self.held().insert(id.clone());
        }
        Ok(locked)
    }

    /// Asks a question about an executor's lock; once more if the session was of no use any more.
    async fn ask(&mut self, statement: &'static str, id: &ExecutorId) -> Result<bool, DriverError> {
        match self.ask_once(statement, id).await {
            Err(error) if error.is_stale() => self.ask_once(statement, id).await,
            answer => answer,
        }
    }

    async fn ask_once(
        &mut self,
        statement: &'static str,
        id: &ExecutorId,
    ) -> Result<bool, DriverError> {
        let text = Arc::from(statement);
        let schema = self.schema.clone();
        let mut connection = self.connected().await?;
        let parameters = [schema.as_str().into(), id.as_str().into()];
        let asked = connection.query(&text, &parameters);
        let answer = self.bounds.answer(asked).await;
        self.keep(connection, answer.as_ref().err());
        let mut row = answer?
            .pop()
            .ok_or_else(|| DriverError::unlike("a lock gives no row"))?;
        row.bool()
    }

    async fn tell(&mut self, hints: Vec<(&'static str, String)>) {
        let hints: HashSet<_> = hints.into_iter().collect();
        if hints.is_empty() {
            return;
        }
        let channels: Vec<_> = hints.iter().map(|(channel, _)| Some(*channel)).collect();
        let payloads: Vec<_> = hints.iter().map(|(_, payload)| Some(&**payload)).collect();
        let Ok(mut connection) = self.connected().await else {
            return;
        };
        let text = Arc::from(TELL);
        let parameters = [(&channels).into(), (&payloads).into()];
        let told = connection.query(&text, &parameters);
        let answer = self.bounds.answer(told).await;
        if let Err(error) = &answer {
            tracing::debug!(%error, "hints are not told to other processes");
        }
        self.keep(connection, answer.err().as_ref());
    }

    /// Sees to it that the locks are held.
    async fn beat(&mut self) {
        const ALIVE: &str = "SELECT true";
        if self.held().is_empty() {
            return;
        }
        let Ok(mut connection) = self.connected().await else {
            return;
        };
        // Prepared: a session that was reset (`DISCARD ALL`) has no locks any more, and does not
        // know the statement either.
        let alive = Arc::from(ALIVE);
        let answer = self.bounds.answer(connection.query(&alive, &[])).await;
        let lost = answer.is_err();
        self.keep(connection, answer.err().as_ref());
        if lost {
            self.reconnect().await;
            return;
        }
        for id in self.missing.clone() {
            // A session made in between has tried them itself.
            if self.connection.is_none() {
                return;
            }
            // A session that broke may hold its locks for a while after a new one is made.
            if let Ok(true) = self.ask(LOCK, &id).await {
                self.missing.remove(&id);
                tracing::info!(executor = %id, "the lock on this executor's id is held again");
            }
        }
    }

    async fn reconnect(&mut self) {
        match self.connected().await {
            Ok(connection) => self.keep(connection, None),
            Err(error) => {
                tracing::debug!(%error, "the executor's lock is not held until the database is back");
            }
        }
    }

    /// The session; a new one takes the locks that the old one held.
    async fn connected(&mut self) -> Result<D::Connection, DriverError> {
        const NO_DISK: &str = "SET synchronous_commit = off";
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let mut connection = prepared(&self.driver, &self.bounds).await?;
        self.bounds.answer(connection.batch(NO_DISK)).await?;
        let held = self.held().clone();
        self.missing.clear();
        if !held.is_empty() {
            let mut remade = self.remade.lock().unwrap_or_else(PoisonError::into_inner);
            *remade = Some(Instant::now());
        }
        for id in held {
            let text = Arc::from(LOCK);
            let parameters = [self.schema.as_str().into(), id.as_str().into()];
            let asked = connection.query(&text, &parameters);
            let locked = self
                .bounds
                .answer(asked)
                .await?
                .pop()
                .is_some_and(|mut row| row.bool().unwrap_or(false));
            if !locked {
                tracing::warn!(
                    executor = %id,
                    "the lock on this executor's id was lost with its connection and another session has it; until it is free, \
                     other executors may take this one's workflows over"
                );
                self.missing.insert(id);
            }
        }
        Ok(connection)
    }

    fn keep(&mut self, mut connection: D::Connection, error: Option<&DriverError>) {
        match error {
            Some(error) if error.is_lost() => connection.discard(),
            _ => self.connection = Some(connection),
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeSet<ExecutorId>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The executors that are asked for, with their locks' numbers.
macro_rules! dead {
    () => {
        concat!(
            "SELECT e.id
    FROM (
        SELECT w.id, ",
            lock_key!("w.id"),
            " AS key
        FROM unnest($2::text[]) AS w (id)) AS e"
        )
    };
}

/// Whether lock `l` is one that is held on the number that follows.
macro_rules! is_held_on {
    () => {
        "l.locktype = 'advisory'
          AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
          AND l.objsubid = 1
          AND l.granted
          AND (l.classid::bigint << 32) | l.objid::bigint = "
    };
}
pub(crate) use is_held_on;

/// Whether nobody holds the lock on executor `e.id`.
macro_rules! lock_is_free {
    () => {
        concat!(
            "NOT EXISTS (
        SELECT 1
        FROM pg_catalog.pg_locks AS l
        WHERE ",
            is_held_on!(),
            "e.key)"
        )
    };
}

/// How many connections the server takes, and how many executors live on this database. `$1` the schema. All that have ever lived are
/// looked at; asked once in a life.
pub(crate) const LIVING: &str = concat!(
    "SELECT current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint,
        count(*)
    FROM dbos.durable_executors AS w
    JOIN pg_catalog.pg_locks AS l
        ON ",
    is_held_on!(),
    lock_key!("w.executor_id"),
);

/// Those of the executors that do not live. `$1` the schema, `$2` their ids.
pub(crate) const DEAD: &str = concat!(dead!(), " WHERE ", lock_is_free!());

/// The same, judging leases too: see [`has_lapsed`] for `$3` to `$5`.
pub(crate) const DEAD_OR_LAPSED: &str =
    concat!(dead!(), " WHERE ", lock_is_free!(), " OR ", has_lapsed!());
