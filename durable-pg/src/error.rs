//! What a driver may say, and what it means for the call.

use std::fmt;

use durable_core::db::DbError;

use crate::{
    connect::advice,
    course::{Course, course},
};

/// Why a statement or a connection failed, as the driver tells it. Holds no parameter and no password.
///
/// `{:?}` is the message and the kind in one line, as a `main` that returns it prints it; `{:#?}` shows the fields.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default())]
pub struct DriverError {
    kind: Kind,
    message: String,
    detail: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// There is no connection, or it broke: what was asked may have happened.
    Lost,
    /// The server refused, with this SQLSTATE if the driver tells it.
    Refused(Option<String>),
    /// The settings cannot be used.
    Settings,
    /// What came back is not what was asked for.
    Unlike,
    /// What answers does not give whole sessions.
    SessionMode,
    /// What answers has too few sessions.
    PoolTooSmall,
    /// What it would be asked through is closed for good.
    Closed,
    /// The server refused what the session has prepared, in whatever words.
    Stale,
}

impl fmt::Debug for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return f
                .debug_struct("DriverError")
                .field("kind", &self.kind)
                .field("message", &self.message)
                .field("detail", &self.detail)
                .finish();
        }
        match &self.kind {
            Kind::Refused(Some(code)) => write!(f, "{self} [SQLSTATE {code}]"),
            Kind::Refused(None) => write!(f, "{self} [Refused]"),
            kind => write!(f, "{self} [{kind:?}]"),
        }
    }
}

impl DriverError {
    /// There is no connection, or it broke: what was asked may have happened.
    pub fn lost(message: impl Into<String>) -> Self {
        Self::of(Kind::Lost, message)
    }

    /// The server refused the statement or the connection. `code`: its SQLSTATE, if the driver tells it.
    pub fn refused(code: Option<&str>, message: impl Into<String>) -> Self {
        Self::of(Kind::Refused(code.map(str::to_owned)), message)
    }

    /// The server refused as a prepared statement gives another type now; known otherwise than by
    /// its words.
    pub fn stale(message: impl Into<String>) -> Self {
        Self::of(Kind::Stale, message)
    }

    /// A URL or another setting cannot be used.
    pub fn settings(message: impl Into<String>) -> Self {
        Self::of(Kind::Settings, message)
    }

    /// What came back is not what was asked for.
    pub fn unlike(message: impl Into<String>) -> Self {
        Self::of(Kind::Unlike, message)
    }

    /// The pool was closed by the application, or the runtime that serves it has ended: no call
    /// through it will be answered.
    pub fn closed(message: impl Into<String>) -> Self {
        Self::of(Kind::Closed, message)
    }

    /// The same with what the server said beside it.
    pub fn with_detail(mut self, detail: Option<&str>) -> Self {
        self.detail = detail.map(str::to_owned);
        self
    }

    /// A pooler gives a session for a transaction or a statement only.
    pub(crate) fn session_mode(message: impl Into<String>) -> Self {
        Self::of(Kind::SessionMode, message)
    }

    /// A pooler has no second session to give.
    pub(crate) fn pool_too_small(message: impl Into<String>) -> Self {
        Self::of(Kind::PoolTooSmall, message)
    }

    /// What all servers of a URL said, of which none could be used.
    pub(crate) fn of_all(mut failures: Vec<Self>) -> Self {
        if failures.len() == 1 {
            return failures.remove(0);
        }
        let messages: Vec<String> = failures.iter().map(Self::to_string).collect();
        // One that may come back makes all of it worth another try.
        let passing = failures.iter().find(|failure| failure.is_passing());
        let kind = passing
            .or(failures.first())
            .map_or(Kind::Lost, |failure| failure.kind.clone());
        Self::of(
            kind,
            format!("none of the servers: {}", messages.join("; ")),
        )
    }

    /// The same, with the server that said it.
    pub(crate) fn of_server(mut self, server: &impl std::fmt::Display) -> Self {
        self.message = format!("{server}: {}", self.message);
        self
    }

