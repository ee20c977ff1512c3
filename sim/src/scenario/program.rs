//! Random programs of durable operations: as data, as a workflow that runs them, and as what their results must be.

use std::sync::{Mutex, PoisonError};

use durable::{DataSource, prelude::*};
use durable_testkit::sim::{Chooser, LACKED, Rows, here};
use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{Either, join, join_all, join3, select, select_all},
    stream::FuturesUnordered,
};
use serde::{Deserialize, Serialize};
use tokio::{sync::oneshot, task::yield_now};

/// The queue of children: a queue of their own, as parents that wait in all the places of a queue would keep their children out for ever.
pub(super) const CHILDREN: &str = "children";

/// One operation of a program. Other workflows are named by their places in the load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Op {
    /// A step.
    Step,
    /// A step whose first attempts fail.
    Retried(u32),
    /// A step that fails for good.
    Failing,
    /// A step whose body panics.
    Panicking,
    /// A step whose body hangs until its time is over.
    Hanging,
    /// A durable sleep, in milliseconds.
    Sleep(u64),
    /// Sends a message: to whom, under which topic.
    Send(String, u8),
    /// Receives a message: the topic, and the timeout in milliseconds.
    Recv(u8, u64),
    /// Publishes a value under a key.
    Publish(u8),
    /// Reads a value: whose, the key, and the timeout in milliseconds.
    Read(String, u8, u64),
    /// Runs a program as a child, on a queue if one is named, and waits for it.
    Child(Vec<Op>, Option<String>),
    /// So many steps at once.
    Join(u32),
    /// A transactional step, on tables beside the system tables or elsewhere.
    Transact(Place),
    /// Two steps that are built first and awaited in the other order.
    Reversed,
    /// Operations of which the first to end counts; which one that was is the name of a step.
    Race(Vec<Leg>, Way),
    /// A step against a sleep of so many milliseconds; what lost waits, unpolled, until another step has ended, and is then awaited so.
    Held(u64, Way),
    /// Two steps of two branches, of which one begins with a word from a third; the order in which they end is the name of a step.
    Ordered,
    /// A step against a word from another branch, which gives it when its own step has ended.
    Linked,
    /// Something with a name or a value that cannot be: with a NUL, or with a character that the database lacks.
    Odd(Odd, bool),
    /// Cancels a workflow.
    Cancel(String),
    /// Resumes a workflow.
    Resume(String),
}

/// What is odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Odd {
    /// The name of a step.
    Step,
    /// What a step gives.
    Value,
    /// The topic that is sent under.
    Send,
    /// The topic that is waited for.
    Recv,
    /// The key that is published under.
    Publish,
    /// Whose value is read.
    Read,
    /// The id of a child.
    Child,
}

/// Where tables are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Place {
    /// In the system database.
    Here,
    /// In another one.
    Elsewhere,
}

/// The tables of both places.
pub(super) struct Books {
    pub(super) here: DataSource<Rows>,
    pub(super) elsewhere: DataSource<Rows>,
}

/// What takes part in a race.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Leg {
    /// A step.
    Step,
    /// A step whose second attempt succeeds.
    Retried,
    /// A sleep, in milliseconds.
    Sleep(u64),
    /// A wait for a message: the topic, and the timeout in milliseconds.
    Recv(u8, u64),
    /// A read of a value of the workflow itself: the key, and the timeout in milliseconds.
    Read(u8, u64),
    /// A transactional step.
    Transact(Place),
    /// A step, after which the branch gives way so many times.
    Yields(u8),
}

/// How several operations are awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Way {
    /// All are polled whenever one is woken.
    All,
    /// Only those that are woken.
    Woken,
}

/// Runs a program; gives one text for each operation.
#[durable::workflow]
pub(super) async fn program(ctx: Ctx, ops: Vec<Op>) -> Result<Vec<String>, AnyError> {
    let mut results = Vec::new();
    for (nth, op) in ops.into_iter().enumerate() {
        results.push(run(&ctx, op, nth).await);
    }
    Ok(results)
}

