//! Random programs of durable operations: as data, as a workflow that runs them, and as what their results must be.

mod draw;
mod expect;

use std::sync::{Mutex, PoisonError};

pub(super) use draw::{Among, draw, draw_signals};
use durable::{DataSource, prelude::*};
use durable_testkit::{
    Memory,
    sim::{LACKED, Rows, fact::Fact, here},
};
pub(super) use expect::fails;
use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{Either, join, join_all, join3, select, select_all},
    stream::FuturesUnordered,
};
use serde::{Deserialize, Serialize};
use tokio::{sync::oneshot, task::yield_now};

/// The queue of children: a queue of their own, as parents that wait in all the places of a queue would keep their children out for ever.
pub(super) const CHILDREN: &str = "children";

/// How long a program's sleeps and timeouts are, in milliseconds.
pub(super) const WAITS: &[u64] = &[
    1, 100, 300, 1_000, 2_000, 2_900, 3_000, 5_000, 15_000, 20_000, 30_000, 600_000, 900_000,
    86_400_000,
];

/// One operation of a program. Other workflows are named by their places in the load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Op {
    /// A step.
    Step,
    /// A step whose first attempts fail.
    Retried(u32),
    /// A step that fails for good, after so many retries.
    Failing(u32),
    /// A step whose error is none to retry.
    Final,
    /// A step whose body panics.
    Panicking,
    /// A step whose body hangs until its time is over, in each of so many attempts.
    Hanging(u32),
    /// A durable sleep, in milliseconds.
    Sleep(u64),
    /// Sends a message: to whom, under which topic.
    Send(String, u8),
    /// Sends two messages.
    SendTwice(String, u8),
    /// Receives a message: the topic, and the timeout in milliseconds.
    Recv(u8, u64),
    /// Publishes a value under a key.
    Publish(u8),
    /// Reads a value: whose, the key, and the timeout in milliseconds.
    Read(String, u8, u64),
    /// Reads a value twice at once.
    ReadTwice(String, u8, u64),
    /// Runs a program as a child, on a queue if one is named, with a timeout in milliseconds of its own if it has one, and waits for it.
    Child(Vec<Op>, Option<String>, Option<u64>),
    /// Asks how a workflow stands.
    Status(String),
    /// Ends the program with an error.
    Fail,
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

/// The tables of both places, and the system database past the network.
pub(super) struct Books {
    pub(super) here: DataSource<Rows>,
    pub(super) elsewhere: DataSource<Rows>,
    pub(super) memory: Memory,
}

/// What a program says that fails.
pub(super) const FAILED: &str = "failed on purpose";

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
    here::tell(Fact::Knows {
        workflow: ctx.workflow_id().clone(),
        deadline: ctx.deadline(),
    });
    let books = ctx.state::<Books>()?;
    let mut results = Vec::new();
    for (nth, op) in ops.iter().enumerate() {
        if *op == Op::Fail {
            break;
        }
        results.push(run(&ctx, op.clone(), nth).await);
    }
    let id = ctx.workflow_id();
    if let Err(wrong) = expect::check(id, &ops, &results, &books.memory) {
        here::fail("results_are_the_programs", wrong);
    }
    if fails(&ops) {
        return Err(AnyError::msg(FAILED));
    }
    Ok(results)
}

/// The text of a message or an event: who made it, for whom, where, and with which of its operations. None is the same as another.
fn parcel(ctx: &Ctx, to: &str, place: u8, nth: impl std::fmt::Display) -> String {
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
        Op::Failing(retries) => {
            let failing = || async { Err::<i32, _>(AnyError::msg("broken")) };
            let name = format!("failing/{}", retries + 1);
            text(ctx.step(name, failing).max_attempts(retries + 1).await)
        }
        Op::Final => {
            let failing = || async { Err::<i32, _>(AnyError::msg("final")) };
            let is_transient = |error: &AnyError| error.to_string() != "final";
            text(
                ctx.step("final/1", failing)
                    .max_attempts(3)
                    .retry_if(is_transient)
                    .await,
            )
        }
        Op::Panicking => {
            // Past the panic hook, which would print each.
            let panicking = || async { std::panic::resume_unwind(Box::new("on purpose")) };
            text::<i32, AnyError>(ctx.step("panicking", panicking).await)
        }
        Op::Hanging(attempts) => {
            let name = format!("hanging/{attempts}");
            let hanging = ctx.step(name, std::future::pending::<Result<i32, AnyError>>);
            let hanging = hanging.timeout(Duration::from_secs(2));
            text(hanging.max_attempts(attempts).await)
        }
        Op::Sleep(ms) => text(ctx.sleep(Duration::from_millis(ms)).await.map(|()| 0)),
        Op::Send(to, topic) => sent(ctx, &to, topic, nth).await,
        Op::SendTwice(to, topic) => {
            let first = sent(ctx, &to, topic, format!("{nth}.1")).await;
            let second = sent(ctx, &to, topic, format!("{nth}.2")).await;
            format!("{first}+{second}")
        }
        Op::Recv(topic, ms) => {
            let timeout = Duration::from_millis(ms);
            let received = ctx.recv::<String>(&topic_name(topic), timeout).await;
            received.map_or_else(|error| error.to_string(), optional)
        }
        Op::Publish(key) => {
            let value = parcel(ctx, "all", key, nth);
            text(ctx.set_event(&key.to_string(), &value).await.map(|()| 0))
        }
        Op::Read(of, key, ms) => read(ctx, of, key, ms).await,
        Op::ReadTwice(of, key, ms) => {
            let (one, two) = join(read(ctx, of.clone(), key, ms), read(ctx, of, key, ms)).await;
            format!("{one}+{two}")
        }
        Op::Child(ops, queue, timeout) => child(ctx, ops, queue, timeout).await,
        Op::Status(of) => ctx
            .status(of)
            .await
            .map_or_else(refused, |status| status.to_string()),
        // Where it stands, the program ends.
        Op::Fail => String::new(),
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

async fn sent(ctx: &Ctx, to: &str, topic: u8, nth: impl std::fmt::Display) -> String {
    let message = parcel(ctx, to, topic, nth);
    text(ctx.send(to, &topic_name(topic), &message).await.map(|()| 0))
}

async fn read(ctx: &Ctx, of: String, key: u8, ms: u64) -> String {
    let timeout = Duration::from_millis(ms);
    let read = ctx.get_event::<String>(of, &key.to_string(), timeout).await;
    read.map_or_else(|error| error.to_string(), optional)
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
    ctx.step(format!("retried/{}", failures + 1), body)
        .max_attempts(failures + 1)
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

async fn child(ctx: &Ctx, ops: Vec<Op>, queue: Option<String>, timeout: Option<u64>) -> String {
    let start = ctx.start(program, ops);
    let start = match queue {
        Some(queue) => start.queue(queue),
        None => start,
    };
    let start = match timeout {
        Some(ms) => start.timeout(Duration::from_millis(ms)),
        None => start,
    };
    let handle = match start.await {
        Ok(handle) => handle,
        Err(error) => return error.to_string(),
    };
    match handle.result().await {
        Ok(results) => format!("[{}]", results.join("; ")),
        Err(error) if error.to_string() == FAILED => FAILED.to_owned(),
        Err(error) if error.to_string().contains("cancelled") => "cancelled".to_owned(),
        Err(error) => error.to_string(),
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
