//! Calls that are made at the same time.
//!
//! They name their tokens, as nobody knows which a row holds meanwhile. The order of workflows on their queue, and of messages in a box,
//! goes by instants, which say nothing here: so each workflow has a priority of its own, and each box one message.

use durable_core::{db::Timing, time::Timestamp};
use proptest::{
    prelude::{Just, Strategy, any},
    prop_oneof,
    sample::select,
};

use crate::calls::{
    Call, Claims, End, Execution, Few, Given, KEY, Letter, New, QUEUE, TOPIC, VERSION, WORKFLOWS,
    here, one, run, three, two,
};

const TOKENS: [&str; 3] = ["t1", "t2", "t3"];
const LETTERS: [Letter; 2] = [letter("m1", "w"), letter("m2", "c")];
const WORKER: Claims = worker("blue");
const WORKERS: [Claims; 2] = [WORKER, worker("green")];

const fn letter(id: &'static str, to: &'static str) -> Letter {
    Letter {
        id,
        to,
        topic: TOPIC,
    }
}

/// Executors that never joined have one life, which comes before all others.
const fn worker(executor: &'static str) -> Claims {
    Claims {
        executor,
        life: 1,
        version: VERSION,
    }
}

/// A call of a client.
pub(super) fn call() -> impl Strategy<Value = Call> {
    let record = (execution(), number(), select(&["1", "2"][..]));
    let event = (execution(), number(), select(&["1", "2"][..]));
    let claims = select(&WORKERS[..]);
    let child = (select(&["c", "d"][..]), execution(), number());
    let send = (select(&LETTERS[..]), execution(), number());
    let changes = prop_oneof![
        8 => (id(), any::<bool>()).prop_flat_map(|(id, here)| new(id, here).prop_map(move |new| Call::Start(id, new))),
        3 => child.prop_flat_map(|(id, by, number)|
            new(id, false).prop_map(move |new| Call::StartChild(id, new, by, number))),
        4 => (execution(), any::<bool>()).prop_map(|(by, success)| Call::Finish(by, end(success))),
        1 => execution().prop_map(Call::DeadLetter),
        3 => prop_oneof![3 => id().prop_map(one), 1 => (id(), id()).prop_map(|(a, b)| two(a, b))].prop_map(Call::Cancel),
        4 => id().prop_map(|id| Call::Resume(id, Some(QUEUE))),
        2 => Just(Call::Sweep(10)),
        7 => (claims.clone(), tokens()).prop_map(|(who, tokens)| Call::Claim(who, QUEUE, tokens)),
        2 => (claims.clone(), execution(), token()).prop_map(|(who, held, token)| Call::Adopt(who, one(held), one(token))),
        3 => (claims, execution()).prop_map(|(who, held)| Call::Requeue(who, one(held))),
        1 => execution().prop_map(|held| Call::Release(one(held))),
        6 => record.prop_map(|(by, number, value)| Call::Record(by, number, Given::Value(value))),
        2 => event.prop_map(|(by, number, value)| Call::SetEvent(by, KEY, number, value)),
        1 => select(&LETTERS[..]).prop_map(Call::Mail),
        2 => send.prop_map(|(letter, by, number)| Call::Send(letter, by, number)),
        4 => (execution(), number(), any::<bool>())
            .prop_map(|(by, number, otherwise)| Call::Receive(by, TOPIC, number, otherwise)),
    ];
    prop_oneof![5 => changes, 1 => select(reads())]
}

fn id() -> impl Strategy<Value = &'static str> + Clone {
    select(&WORKFLOWS[..])
}

fn token() -> impl Strategy<Value = &'static str> {
    select(&TOKENS[..])
}

fn tokens() -> impl Strategy<Value = Few<&'static str>> {
    prop_oneof![
        token().prop_map(one),
        (token(), token()).prop_map(|(a, b)| two(a, b)),
    ]
}

fn execution() -> impl Strategy<Value = Execution> {
    (id(), token()).prop_map(|(of, token)| run(of, token))
}

fn number() -> impl Strategy<Value = i32> {
    1..4_i32
}

fn end(success: bool) -> End {
    if success {
        End::Success("1")
    } else {
        End::Failure("2")
    }
}

/// What is started under an id: the first workflow runs at once or goes on the queue, the others go on it.
fn new(id: &'static str, at_once: bool) -> impl Strategy<Value = New> {
    let place = WORKFLOWS
        .iter()
        .position(|of| *of == id)
        .unwrap_or_default();
    let priority = i32::try_from(place).unwrap_or_default() + 5;
    let queue = (place > 0 || !at_once).then_some((QUEUE, priority));
    let due = Timing::Inherited(Timestamp::from_millis(i64::from(priority)));
    let timing = prop_oneof![4 => Just(Timing::Unbounded), 1 => Just(due)];
    (token(), timing).prop_map(move |(creator, timing)| New {
        queue,
        timing,
        ..here(creator)
    })
}

/// All that can be read.
pub(super) fn reads() -> Vec<Call> {
    let all = three(TOKENS[0], TOKENS[1], TOKENS[2]);
    let rows = WORKFLOWS.map(Call::Workflow);
    let events = WORKFLOWS.map(|id| Call::Event(id, KEY));
    let rest = [
        Call::Histories,
        Call::Poll(all),
        Call::ClaimedBy(all),
        Call::Unrunnable(WORKER),
        Call::Serving,
        Call::Waiting,
    ];
    rows.into_iter().chain(events).chain(rest).collect()
}

/// What shows, when all is quiet, where workflows stand on their queue, and what they were started with.
pub(super) fn closing() -> Vec<Call> {
    let all = three(WORKFLOWS[0], WORKFLOWS[1], WORKFLOWS[2]);
    let again = WORKFLOWS.map(|id| Call::Resume(id, Some(QUEUE)));
    let claim = Call::Claim(WORKER, QUEUE, three("k1", "k2", "k3"));
    let mut closing = reads();
    closing.extend([claim, Call::Cancel(all)]);
    closing.extend(again);
    closing.push(claim);
    for id in WORKFLOWS {
        for token in ["k1", "k2", "k3"] {
            closing.push(Call::Receive(run(id, token), TOPIC, 9, true));
        }
    }
    closing.extend(reads());
    closing
}