/// The text of a message or an event: who made it, where, and for whom.
fn parcel(ctx: &Ctx, to: &str, place: u8, nth: usize) -> String {
    format!("{}/{to}/{place}/{nth}", ctx.workflow_id())
}

async fn body(step: StepCtx) -> Result<i32, AnyError> {
    here::pause().await;
    Ok(step.step_id())
}

async fn run(ctx: &Ctx, op: Op, nth: usize) -> String {
    match op {
        Op::Step => text(ctx.step("step", body).await),
        Op::Retried(failures) => text(retried(ctx, failures).await),
        Op::Failing => {
            let failing = || async { Err::<i32, _>(AnyError::msg("broken")) };
            text(ctx.step("failing", failing).await)
        }
        Op::Panicking => {
            // Past the panic hook, which would print each.
            let panicking = || async { std::panic::resume_unwind(Box::new("on purpose")) };
            text::<i32, AnyError>(ctx.step("panicking", panicking).await)
        }
        Op::Hanging => {
            let hanging = ctx.step("hanging", std::future::pending::<Result<i32, AnyError>>);
            text(
                hanging
                    .timeout(Duration::from_secs(2))
                    .max_attempts(2)
                    .await,
            )
        }
        Op::Sleep(ms) => text(ctx.sleep(Duration::from_millis(ms)).await.map(|()| 0)),
        Op::Send(to, topic) => {
            let message = parcel(ctx, &to, topic, 0);
            text(ctx.send(to, &topic_name(topic), &message).await.map(|()| 0))
        }
        Op::Recv(topic, ms) => {
            let timeout = Duration::from_millis(ms);
            let received = ctx.recv::<String>(&topic_name(topic), timeout).await;
            received.map_or_else(|error| error.to_string(), optional)
        }
        Op::Publish(key) => {
            let value = parcel(ctx, "all", key, 0);
            text(ctx.set_event(&key.to_string(), &value).await.map(|()| 0))
        }
        Op::Read(of, key, ms) => {
            let timeout = Duration::from_millis(ms);
            let read = ctx.get_event::<String>(of, &key.to_string(), timeout).await;
            read.map_or_else(|error| error.to_string(), optional)
        }
        Op::Child(ops, queue) => child(ctx, ops, queue).await,
        Op::Join(n) => {
            let steps = (0..n).map(|_| ctx.step("joined", body));
            let results = join_all(steps).await;
            results.into_iter().map(text).collect::<Vec<_>>().join("+")
        }
        Op::Transact(place) => text(transact(ctx, place, nth).await),
        Op::Reversed => {
            let first = ctx.step("first", body);
            let second = ctx.step("second", body);
            let second = text(second.await);
            format!("{}+{second}", text(first.await))
        }
        Op::Race(legs, way) => race(ctx, legs, way, nth).await,
        Op::Held(ms, way) => held(ctx, ms, way).await,
        Op::Ordered => ordered(ctx).await,
        Op::Linked => linked(ctx).await,
        Op::Odd(what, nul) => odd(ctx, what, nul).await,
        Op::Cancel(of) => ctx
            .cancel(of)
            .await
            .map_or_else(refused, |done| format!("cancel {done}")),
        Op::Resume(of) => ctx
            .resume(of)
            .await
            .map_or_else(refused, |done| format!("resume {done}")),
    }
}

async fn odd(ctx: &Ctx, what: Odd, nul: bool) -> String {
    let text = format!("odd{}", if nul { '\0' } else { LACKED });
    let second = Duration::from_secs(1);
    let me = ctx.workflow_id();
    let gives = |text: String| {
        move || {
            let text = text.clone();
            async move { Ok::<_, durable::Error>(text) }
        }
    };
    let done = match what {
        Odd::Step => ctx.step(text, gives(String::new())).await.map(drop),
        Odd::Value => ctx.step("odd", gives(text)).await.map(drop),
        Odd::Send => ctx.send(me, &text, &0).await,
        Odd::Recv => ctx.recv::<u8>(&text, second).await.map(drop),
        Odd::Publish => ctx.set_event(&text, &0).await,
        Odd::Read => ctx
            .get_event::<u8>(text.as_str(), "0", second)
            .await
            .map(drop),
        Odd::Child => ctx.start(program, Vec::new()).id(text).await.map(drop),
    };
    done.map_or_else(refused, |()| "done".to_owned())
}

