//! How an application is, for whoever asks without asking the database.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::Engine;
use crate::{Error, db::outage::Sight, ids::WorkflowId, source::writer::LONG, time::millis};

/// How an application is: [`App::health`](crate::App::health).
///
/// As JSON: `{"database":{"state":"up"},"running":3,"parked":{"count":0,"first":[]},"shutting_down":false}`, or with
/// `{"state":"away","for_ms":2100,"error":"…","waiting":2}` or
/// `{"state":"held","for_ms":7000,"workflow":"…","step":"…"}` for the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// Whether the database answers.
    pub database: DatabaseHealth,
    /// How many workflows run in this process; those that sleep or wait count.
    pub running: usize,
    /// What was stopped in this process and stays unfinished.
    pub parked: Parked,
    /// Whether a shutdown has begun, or is over.
    pub shutting_down: bool,
}

impl Health {
    /// Whether this process should be given work: the database answers, and no shutdown has begun.
    ///
    /// That it is not ready is no reason to restart it: what waits for the database goes on when it is back, and a restart helps nothing.
    pub fn is_ready(&self) -> bool {
        self.database == DatabaseHealth::Up && !self.shutting_down
    }
}

/// Workflows whose execution in this process had to stop (their code does not fit their history, something is missing in the application's
/// set-up, the database refuses what they write), and which it does not try again: they stay unfinished and hold their place until
/// they are cancelled, run by another process, or this one is started anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Parked {
    /// How many there are.
    pub count: usize,
    /// The first of them, in the order of their ids: at most 20. [`App::parked`](crate::App::parked) tells of any one.
    pub first: Vec<ParkedWorkflow>,
}

/// One of the [`Parked`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ParkedWorkflow {
    /// Its id.
    pub id: String,
    /// The stable code of what stopped it.
    pub code: &'static str,
    /// That in words, with what to do.
    pub error: String,
}

/// How many of the parked workflows a probe is told of.
const TOLD: usize = 20;

/// Whether the database answers, as the calls of this process find it.
///
/// It counts as away when a call has failed twice in a row, or once after more than a second, and no other was answered meanwhile: with
/// a server that refuses connections about a tenth of a second after the first call, and where nothing comes back at all when the
/// driver's patience with a connection is over. It counts as up again with the first answer; while all wait, somebody tries at least
/// every 15 s. A database that reads and does not write (a full disk, a standby) is away as long as a write waits for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum DatabaseHealth {
    /// It answers.
    Up,
    /// It answers, but a transactional step's closure has had its only writer for more than 5 s:
    /// nothing is written until that ends.
    #[non_exhaustive]
    Held {
        /// How long it has had it.
        #[serde(rename = "for_ms", serialize_with = "as_millis")]
        lasting: Duration,
        /// The workflow.
        workflow: String,
        /// The step.
        step: String,
    },
    /// It does not.
    #[non_exhaustive]
    Away {
        /// How long it has been away, from the first call that failed.
        #[serde(rename = "for_ms", serialize_with = "as_millis")]
        lasting: Duration,
        /// What the last call that failed was told.
        error: String,
        /// How many workflows have an operation, their start or their outcome held up now.
        waiting: usize,
    },
}

fn as_millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(millis(*duration))
}

impl Engine {
    fn parked(&self) -> Parked {
        let (count, first) = self.running.parked(TOLD);
        let told = |(id, error): (WorkflowId, Error)| ParkedWorkflow {
            id: id.to_string(),
            code: error.code(),
            error: error.to_string(),
        };
        Parked {
            count,
            first: first.into_iter().map(told).collect(),
        }
    }

    /// How this process is.
    pub(super) fn health(&self) -> Health {
        let now = self.runtime.elapsed();
        let held = self.holders.oldest();
        let held = held.filter(|holder| now.saturating_sub(holder.since) >= LONG);
        let database = match (self.outage.sight(), held) {
            (Sight::Up, None) => DatabaseHealth::Up,
            (Sight::Up, Some(holder)) => DatabaseHealth::Held {
                lasting: now.saturating_sub(holder.since),
                workflow: holder.workflow,
                step: holder.step,
            },
            (
                Sight::Away {
                    since,
                    error,
                    waiting,
                },
                _,
            ) => DatabaseHealth::Away {
                lasting: now.saturating_sub(since),
                error,
                waiting,
            },
        };
        Health {
            database,
            running: self.running.count(),
            parked: self.parked(),
            shutting_down: self.is_stopping(),
        }
    }
}
