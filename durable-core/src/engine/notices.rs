//! What is told of workflows that ended otherwise than hoped for. As many may end at once, a few a minute are told, and the others counted.

use std::{
    fmt::Write as _,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    Engine,
    execution::{Call, Execution},
    observer::notice,
};
use crate::{WorkflowError, codec::RecordedError, db::StepRecord, payload::Encoded};

/// How many of a kind are told in a minute.
const A_MINUTE: Duration = Duration::from_secs(60);
const TOLD: u32 = 10;

/// How much of an error's text is told, in characters, and how many operations are named.
const MAX_TEXT: usize = 500;
const NAMED: usize = 5;

/// How many were told, of each kind.
#[derive(Debug, Default)]
pub(super) struct Told {
    failures: Quota,
    given_up: Quota,
    unused: Quota,
}

/// Lets a few a minute pass, and counts the others.
#[derive(Debug, Default)]
struct Quota(Mutex<Minute>);

#[derive(Debug, Default)]
struct Minute {
    begun: Duration,
    told: u32,
    /// Not told, in this minute and since the last count was taken.
    withheld: u64,
}

impl Quota {
    /// Whether one more may be told; otherwise it is counted.
    fn allows(&self, now: Duration) -> bool {
        let mut minute = self.lock();
        if minute.told == 0 || minute.is_over(now) {
            minute.begun = now;
            minute.told = 0;
        }
        let allowed = minute.told < TOLD;
        minute.told += u32::from(allowed);
        minute.withheld += u64::from(!allowed);
        allowed
    }

    /// How many were not told, once their minute is over, or `now_or_never`.
    fn withheld(&self, now: Duration, now_or_never: bool) -> Option<u64> {
        let mut minute = self.lock();
        let is_due = minute.withheld > 0 && (now_or_never || minute.is_over(now));
        is_due.then(|| std::mem::take(&mut minute.withheld))
    }

    fn lock(&self) -> MutexGuard<'_, Minute> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Minute {
    fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.begun) >= A_MINUTE
    }
}

impl Engine {
    /// Warns of a workflow that has failed, unless that is turned off.
    pub(super) fn tell_failure(&self, execution: &Execution, error: &Encoded) {
        let told = &self.told.failures;
        if !self.settings.tell_failures || !told.allows(self.runtime.elapsed()) {
            return;
        }
        let error = self.message_of(error).0;
        let failed = execution.failed_operation();
        let failed = failed.and_then(|(number, name, stored)| {
            let (message, attempts) = self.message_of(&stored);
            // The last one that failed may have been caught; then it is not why the workflow failed.
            let is_why = !message.is_empty() && error.contains(&message);
            is_why.then_some((number, name, attempts))
        });
        let (number, step, attempts) = match &failed {
            Some((number, name, attempts)) => (Some(*number), Some(name.as_str()), *attempts),
            None => (None, None, None),
        };
        tracing::warn!(
            workflow = %execution.id(),
            name = %execution.key,
            step,
            number,
            attempts,
            error = clipped(&error),
            "workflow failed",
        );
    }

    /// Warns of a workflow that has ended without operations that an earlier execution of it has recorded.
    pub(super) fn tell_unused(&self, execution: &Execution) {
        let unused: Vec<_> = execution.unused().collect();
        let told = &self.told.unused;
        if !unused.is_empty() && told.allows(self.runtime.elapsed()) {
            notice(&unused_notice(execution, &unused));
        }
    }

    /// Tells how many were not told, as soon as their minute is over, or at once.
    pub(super) fn tell_withheld(&self, at_once: bool) {
        let now = self.runtime.elapsed();
        if let Some(count) = self.told.failures.withheld(now, at_once) {
            tracing::warn!(count, "more workflows failed, of which nothing was told");
        }
        if let Some(count) = self.told.given_up.withheld(now, at_once) {
            tracing::info!(
                count,
                "more steps failed in each attempt, of which nothing was told"
            );
        }
        if let Some(count) = self.told.unused.withheld(now, at_once) {
            notice(&format!(
                "{count} more workflows have ended without operations that are recorded of them"
            ));
        }
    }

    /// What a stored error says, and after how many attempts if there were several.
    fn message_of(&self, stored: &Encoded) -> (String, Option<usize>) {
        let what = "a recorded error";
        match self.codecs.decode::<RecordedError>(&what, stored) {
            Ok(error) => {
                let earlier = error.earlier_attempts.len();
                (error.message, (earlier > 0).then_some(earlier + 1))
            }
            Err(error) => (error.to_string(), None),
        }
    }
}

impl Execution {
    /// Reports a step that has failed in each of its attempts, unless that is turned off. It is no
    /// warning: a workflow that fails because of it is one, which names the step.
    pub(crate) fn tell_gave_up(&self, call: Call<'_>, attempts: u32, error: &impl WorkflowError) {
        let engine = &self.engine;
        let told = &engine.told.given_up;
        if !engine.settings.tell_failures || !told.allows(engine.runtime.elapsed()) {
            return;
        }
        tracing::info!(
            workflow = %self.id(),
            step = call.name,
            number = call.number,
            attempts,
            error = clipped(&error.message()),
            "each attempt of a step has failed"
        );
    }
}

fn unused_notice(execution: &Execution, unused: &[&StepRecord]) -> String {
    let mut text = format!(
        "workflow {:?} ({}) has ended without what an earlier execution of it has recorded:",
        execution.id().as_str(),
        execution.key,
    );
    for (index, step) in unused.iter().take(NAMED).enumerate() {
        let comma = if index > 0 { "," } else { "" };
        // Writing to a string does not fail.
        let _ = write!(text, "{comma} {:?} (operation {})", step.name, step.number);
    }
    if unused.len() > NAMED {
        let _ = write!(text, " and {} more", unused.len() - NAMED);
    }
    text.push_str(
        "; its code makes them no longer, and what they did stays done. Before code is changed, hold it against the recorded \
         histories: `durable_testkit::replay`",
    );
    text
}

fn clipped(text: &str) -> &str {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_minute_are_told_and_the_others_counted_when_it_is_over() {
        let quota = Quota::default();
        let at = |seconds: u64| Duration::from_secs(100 + seconds);
        let told = |seconds: u64| (0..15).filter(|_| quota.allows(at(seconds))).count();
        assert_eq!(quota.withheld(at(0), false), None);
        assert_eq!(told(0), 10);
        assert_eq!(told(59), 0);
        assert_eq!(quota.withheld(at(59), false), None);
        assert_eq!(quota.withheld(at(60), false), Some(20));
        assert_eq!(quota.withheld(at(61), false), None);
        assert_eq!(told(62), 10);
        assert_eq!(quota.withheld(at(63), true), Some(5));
    }

    #[test]
    fn a_minute_begins_with_the_first_that_is_told() {
        let quota = Quota::default();
        for second in 0..TOLD {
            assert!(quota.allows(Duration::from_secs(1000 + u64::from(second))));
        }
        assert!(!quota.allows(Duration::from_secs(1059)));
        assert!(quota.allows(Duration::from_secs(1060)));
        // What was withheld is told as soon as the new minute is over, if not before.
        assert_eq!(quota.withheld(Duration::from_secs(1120), false), Some(1));
    }
}