fn retried(ctx: &Ctx, failures: u32) -> durable::Step<'static, i32, AnyError> {
    let body = move |step: StepCtx| async move {
        here::pause().await;
        if step.attempt() > failures {
            Ok(step.step_id())
        } else {
            Err(AnyError::msg("not yet"))
        }
    };
    ctx.step("retried", body).max_attempts(failures + 1)
}

/// Adds to a number of its own, which nobody else adds to, and to one that all share.
async fn transact(ctx: &Ctx, place: Place, nth: usize) -> Result<i64, AnyError> {
    let books = ctx.state::<Books>()?;
    let book = match place {
        Place::Here => &books.here,
        Place::Elsewhere => &books.elsewhere,
    };
    let own = format!("{nth} of {}", ctx.workflow_id());
    book.transaction(ctx, "transact", async |rows: &mut Rows| {
        rows.add("all", 1);
        here::pause().await;
        Ok::<_, AnyError>(rows.add(&own, 1))
    })
    .await
}

async fn race(ctx: &Ctx, legs: Vec<Leg>, way: Way, nth: usize) -> String {
    let legs = legs.into_iter().map(|leg| match leg {
        Leg::Transact(place) => transact(ctx, place, nth).map(drop).boxed(),
        Leg::Step => ctx.step("leg", body).map(drop).boxed(),
        Leg::Yields(times) => {
            let step = ctx.step("leg", body);
            let yields = async move {
                let _ = step.await;
                for _ in 0..times {
                    yield_now().await;
                }
            };
            yields.boxed()
        }
        Leg::Retried => retried(ctx, 1).map(drop).boxed(),
        Leg::Sleep(ms) => ctx.sleep(Duration::from_millis(ms)).map(drop).boxed(),
        Leg::Recv(topic, ms) => {
            let timeout = Duration::from_millis(ms);
            let received = ctx.recv::<String>(&topic_name(topic), timeout);
            received.map(drop).boxed()
        }
        Leg::Read(key, ms) => {
            let (of, timeout) = (ctx.workflow_id().clone(), Duration::from_millis(ms));
            let read = ctx.get_event::<String>(of, &key.to_string(), timeout);
            read.map(drop).boxed()
        }
    });
    let winner = match way {
        Way::All => select_all(legs).await.1,
        Way::Woken => {
            let numbered = legs.enumerate();
            let mut set: FuturesUnordered<_> = numbered
                .map(|(leg, ends)| ends.map(move |()| leg))
                .collect();
            set.next().await.unwrap_or_default()
        }
    };
    text(ctx.step(format!("leg {winner} won"), body).await)
}

async fn linked(ctx: &Ctx) -> String {
    let racing = ctx.step("racing", body);
    let telling = ctx.step("telling", body);
    let (tells, told) = oneshot::channel();
    let race = async {
        match select(racing, told).await {
            Either::Left(_) => "step",
            Either::Right(_) => "word",
        }
    };
    let tell = async {
        let _ = telling.await;
        let _ = tells.send(());
    };
    let (winner, ()) = join(race, tell).await;
    text(ctx.step(format!("the {winner} won"), body).await)
}

async fn ordered(ctx: &Ctx) -> String {
    let (slow, quick) = (retried(ctx, 1), ctx.step("quick", body));
    let (tells, told) = oneshot::channel();
    let ends = Mutex::new(Vec::new());
    let end = |name| {
        let mut ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.push(name);
    };
    let slow = async {
        let _ = slow.await;
        end("slow");
    };
    let quick = async {
        let _ = told.await;
        let _ = quick.await;
        end("quick");
    };
    let tell = async {
        let _ = tells.send(());
    };
    join3(slow, quick, tell).await;
    let ends = ends.into_inner().unwrap_or_else(PoisonError::into_inner);
    text(ctx.step(ends.join(", "), body).await)
}

