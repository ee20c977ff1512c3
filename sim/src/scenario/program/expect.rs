//! What a program's operations must give, and what must be recorded of them.

use durable_core::{
    db::{StepRecord, StepResult, Steps as _},
    ids::WorkflowId,
    state::Status,
};
use durable_testkit::Memory;
use futures_util::FutureExt as _;

use super::{FAILED, Leg, Odd, Op};

/// Whether a program ends with an error.
pub(in crate::scenario) fn fails(ops: &[Op]) -> bool {
    ops.contains(&Op::Fail)
}

/// Checks a program's results against what the operations must give, and what is recorded of them, numbers included. Errors: what is wrong,
/// in words.
pub(super) fn check(
    id: &WorkflowId,
    ops: &[Op],
    results: &[String],
    memory: &Memory,
) -> Result<(), String> {
    let ops: Vec<_> = ops.iter().take_while(|op| **op != Op::Fail).collect();
    if ops.len() != results.len() {
        return Err(format!(
            "{} operations gave {} results",
            ops.len(),
            results.len()
        ));
    }
    let history = memory.histories(std::slice::from_ref(id));
    let history = history.now_or_never().expect("the model answers at once");
    let history = history.map_err(|error| error.to_string())?;
    let records: Vec<_> = history.into_iter().flat_map(|of| of.steps).collect();
    let mut number = 1;
    for (op, result) in ops.into_iter().zip(results) {
        let wrong = |wrong| format!("operation {number} of {id}, {op:?}, gave {result:?}: {wrong}");
        check_op(id.as_str(), op, number, result).map_err(wrong)?;
        check_records(op, number, result, &records).map_err(wrong)?;
        number += numbers(op);
    }
    Ok(())
}

/// What must be recorded of an operation that has ended: the number, how the name begins, and whether it is an error.
fn records(op: &Op, number: i32, result: &str) -> Vec<(i32, &'static str, bool)> {
    let one = |name, is_error| vec![(number, name, is_error)];
    let all = |name| {
        let numbers = number..number + numbers(op);
        numbers.map(|number| (number, name, false)).collect()
    };
    let last = number + numbers(op) - 1;
    match op {
        Op::Step => one("step", false),
        Op::Retried(_) => one("retried/", false),
        Op::Failing(_) => one("failing/", true),
        Op::Final => one("final/", true),
        Op::Panicking => one("panicking", true),
        Op::Hanging(_) => one("hanging/", true),
        Op::Sleep(0) | Op::Fail => Vec::new(),
        Op::Sleep(_) => one("DBOS.sleep", false),
        Op::Send(..) => one("DBOS.send", result != "0"),
        Op::SendTwice(..) => {
            let errors = result.split('+').map(|sent| sent != "0");
            let numbered = (number..).zip(errors);
            numbered
                .map(|(number, is_error)| (number, "DBOS.send", is_error))
                .collect()
        }
        Op::Recv(..) => one("DBOS.recv", false),
        Op::Publish(_) => one("DBOS.setEvent", false),
        Op::Read(..) => one("DBOS.getEvent", false),
        Op::ReadTwice(..) => [number, number + 2]
            .map(|number| (number, "DBOS.getEvent", false))
            .to_vec(),
        Op::Child(..) => vec![
            (number, "program", false),
            (last, "DBOS.getResult", !result.starts_with('[')),
        ],
        Op::Status(_) => one("DBOS.getStatus", result.starts_with("DURABLE_")),
        Op::Cancel(_) => one("DBOS.cancelWorkflow", result.starts_with("DURABLE_")),
        Op::Resume(_) => one("DBOS.resumeWorkflow", result.starts_with("DURABLE_")),
        Op::Odd(odd, nul) => {
            let name = match odd {
                // Its own cannot be stored.
                Odd::Step => "odd?",
                Odd::Value => "odd",
                Odd::Send => "DBOS.send",
                Odd::Recv => "DBOS.recv",
                Odd::Publish => "DBOS.setEvent",
                Odd::Read => "DBOS.getEvent",
                Odd::Child => "program",
            };
            one(name, !(*odd == Odd::Value && *nul))
        }
        Op::Join(_) => all("joined"),
        Op::Transact(_) => one("transact", false),
        Op::Reversed => vec![(number, "first", false), (last, "second", false)],
        // Those that lost may have been dropped.
        Op::Race(..) => vec![(last, "leg ", false)],
        Op::Linked => vec![(number + 1, "telling", false), (last, "the ", false)],
        Op::Held(..) | Op::Ordered => all(""),
    }
}

fn check_records(
    op: &Op,
    number: i32,
    result: &str,
    recorded: &[StepRecord],
) -> Result<(), String> {
    for (number, name, is_error) in records(op, number, result) {
        let Some(record) = recorded.iter().find(|record| record.number == number) else {
            return Err(format!("nothing is recorded under {number}"));
        };
        let fits = record.name.starts_with(name)
            && matches!(record.result, StepResult::Error(_)) == is_error;
        if !fits {
            return Err(format!("recorded under {number} is {record:?}"));
        }
    }
    Ok(())
}

