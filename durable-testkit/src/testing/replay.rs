//! Workflows that have ended, run again on their history: the code must make the same calls, and come to the same end.

use std::fmt::Write as _;

use durable_core::{
    db::StepRecord,
    payload::{Encoded, Outcome},
    replay::{End, MadeCall, Recording, Replayed, Replayer},
};

/// How many calls before the difference are shown.
const BEFORE: usize = 3;

/// What differs when a workflow runs again, `None` if nothing does. No body runs, and nothing is written.
pub(super) async fn difference(
    replayer: &Replayer,
    recording: &Recording,
    outcome: Option<&Outcome>,
) -> Option<String> {
    let replayed = replayer.replay(recording).await;
    let what = judge(replayer, recording, outcome, &replayed)?;
    let (id, key) = (&recording.row.id, &recording.row.key);
    let mut text = format!("{id} ({key}), run again on its history, differs: {what}");
    write_calls(&mut text, recording, &replayed.calls);
    text.push_str(
        "\n  a workflow's code must make the same calls whenever it runs: what may differ belongs into a step",
    );
    Some(text)
}

fn judge(
    replayer: &Replayer,
    recording: &Recording,
    outcome: Option<&Outcome>,
    replayed: &Replayed,
) -> Option<String> {
    let (recorded, came) = match (outcome, &replayed.end) {
        (_, End::Stopped(error)) => return Some(error.to_string()),
        // It was cancelled or put away on its way, so its history ends anywhere.
        (None, _) | (_, End::NotRegistered) => return None,
        (Some(recorded), End::Returned(came) | End::Input { outcome: came, .. }) => {
            (recorded, came)
        }
        (Some(_), End::HistoryEnds(_)) => {
            return Some("it waits for calls that are not recorded".to_owned());
        }
        (Some(_), End::Stuck) => {
            return Some("it waits for something that is no durable operation".to_owned());
        }
    };
    if let Some(missing) = uncalled(recording, &replayed.calls) {
        let (number, name) = (missing.number, &missing.name);
        return Some(format!(
            "operation {number} {name:?} is recorded, and is not called"
        ));
    }
    let (recorded, came) = (text(replayer, recorded), text(replayer, came));
    (recorded != came).then(|| format!("it ended with {recorded}, and now ends with {came}"))
}

/// A record that no call has asked for.
fn uncalled<'a>(recording: &'a Recording, calls: &[MadeCall]) -> Option<&'a StepRecord> {
    let is_called = |number: i32| {
        calls
            .iter()
            .any(|call| (call.number..call.number + call.count).contains(&number))
    };
    recording.steps.iter().find(|step| !is_called(step.number))
}

/// An outcome as text in which the order of keys does not count.
fn text(replayer: &Replayer, outcome: &Outcome) -> String {
    let value = |stored: &Encoded| {
        let json = replayer.json("an outcome", stored).ok();
        let value = json.and_then(|json| serde_json::from_str::<serde_json::Value>(&json).ok());
        value.map_or_else(|| stored.text.clone(), |value| value.to_string())
    };
    match outcome {
        Outcome::Success(stored) => format!("success {}", value(stored)),
        Outcome::Failure(stored) => format!("error {}", value(stored)),
    }
}

/// Recorded against called, up to the first difference.
fn write_calls(text: &mut String, recording: &Recording, calls: &[MadeCall]) {
    let mut lines = Vec::new();
    let last = recording
        .steps
        .iter()
        .map(|step| step.number)
        .max()
        .unwrap_or(0);
    let last = calls
        .iter()
        .map(|call| call.number)
        .max()
        .unwrap_or(0)
        .max(last);
    for number in 1..=last {
        let step = recording.steps.iter().find(|step| step.number == number);
        let call = calls.iter().find(|call| call.number == number);
        if step.is_none() && call.is_none() {
            continue;
        }
        // The second number of a wait is its timeout's.
        let inside = calls
            .iter()
            .any(|call| call.number < number && number < call.number.saturating_add(call.count));
        if inside && call.is_none() {
            continue;
        }
        let recorded = step.map_or("nothing".to_owned(), |step| format!("{:?}", step.name));
        let called = call.map_or("nothing".to_owned(), |call| format!("{:?}", call.name));
        let place = call.map_or(String::new(), |call| format!("  {}", call.place));
        let differs = recorded != called;
        let mark = if differs { '>' } else { ' ' };
        lines.push(format!(
            "{mark} {number:>3}  recorded {recorded}, called {called}{place}"
        ));
        if differs {
            break;
        }
    }
    for line in lines.iter().skip(lines.len().saturating_sub(BEFORE + 1)) {
        let _ = write!(text, "\n  {line}");
    }
}
