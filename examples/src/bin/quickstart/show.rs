//! What a person sees of it.

use std::sync::atomic::{AtomicBool, Ordering};

use durable::{Event, db::StepResult, ids::WorkflowId, prelude::*};
use examples::screen::{Screen, Tone, words};

/// Shows what happens, also to other orders, which a launch takes up again.
pub(super) struct Show {
    pub(super) screen: Screen,
    /// The order of this call.
    order: String,
    /// The step of that order after whose checkpoint this process dies.
    crash_after: Option<String>,
    /// Whether anything of that order ran here.
    has_run: AtomicBool,
}

impl Show {
    /// Shows `order` among what happens, and dies after that step of it.
    pub(super) fn new(order: &str, crash_after: Option<String>) -> Self {
        Self {
            screen: Screen::stdout(),
            order: order.to_owned(),
            crash_after,
            has_run: AtomicBool::new(false),
        }
    }

    /// Whether anything of the order ran here.
    pub(super) fn has_run(&self) -> bool {
        self.has_run.load(Ordering::Relaxed)
    }

    /// Shows what happened.
    pub(super) fn event(&self, event: &Event<'_>) {
        let screen = &self.screen;
        match event {
            Event::WorkflowStarted {
                workflow, attempt, ..
            } => {
                if workflow.as_str() == self.order {
                    self.has_run.store(true, Ordering::Relaxed);
                }
                let text = match attempt {
                    1 => format!("{workflow} begins"),
                    _ => format!("{workflow} goes on (execution {attempt})"),
                };
                screen.line(Tone::Plain, text);
            }
            Event::StepReplayed {
                workflow,
                number,
                name,
                ..
            } => {
                let step = step_line(workflow, *number, name);
                let text = format!("{step}replayed: its checkpoint answered, nothing ran");
                screen.line(Tone::Dim, text);
            }
            Event::StepStarted {
                workflow,
                number,
                name,
                attempt,
                ..
            } => {
                let step = step_line(workflow, *number, name);
                let again = match attempt {
                    1 => String::new(),
                    attempt => format!(", attempt {attempt}"),
                };
                screen.progress(&step, Tone::Plain, format!("{step}running{again}"));
            }
            Event::StepRecorded {
                workflow,
                number,
                name,
                ..
            } => {
                let step = step_line(workflow, *number, name);
                screen.end(&step, Tone::Green, format!("{step}recorded"));
                if workflow.as_str() == self.order && self.crash_after.as_deref() == Some(*name) {
                    let text = "\ncrash, as asked: run it again without --crash-after";
                    screen.line(Tone::Red, text);
                    // No unwinding, no cleaning up: as a kill would.
                    std::process::abort();
                }
            }
            _ => {}
        }
    }

    /// Shows what is recorded of the order, as a table.
    pub(super) async fn table(&self, app: &App) -> Result<(), AnyError> {
        let screen = &self.screen;
        screen.line(
            Tone::Plain,
            format!("\n{:>4}  {:<16} {:<17} result", "step", "name", "took"),
        );
        for step in app.steps(&*self.order).await? {
            let took = match (step.started_at, step.completed_at) {
                (Some(start), Some(end)) => words(end.since(start)),
                _ => String::new(),
            };
            let result = match &step.result {
                StepResult::Output(value) => &*value.text,
                StepResult::Error(error) => &*error.text,
                StepResult::Nothing => "",
            };
            let line = format!("{:>4}  {:<16} {took:<17} {result}", step.number, step.name);
            screen.line(Tone::Plain, line.trim_end());
        }
        Ok(())
    }
}

fn step_line(workflow: &WorkflowId, number: i32, name: &str) -> String {
    format!("  {workflow} {number:>2}  {name:<16} ")
}