    fn of(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            detail: None,
        }
    }

    /// The same, with how a URL is written.
    pub(crate) fn about_the_url(mut self) -> Self {
        self.message = format!(
            "the database URL cannot be used: {}; the form is postgres://USER:PASSWORD@HOST:PORT/DATABASE",
            self.message
        );
        self
    }

    /// The same, with what to look at where the first connection fails.
    pub(crate) fn while_connecting(mut self) -> Self {
        if self.name().is_some() {
            return self;
        }
        let advice = match self.kind {
            Kind::Settings => advice::by_words(&self.message),
            _ => Some(advice::of(self.code(), &self.message)),
        };
        let advice = advice.map_or_else(String::new, |advice| format!("; {advice}"));
        self.message = format!("cannot connect to Postgres: {}{advice}", self.message);
        self
    }

    /// The SQLSTATE, where there is one and the driver tells it.
    pub fn code(&self) -> Option<&str> {
        match &self.kind {
            Kind::Refused(code) => code.as_deref(),
            Kind::Lost
            | Kind::Settings
            | Kind::Unlike
            | Kind::SessionMode
            | Kind::PoolTooSmall
            | Kind::Closed
            | Kind::Stale => None,
        }
    }

    /// The name by which an error of the set-up is found in the documentation: `DURABLE_SESSION_MODE` for a pooler whose mode is not
    /// session, `DURABLE_POOL_TOO_SMALL` for one without a second session.
    pub fn name(&self) -> Option<&'static str> {
        match self.kind {
            Kind::SessionMode => Some("DURABLE_SESSION_MODE"),
            Kind::PoolTooSmall => Some("DURABLE_POOL_TOO_SMALL"),
            Kind::Lost
            | Kind::Refused(_)
            | Kind::Settings
            | Kind::Unlike
            | Kind::Closed
            | Kind::Stale => None,
        }
    }

    /// The same where a connection is made again: what let us in once is away for a while, whatever it says now (a password that was
    /// changed, a certificate that has expired, a database that is being restored).
    pub(crate) fn away(mut self) -> Self {
        if self.kind != Kind::Closed {
            self.kind = Kind::Lost;
        }
        self
    }

    /// Whether the answer is to what another client asked, or prepared: a statement that was not there or was there already, an answer that
    /// does not fit.
    pub(crate) fn is_mixed_up(&self) -> bool {
        let words = [
            "unexpected message from server",
            "unexpected or invalid data",
        ];
        self.kind == Kind::Unlike
            || self.is_about_prepared()
            || words.iter().any(|words| self.message.contains(words))
    }

    /// Whether a prepared statement was not there, or was there already.
    pub(crate) fn is_about_prepared(&self) -> bool {
        // By its words where the driver tells no SQLSTATE.
        self.code()
            .is_some_and(|code| ["26000", "42P05"].contains(&code))
            || self.message.contains("prepared statement")
    }

    /// Whether a pooler refused a transaction because of its mode.
    pub(crate) fn is_about_statement_mode(&self) -> bool {
        self.message.contains("statement pooling mode")
    }

    /// Whether the server wants the connection encrypted.
    pub(crate) fn wants_encryption(&self) -> bool {
        // Its words since version 14, and before.
        let words = ["no encryption", "SSL off"];
        words.iter().any(|words| self.message.contains(words))
    }

    /// What becomes of the call.
    fn course(&self) -> Course {
        match &self.kind {
            Kind::Lost => Course::Gone,
            Kind::Stale => Course::Stale,
            Kind::Refused(Some(code)) => course(code, &self.message),
            Kind::Refused(None)
            | Kind::Settings
            | Kind::Unlike
            | Kind::SessionMode
            | Kind::PoolTooSmall
            | Kind::Closed => Course::Lasts,
        }
    }

    /// Whether the connection is gone, or is to be given up as it can no longer be used.
    pub fn is_lost(&self) -> bool {
        matches!(self.course(), Course::Gone | Course::Stale)
    }

    /// Whether it failed for what this session has prepared, or was left in: on a new connection
    /// the call may be made again at once.
    pub fn is_stale(&self) -> bool {
        self.course() == Course::Stale
    }

    /// Whether the server refused without the driver telling which SQLSTATE it gave: asking again tells what lasts from what passes.
    pub(crate) fn is_unclear(&self) -> bool {
        self.kind == Kind::Refused(None)
    }

    /// Whether a value is what the server does not take.
    pub(crate) fn is_about_a_value(&self) -> bool {
        self.code().is_some_and(is_about_a_value)
    }

    /// Whether asking again may help.
    pub fn is_passing(&self) -> bool {
        self.course() != Course::Lasts
    }

    /// What it means that this came of trying to do something.
    pub(crate) fn into_error(self, doing: &'static str) -> DbError {
        if self.is_passing() {
            return DbError::unavailable(doing, self);
        }
        match self.code() {
            Some(code::UNDEFINED_TABLE | code::UNDEFINED_COLUMN | code::INVALID_SCHEMA) => {
                DbError::Refused(format!(
                    "the system tables are not there, or not as this library needs them: {self}; {}",
                    crate::schema::hint::MIGRATE
                ))
            }
            Some(code::INSUFFICIENT_PRIVILEGE) => DbError::Refused(format!(
                "the database role of this process may not {doing}: {self}; have a privileged role grant it what it needs, by \
                 `cargo xtask migrate --database-url URL --app-role ROLE` in a checkout of durable or a `Migration` in a program of \
                 your own, for the application's schema (`--schema`)"
            )),
            _ if matches!(
                self.kind,
                Kind::Settings | Kind::SessionMode | Kind::PoolTooSmall | Kind::Closed
            ) =>
            {
                DbError::Refused(self.to_string())
            }
            Some(code) if is_about_a_value(code) => DbError::invalid_argument(doing, self),
            _ => DbError::broken(doing, self),
        }
    }
}