/// How many numbers an operation takes.
fn numbers(op: &Op) -> i32 {
    match op {
        Op::Sleep(0) | Op::Fail => 0,
        Op::Recv(..)
        | Op::Read(..)
        | Op::Child(..)
        | Op::Reversed
        | Op::SendTwice(..)
        | Op::Odd(Odd::Recv | Odd::Read, _) => 2,
        Op::Join(n) => i32::try_from(*n).unwrap_or(i32::MAX),
        Op::Linked | Op::Ordered => 3,
        Op::Race(legs, _) => legs.iter().map(leg_numbers).sum::<i32>() + 1,
        Op::Held(..) | Op::ReadTwice(..) => 4,
        _ => 1,
    }
}

fn leg_numbers(leg: &Leg) -> i32 {
    match leg {
        Leg::Step | Leg::Retried | Leg::Sleep(_) | Leg::Transact(_) | Leg::Yields(_) => 1,
        Leg::Recv(..) | Leg::Read(..) => 2,
    }
}

fn check_op(id: &str, op: &Op, number: i32, result: &str) -> Result<(), String> {
    let is = |wanted: String| {
        if result == wanted {
            Ok(())
        } else {
            Err(format!("it must give {wanted:?}"))
        }
    };
    match op {
        Op::Step | Op::Retried(_) => is(number.to_string()),
        Op::Failing(retries) => {
            let tried = tried("failing", retries + 1);
            is(format!("broken{tried}"))
        }
        Op::Final => is("final".to_owned()),
        Op::Panicking => is(format!(
            "step \"panicking\" (number {number} of workflow {id:?}) panicked: on purpose"
        )),
        Op::Hanging(attempts) => {
            let tried = tried("hanging", *attempts);
            let nth = match attempts {
                1 => String::new(),
                last => format!(" in attempt {last}"),
            };
            is(format!(
                "step \"hanging/{attempts}\" (number {number} of workflow {id:?}) did not end within 2s{nth}; give it more with `.timeout(…)`{tried}"
            ))
        }
        Op::Sleep(_) | Op::Publish(_) => is("0".to_owned()),
        Op::Join(n) => {
            let steps = (number..).take(*n as usize).map(|step| step.to_string());
            is(steps.collect::<Vec<_>>().join("+"))
        }
        Op::Transact(_) => is("1".to_owned()),
        Op::Race(..) | Op::Held(..) | Op::Linked | Op::Ordered => {
            is((number + numbers(op) - 1).to_string())
        }
        // JSON has a way to write it.
        Op::Odd(Odd::Value, true) => is("done".to_owned()),
        Op::Odd(_, true) => is("DURABLE_INVALID_NAME".to_owned()),
        Op::Odd(_, false) => is("DURABLE_INVALID".to_owned()),
        Op::Reversed => is(format!("{number}+{}", number + 1)),
        Op::Recv(topic, _) => is_parcel(result, id, *topic),
        Op::Read(of, key, _) => is_event(result, of, *key),
        Op::ReadTwice(of, key, _) => result
            .split('+')
            .try_for_each(|result| is_event(result, of, *key)),
        Op::Send(..) => is_sent(result),
        Op::SendTwice(..) => result.split('+').try_for_each(is_sent),
        Op::Child(ops, ..) => {
            let ends = if fails(ops) {
                result == FAILED
            } else {
                result.starts_with('[')
            };
            if ends || result == "cancelled" {
                Ok(())
            } else {
                Err("a child gives its results or its error, unless it was cancelled".to_owned())
            }
        }
        Op::Status(_) if result.parse::<Status>().is_err() => is("DURABLE_NOT_FOUND".to_owned()),
        Op::Status(_) | Op::Cancel(_) | Op::Resume(_) | Op::Fail => Ok(()),
    }
}

/// What the error of a step says besides that has failed in several attempts.
fn tried(name: &str, attempts: u32) -> String {
    if attempts > 1 {
        format!(" (step \"{name}/{attempts}\" failed in each of {attempts} attempts)")
    } else {
        String::new()
    }
}

fn is_sent(result: &str) -> Result<(), String> {
    // There may be no such workflow yet.
    if result == "0" || result.contains("no workflow") {
        Ok(())
    } else {
        Err("it is sent, or there is no such workflow".to_owned())
    }
}

fn is_event(result: &str, of: &str, key: u8) -> Result<(), String> {
    if result == "nothing" || result.starts_with(&format!("{of}/")) {
        is_parcel(result, "all", key)
    } else {
        Err(format!("{of} did not publish that"))
    }
}

fn is_parcel(result: &str, to: &str, place: u8) -> Result<(), String> {
    let mut parts = result.split('/').skip(1);
    let fits = parts.next() == Some(to) && parts.next() == Some(&place.to_string());
    if result == "nothing" || fits {
        Ok(())
    } else {
        Err(format!("nobody sent that to {to:?} under {place}"))
    }
}