/// Awaits one future, in the given way.
async fn awaits(way: Way, future: impl Future) {
    match way {
        Way::All => drop(future.await),
        Way::Woken => {
            let mut set: FuturesUnordered<_> = [future].into_iter().collect();
            set.next().await;
        }
    }
}

async fn held(ctx: &Ctx, ms: u64, way: Way) -> String {
    let step = ctx.step("against a sleep", body);
    let sleep = ctx.sleep(Duration::from_millis(ms));
    let between = ctx.step("between", body);
    let winner = match select(step, sleep).await {
        Either::Left((_, sleep)) => {
            let _ = between.await;
            awaits(way, sleep).await;
            "step"
        }
        Either::Right((_, step)) => {
            let _ = between.await;
            awaits(way, step).await;
            "sleep"
        }
    };
    text(ctx.step(format!("the {winner} won"), body).await)
}

async fn child(ctx: &Ctx, ops: Vec<Op>, queue: Option<String>) -> String {
    let start = ctx.start(program, ops);
    let start = match queue {
        Some(queue) => start.queue(queue),
        None => start,
    };
    let handle = match start.await {
        Ok(handle) => handle,
        Err(error) => return error.to_string(),
    };
    match handle.result().await {
        Ok(results) => format!("[{}]", results.join("; ")),
        Err(_) => "no result".to_owned(),
    }
}

pub(super) fn topic_name(topic: u8) -> String {
    format!("topic {topic}")
}

fn text<T: std::fmt::Display, E: std::fmt::Display>(result: Result<T, E>) -> String {
    result.map_or_else(|error| error.to_string(), |number| number.to_string())
}

fn optional(value: Option<String>) -> String {
    value.unwrap_or_else(|| "nothing".to_owned())
}

fn refused(error: durable::Error) -> String {
    error.code().to_string()
}

/// Checks a program's results against what the operations must give, numbers included. Errors: what is wrong, in words.
pub(super) fn check(id: &str, ops: &[Op], results: &[String]) -> Result<(), String> {
    if ops.len() != results.len() {
        return Err(format!(
            "{} operations gave {} results",
            ops.len(),
            results.len()
        ));
    }
    let mut number = 1;
    for (op, result) in ops.iter().zip(results) {
        check_op(id, op, number, result).map_err(|wrong| {
            format!("operation {number} of {id}, {op:?}, gave {result:?}: {wrong}")
        })?;
        number += numbers(op);
    }
    Ok(())
}

/// How many numbers an operation takes.
fn numbers(op: &Op) -> i32 {
    match op {
        Op::Sleep(0) => 0,
        Op::Recv(..) | Op::Read(..) | Op::Child(..) | Op::Reversed => 2,
        Op::Odd(Odd::Recv | Odd::Read, _) => 2,
        Op::Join(n) => i32::try_from(*n).unwrap_or(i32::MAX),
        Op::Linked | Op::Ordered => 3,
        Op::Race(legs, _) => legs.iter().map(leg_numbers).sum::<i32>() + 1,
        Op::Held(..) => 4,
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
        Op::Failing => is("broken".to_owned()),
        Op::Panicking => is(format!(
            "step \"panicking\" (number {number} of workflow {id:?}) panicked: on purpose"
        )),
        Op::Hanging => is(format!(
            "step \"hanging\" (number {number} of workflow {id:?}) did not end within 2s in attempt 2; give it more with `.timeout(…)` (step \"hanging\" failed in each of 2 attempts)"
        )),
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
        Op::Read(of, key, _) if result == "nothing" || result.starts_with(&format!("{of}/")) => {
            is_parcel(result, "all", *key)
        }
        Op::Read(of, ..) => Err(format!("{of} did not publish that")),
        // There may be no such workflow yet.
        Op::Send(..) if result != "0" && !result.contains("no workflow") => {
            Err("it is sent, or there is no such workflow".to_owned())
        }
        Op::Child(..) if result != "no result" && !result.starts_with('[') => {
            Err("a child gives its results, or none if it was cancelled".to_owned())
        }
        Op::Send(..) | Op::Child(..) | Op::Cancel(_) | Op::Resume(_) => Ok(()),
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

/// What programs may name.
pub(super) struct Among<'a> {
    pub(super) ids: &'a [&'a str],
    /// The longest sleep, in milliseconds.
    pub(super) longest: u64,
}

