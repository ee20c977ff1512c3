//! The connection that writes, and what operations of one transaction share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use durable_core::{
    db::{Hint, HintHub},
    time::Timestamp,
};
use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{
    error::Failure, identity::Identity, options::Clock, source::transactions, watch::Watch,
};

/// What an operation works with: the connection, inside a transaction, and the transaction's instant.
pub(crate) struct Session {
    /// The connection.
    pub(crate) conn: SqliteConnection,
    /// How to connect again; `None` where that would be another database.
    again: Option<SqliteConnectOptions>,
    /// The file that was opened, and its log, once the connection has written to it.
    file: Option<Identity>,
    log: Option<Identity>,
    broken: bool,
    /// How often it has connected again.
    connection: u32,
    clock: Clock,
    now: Timestamp,
    /// Sent when the transaction is committed.
    hints: Vec<Hint>,
    subscribers: HintHub,
    places: Arc<Places>,
}

/// When this process put something on each queue last.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<HashMap<String, Timestamp>>);

impl Places {
    /// When a row that goes on this queue now is created: not before now, and after all that this process put on it before.
    pub(crate) fn next(&self, queue: &str, now: Timestamp) -> Timestamp {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = all.get_mut(queue) {
            *last = now.max(Timestamp::from_millis(last.as_millis().saturating_add(1)));
            return *last;
        }
        all.insert(queue.to_owned(), now);
        now
    }
}

impl Session {
    pub(crate) fn new(
        conn: SqliteConnection,
        again: Option<SqliteConnectOptions>,
        clock: Clock,
        subscribers: HintHub,
        places: Arc<Places>,
    ) -> Self {
        let path = again.as_ref().map(SqliteConnectOptions::get_filename);
        Self {
            conn,
            file: path.and_then(Identity::of),
            log: None,
            again,
            broken: false,
            connection: 0,
            now: clock(),
            clock,
            hints: Vec::new(),
            subscribers,
            places,
        }
    }

    /// The instant of the transaction, of the database's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Says what the transaction changed, to those who wait for it.
    pub(crate) fn hint(&mut self, hint: Hint) {
        self.hints.push(hint);
    }

    /// When a row that goes on this queue now is created: not before now, and after all that this process put on it before.
    pub(crate) fn place_on(&mut self, queue: &str) -> Timestamp {
        self.places.next(queue, self.now)
    }

    /// Begins a transaction that will write; waits for another process's, at most the busy timeout.
    pub(super) async fn begin(&mut self) -> Result<(), Failure> {
        self.connect_again().await?;
        let begun = self.execute("BEGIN IMMEDIATE").await;
        // A connection that cannot begin may have lost its thread or its file.
        self.broken = begun.is_err();
        // After the wait for the lock: what is written later has a later time.
        self.now = (self.clock)();
        begun
    }

    /// Begins a transaction that is lent: sqlx knows of it, so that one begun in it is a savepoint.
    pub(super) async fn begin_lent(&mut self, read_only: bool) -> Result<(), Failure> {
        self.connect_again().await?;
        let begun = transactions::begin(&mut self.conn, read_only).await;
        self.broken = begun.is_err();
        self.now = (self.clock)();
        begun
    }

    pub(crate) async fn commit_lent(&mut self) -> Result<(), sqlx::Error> {
        transactions::commit(&mut self.conn).await?;
        self.see_log();
        Ok(())
    }

    pub(crate) async fn rollback_lent(&mut self) {
        self.broken = !transactions::rollback(&mut self.conn).await;
    }

    /// Looks for what other processes have written.
    pub(super) async fn look(&mut self, watch: &mut Watch) {
        watch.look(&mut self.conn, self.connection).await;
    }

    pub(super) async fn commit(&mut self) -> Result<(), Failure> {
        self.execute("COMMIT").await?;
        self.see_log();
        Ok(())
    }

    /// Remembers the log that the connection has open now, if the file has one.
    fn see_log(&mut self) {
        if let (Some(file), None) = (&self.file, &self.log) {
            let mut path = file.path().as_os_str().to_owned();
            path.push("-wal");
            self.log = Identity::of(path.as_ref());
        }
    }

    pub(super) async fn rollback(&mut self) {
        self.hints.clear();
        // SQLite has rolled back by itself after some failures (a full disk, a read that failed), and says so here; a new
        // connection is the one state that is certain.
        self.broken = self.execute("ROLLBACK").await.is_err();
    }

    /// Sends the hints of the transaction that was committed.
    pub(super) fn publish(&mut self) {
        self.subscribers.send(self.hints.drain(..));
    }

    /// Connects again, if it has to. Errors: it cannot; the file is not where it was.
    async fn connect_again(&mut self) -> Result<(), Failure> {
        for file in self.file.iter().chain(&self.log) {
            if !file.is_there() {
                return Err(Failure::moved(file.path()));
            }
        }
        if self.broken
            && let Some(again) = &self.again
        {
            self.conn = again.connect().await?;
            self.broken = false;
            self.connection = self.connection.wrapping_add(1);
            // With the last connection to a file its log goes.
            self.log = None;
        }
        Ok(())
    }

    // Without sqlx's own transactions: they count the depth by what they asked for, and are wrong for ever after a rollback that
    // SQLite made by itself.
    async fn execute(&mut self, statement: &'static str) -> Result<(), Failure> {
        sqlx::query(statement).execute(&mut self.conn).await?;
        Ok(())
    }
}