pub(crate) mod code {
    pub(crate) const UNDEFINED_TABLE: &str = "42P01";
    pub(crate) const UNDEFINED_COLUMN: &str = "42703";
    pub(crate) const INVALID_SCHEMA: &str = "3F000";
    pub(crate) const INSUFFICIENT_PRIVILEGE: &str = "42501";
    pub(crate) const LOCK_NOT_AVAILABLE: &str = "55P03";
    pub(crate) const DEADLOCK: &str = "40P01";
    pub(crate) const SERIALIZATION: &str = "40001";
    pub(crate) const READ_ONLY: &str = "25006";
    pub(crate) const ABORTED: &str = "25P02";
    pub(crate) const DIVISION_BY_ZERO: &str = "22012";
    pub(crate) const QUERY_CANCELED: &str = "57014";
}

/// Whether a SQLSTATE tells of a value that the server does not take: a text that cannot be in its encoding or is too long (22), or
/// is too long for an index or for any row (54). A division by zero is no value of a caller's.
fn is_about_a_value(code: &str) -> bool {
    const DIVISION_BY_ZERO: &str = "22012";
    ["22", "54"].iter().any(|class| code.starts_with(class)) && code != DIVISION_BY_ZERO
}

/// Why an operation failed, before it is known what was asked. Shared by all operations of a batch.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The driver or the server failed.
    Driver(DriverError),
    /// The database holds what it must not.
    Broken(String),
    /// It cannot be served as it was asked.
    Refused(String),
}

impl Failure {
    pub(crate) fn broken(what: impl Into<String>) -> Self {
        Self::Broken(what.into())
    }

    /// The handle's tasks have ended: nobody will answer any more.
    pub(crate) fn closed() -> Self {
        DriverError::closed(
            "the database handle is closed: the tokio runtime in which it was opened has ended; \
            open it in the runtime that uses it",
        )
        .into()
    }

    pub(crate) fn is_unclear(&self) -> bool {
        matches!(self, Self::Driver(error) if error.is_unclear())
    }

    pub(crate) fn is_about_a_value(&self) -> bool {
        matches!(self, Self::Driver(error) if error.is_about_a_value())
    }

    /// See [`DriverError::is_stale`].
    pub(crate) fn is_stale(&self) -> bool {
        matches!(self, Self::Driver(error) if error.is_stale())
    }

    pub(crate) fn into_error(self, doing: &'static str) -> DbError {
        match self {
            Self::Driver(error) => error.into_error(doing),
            Self::Broken(what) => DbError::broken(doing, what),
            Self::Refused(why) => DbError::Refused(why),
        }
    }
}

impl From<DriverError> for Failure {
    fn from(error: DriverError) -> Self {
        Self::Driver(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> DbError {
        DriverError::refused(Some(code), "no").into_error("record a step")
    }

    #[test]
    fn what_a_main_prints_of_an_error_is_its_message_and_its_kind() {
        let cases = [
            (DriverError::lost("gone"), "gone [Lost]"),
            (
                DriverError::refused(Some("42P01"), r#"no "x""#).with_detail(Some("at all")),
                r#"no "x" (at all) [SQLSTATE 42P01]"#,
            ),
            (DriverError::refused(None, "no"), "no [Refused]"),
            (DriverError::settings("no"), "no [Settings]"),
        ];
        for (error, shown) in cases {
            assert_eq!(format!("{error:?}"), shown);
            assert!(format!("{error:#?}").contains("kind: "));
        }
    }

    #[test]
    fn what_comes_of_no_refusal_passes_if_a_connection_may_be_made_again() {
        let (lost, closed) = (DriverError::lost("gone"), DriverError::closed("closed"));
        assert!(lost.clone().into_error("look").is_retryable() && lost.is_lost());
        let stale = DriverError::stale("a plan in another language");
        assert!(stale.is_lost() && stale.is_stale() && stale.is_passing());
        let lasting = [
            DriverError::unlike("odd"),
            DriverError::settings("odd"),
            DriverError::session_mode("odd"),
            DriverError::pool_too_small("odd"),
            DriverError::refused(None, "untold"),
            closed.clone(),
            // Also where a connection is made again: nobody will open it once more.
            closed.away(),
        ];
        for error in lasting {
            assert!(!error.is_passing() && !error.is_lost(), "{error:?}");
        }
    }

    #[test]
    fn a_value_that_the_server_does_not_take_is_told_from_a_broken_promise() {
        for code in ["22021", "22P05", "22001", "54000"] {
            assert!(refused(code).is_about_arguments(), "{code}");
        }
        for code in ["22012", "23505", "53100", "XX000"] {
            assert!(!refused(code).is_about_arguments(), "{code}");
        }
    }

    #[test]
    fn a_schema_that_is_not_there_is_told_with_the_command_that_makes_it() {
        let error = refused("42P01").to_string();
        assert!(error.contains("cargo xtask migrate"), "{error}");
        let error = refused("42501").to_string();
        assert!(error.contains("--app-role"), "{error}");
    }
}
