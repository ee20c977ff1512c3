//! What `tracing` is told on the thread of one test.

use std::{
    cell::RefCell,
    fmt::{self, Write as _},
    sync::Once,
    thread::{self, ThreadId},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

thread_local! {
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// The lines of the level "info" and above that this thread has told, each as `LEVEL message field=value …`.
pub struct Captured(ThreadId);

impl Captured {
    /// Captures what this thread tells from now on: all of a test that runs on one.
    pub fn here() -> Self {
        // One for the whole program: where each test had its own, a line told first by a test without one would be off for all.
        static SET: Once = Once::new();
        SET.call_once(|| tracing::subscriber::set_global_default(Lines).expect("the only one"));
        LINES.with_borrow_mut(|lines| *lines = Some(Vec::new()));
        Self(thread::current().id())
    }

    pub fn lines(&self) -> Vec<String> {
        assert_eq!(self.0, thread::current().id(), "another thread's lines");
        LINES.with_borrow(|lines| lines.clone().unwrap_or_default())
    }

    pub fn clear(&self) {
        assert_eq!(self.0, thread::current().id(), "another thread's lines");
        LINES.with_borrow_mut(|lines| *lines = Some(Vec::new()));
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        LINES.with_borrow_mut(|lines| *lines = None);
    }
}

struct Lines;

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO && metadata.target().starts_with("durable")
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let level = event.metadata().level();
        let line = format!("{level} {}{}", line.message, line.fields);
        LINES.with_borrow_mut(|lines| {
            if let Some(lines) = lines {
                lines.push(line);
            }
        });
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
        written.expect("a string takes it");
    }
}