/// Draws a program of at most `most` operations, with children `depth` deep.
pub(super) fn draw(chooser: &mut Chooser, most: u32, depth: u32, among: &Among<'_>) -> Vec<Op> {
    let count = 1 + chooser.choose(most);
    (0..count).map(|_| draw_op(chooser, depth, among)).collect()
}

fn draw_op(chooser: &mut Chooser, depth: u32, among: &Among<'_>) -> Op {
    let other = |chooser: &mut Chooser| chooser.one_of(among.ids).to_owned();
    let small = |chooser: &mut Chooser| u8::try_from(chooser.choose(2)).unwrap_or(0);
    let wait = |chooser: &mut Chooser| chooser.one_of(&[100, 3_000, 30_000, 1, 600_000]);
    match chooser.choose(27) {
        1 => Op::Retried(1 + chooser.choose(2)),
        2 => Op::Failing,
        3 | 4 => Op::Sleep(chooser.one_of(&[100, 0, 2_000, 20_000, among.longest])),
        5 => Op::Send(other(chooser), small(chooser)),
        6 | 7 => Op::Recv(small(chooser), wait(chooser)),
        8 => Op::Publish(small(chooser)),
        9 => Op::Read(other(chooser), small(chooser), wait(chooser)),
        10 | 11 if depth > 0 => {
            let ops = draw(chooser, 3, depth - 1, among);
            Op::Child(
                ops,
                chooser.one_of(&[None, Some(CHILDREN)]).map(str::to_owned),
            )
        }
        12 => Op::Join(2 + chooser.choose(3)),
        13 => Op::Reversed,
        16 | 17 => Op::Race(
            (0..2 + chooser.choose(2))
                .map(|_| draw_leg(chooser))
                .collect(),
            chooser.one_of(&[Way::All, Way::Woken]),
        ),
        19 | 20 => Op::Transact(chooser.one_of(&[Place::Here, Place::Elsewhere])),
        18 => Op::Held(
            chooser.one_of(&[100, 1, 2_000]),
            chooser.one_of(&[Way::All, Way::Woken]),
        ),
        23 => Op::Linked,
        24 => Op::Ordered,
        25 | 26 => Op::Odd(
            chooser.one_of(&[
                Odd::Step,
                Odd::Value,
                Odd::Send,
                Odd::Recv,
                Odd::Publish,
                Odd::Read,
                Odd::Child,
            ]),
            chooser.choose(3) == 1,
        ),
        21 => Op::Panicking,
        22 => Op::Hanging,
        14 if chooser.choose(2) == 1 => Op::Cancel(other(chooser)),
        15 if chooser.choose(2) == 1 => Op::Resume(other(chooser)),
        _ => Op::Step,
    }
}

fn draw_leg(chooser: &mut Chooser) -> Leg {
    let small = |chooser: &mut Chooser| u8::try_from(chooser.choose(2)).unwrap_or(0);
    let ms = |chooser: &mut Chooser| chooser.one_of(&[100, 1, 300, 1_000, 20_000]);
    match chooser.choose(9) {
        8 => Leg::Yields(chooser.one_of(&[1, 3])),
        7 => Leg::Transact(chooser.one_of(&[Place::Here, Place::Elsewhere])),
        0 | 1 => Leg::Step,
        2 => Leg::Retried,
        3 => Leg::Recv(small(chooser), ms(chooser)),
        4 => Leg::Read(small(chooser), ms(chooser)),
        _ => Leg::Sleep(ms(chooser)),
    }
}
