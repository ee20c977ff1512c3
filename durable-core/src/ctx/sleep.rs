//! Durable sleep: the time to wake is recorded, so that a restart waits only for the rest.

use std::{panic::Location, pin::pin, time::Duration};

use futures_util::future::select;

use super::{Ctx, Operation, operation::Built};
use crate::{
    Error,
    codec::PORTABLE_JSON,
    db::{StepRecord, StepResult},
    engine::{
        Event,
        execution::{Call, Execution},
        order::Position,
    },
    payload::Encoded,
    runtime::Timer,
    sabotage::Bug,
    time::Timestamp,
};

/// The name that sleeps and the timeouts of waits are recorded under.
pub const SLEEP: &str = "DBOS.sleep";

impl Ctx {
    /// Sleeps for a duration, in whole milliseconds, that survives restarts: it wakes at the time recorded when it first ran.
    ///
    /// Zero is no operation at all. Errors: `Nested` and `ForeignTask` for a sleep that is where it must not be.
    #[track_caller]
    pub fn sleep(&self, duration: Duration) -> Operation<'static, ()> {
        if duration.as_millis() == 0 {
            return Operation::ready((), SLEEP);
        }
        let built: Built = self.build(SLEEP, 1, Location::caller());
        Operation::new(SLEEP, built, move |execution, call| async move {
            let call = Call {
                name: SLEEP,
                ..call
            };
            let settles = |wake, now| execution.order.settle_sleep(call.number, wake, now);
            let wake = wake_time(&execution, call, duration, settles).await?;
            if !execution.order.is_past(call.number) {
                let _waits = execution.interrupt.waits();
                sleep_until(&execution, wake).await;
            }
            execution.engine.observe(&Event::Slept {
                workflow: execution.id(),
                execution: &execution.owner.token,
                number: call.number,
            });
            Ok(())
        })
    }
}

/// When a wait ends: as recorded, or, recorded now, `duration` from now by the database's clock.
/// `settles` gives its place among the operations that end, for a wake time and the time of now.
pub(super) async fn wake_time(
    execution: &Execution,
    call: Call<'_>,
    duration: Duration,
    settles: impl FnOnce(Timestamp, Timestamp) -> Timestamp,
) -> Result<Timestamp, Error> {
    if let Some(record) = execution.replay(call).await {
        return match parse(record) {
            Some(_) if Bug::SleepStartsOver.is_planted() => {
                Ok(execution.engine.clock.now().saturating_add(duration))
            }
            Some(wake) => Ok(wake),
            None => execution.refuse(unreadable(execution, record)).await,
        };
    }
    execution.gate().await;
    let mut stamp = execution.stamp(call.number, call.name);
    let now = if Bug::PlacesMoveWakes.is_planted() {
        execution.order.least(call.number).max(stamp.started_at)
    } else {
        stamp.started_at
    };
    let wake = now.saturating_add(duration);
    stamp.completed_at = settles(wake, now);
    let result = StepResult::Output(encode(wake));
    match execution.record_stamped(&stamp, result, None).await {
        Ok(()) => Ok(wake),
        // Nothing in it is the caller's.
        Err(error) => execution.refuse(error).await,
    }
}

/// Waits until the database's clock, as this process knows it, shows `wake`.
pub(super) async fn sleep_until(execution: &Execution, wake: Timestamp) {
    if execution.rehearsal.is_some() {
        return;
    }
    let engine = &execution.engine;
    let wake = if Bug::SleepEndsEarly.is_planted() {
        Timestamp::from_millis(wake.as_millis() - 1000)
    } else {
        wake
    };
    loop {
        let mut jumps = pin!(engine.clock.jumps());
        jumps.as_mut().enable();
        if execution.now() >= wake {
            return;
        }
        if Bug::SleepsByWallClock.is_planted() && engine.runtime.now() >= wake {
            return;
        }
        let timer = engine.runtime.sleep(engine.clock.until(wake), Timer::Work);
        select(timer, jumps).await;
    }
}

/// The place of a recorded operation among those that end.
pub(crate) fn place_of(record: &StepRecord) -> Position {
    let wake = parse(record).filter(|_| record.name == SLEEP);
    let done = record.completed_at.or(record.started_at);
    Position {
        // Other SDKs may have recorded when the sleep began.
        at: wake.max(done).unwrap_or(Timestamp::from_millis(0)),
        wake,
    }
}

/// Epoch seconds as a JSON number, whatever codec the application has: other SDKs read it.
fn encode(wake: Timestamp) -> Encoded {
    let (seconds, ms) = (wake.as_millis() / 1000, wake.as_millis() % 1000);
    Encoded::new(format!("{seconds}.{ms:03}"), PORTABLE_JSON)
}

fn parse(record: &StepRecord) -> Option<Timestamp> {
    let StepResult::Output(value) = &record.result else {
        return None;
    };
    let seconds: f64 = value.text.trim().parse().ok()?;
    // Rounded, so that a time of whole milliseconds is read back as itself; times out of range end at the range.
    #[allow(clippy::cast_possible_truncation)]
    seconds
        .is_finite()
        .then(|| Timestamp::from_millis((seconds * 1000.0).round() as i64))
}

fn unreadable(execution: &Execution, record: &StepRecord) -> Error {
    Error::Decode {
        what: format!(
            "the wake time of operation {} of workflow {:?}",
            record.number,
            execution.id().as_str()
        ),
        type_name: "epoch seconds".to_owned(),
        reason: format!("{:?} is recorded", record.result),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> StepRecord {
        StepRecord {
            number: 1,
            name: SLEEP.to_owned(),
            result: StepResult::Output(Encoded::new(text, PORTABLE_JSON)),
            child: None,
            started_at: None,
            completed_at: None,
        }
    }

    #[test]
    fn a_wake_time_is_epoch_seconds_and_read_back_to_the_millisecond() {
        let wake = Timestamp::from_millis(1_795_480_988_041);
        let stored = encode(wake);
        assert_eq!(stored.text, "1795480988.041");
        assert_eq!(parse(&record(&stored.text)), Some(wake));
        let python = parse(&record("1795480988.741149"));
        assert_eq!(python, Some(Timestamp::from_millis(1_795_480_988_741)));
        assert_eq!(parse(&record("soon")), None);
    }
}
