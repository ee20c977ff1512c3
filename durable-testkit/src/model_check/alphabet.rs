//! Calls drawn at random from a few names each, so that they meet.
//!
//! Every call can be made in every state: what is impossible is answered too, and the answers are compared.

use durable_core::{db::Timing, state::INTERNAL_QUEUE, time::Timestamp};
use proptest::{
    prelude::{Just, Strategy, any},
    prop_oneof,
    sample::{Select, select},
};

use crate::calls::{
    Call, Claims, End, Execution, FORMAT, Few, Given, HELD, KEY, Letter, NOW, New, QUEUE, SHOP,
    TOPIC, VERSION, WORKFLOWS, here, one, run, three, two,
};

const TOKENS: [&str; 3] = ["t1", "t2", "t3"];
const QUEUES: [&str; 2] = [QUEUE, "errands"];
const TOPICS: [&str; 2] = [TOPIC, "alarms"];
const KEYS: [&str; 2] = [KEY, "result"];
const EXECUTORS: [&str; 2] = ["blue", "green"];
const LETTERS: [&str; 3] = ["m1", "m2", "m3"];
const VALUES: [&str; 2] = ["1", "2"];
const VERSIONS: [&str; 2] = [VERSION, "v2"];
const APPLICATIONS: [&str; 2] = [SHOP, "bakery"];
const FORMATS: [&str; 2] = [FORMAT, "py_pickle"];
const HOUR: i64 = 3_600_000;

/// A call, of any method.
pub(super) fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        40 => workflow(),
        18 => checkpoint(),
        22 => taking(),
        16 => mail(),
        14 => life(),
        8 => reading(),
    ]
}

fn workflow() -> impl Strategy<Value = Call> {
    prop_oneof![
        12 => (id(), new()).prop_map(|(id, new)| Call::Start(id, new)),
        6 => (id(), new(), execution(), number())
            .prop_map(|(id, new, by, number)| Call::StartChild(id, new, by, number)),
        6 => (execution(), end()).prop_map(|(by, end)| Call::Finish(by, end)),
        2 => execution().prop_map(Call::DeadLetter),
        5 => ids().prop_map(Call::Cancel),
        6 => (id(), resuming()).prop_map(|(id, queue)| Call::Resume(id, queue)),
        4 => (1_usize..4).prop_map(Call::Sweep),
    ]
}

fn checkpoint() -> impl Strategy<Value = Call> {
    let record = (execution(), number(), given());
    let event = (execution(), select(&KEYS[..]), number(), value());
    prop_oneof![
        3 => record.prop_map(|(by, number, given)| Call::Record(by, number, given)),
        2 => event.prop_map(|(by, key, number, value)| Call::SetEvent(by, key, number, value)),
    ]
}

fn taking() -> impl Strategy<Value = Call> {
    let queue = prop_oneof![8 => select(&QUEUES[..]), 1 => Just(INTERNAL_QUEUE)];
    prop_oneof![
        6 => (claims(), queue, tokens()).prop_map(|(who, queue, tokens)| Call::Claim(who, queue, tokens)),
        2 => (claims(), executions(), tokens()).prop_map(|(who, held, tokens)| Call::Adopt(who, held, tokens)),
        3 => (claims(), executions()).prop_map(|(who, held)| Call::Requeue(who, held)),
        2 => executions().prop_map(Call::Release),
    ]
}

fn mail() -> impl Strategy<Value = Call> {
    let receive = (execution(), topic(), number(), any::<bool>());
    prop_oneof![
        2 => letter().prop_map(Call::Mail),
        2 => (letter(), execution(), number())
            .prop_map(|(letter, by, number)| Call::Send(letter, by, number)),
        4 => receive
            .prop_map(|(by, topic, number, otherwise)| Call::Receive(by, topic, number, otherwise)),
    ]
}

fn life() -> impl Strategy<Value = Call> {
    let after = prop_oneof![2 => Just(None), 1 => id().prop_map(Some)];
    prop_oneof![
        3 => (executor(), any::<bool>()).prop_map(|(id, given)| Call::Join(id, given)),
        3 => executor().prop_map(Call::Leave),
        5 => (claims(), any::<bool>(), after, 1_usize..4)
            .prop_map(|(who, own, after, limit)| Call::Abandoned(who, own, after, limit)),
        2 => (select(&APPLICATIONS[..]), version())
            .prop_map(|(application, version)| Call::Register(application, version)),
    ]
}

fn reading() -> impl Strategy<Value = Call> {
    prop_oneof![
        id().prop_map(Call::Workflow),
        Just(Call::Histories),
        (id(), select(&KEYS[..])).prop_map(|(id, key)| Call::Event(id, key)),
        tokens().prop_map(Call::ClaimedBy),
        tokens().prop_map(Call::Poll),
        version().prop_map(Call::Stranded),
        claims().prop_map(Call::Unrunnable),
        Just(Call::Serving),
        Just(Call::Waiting),
    ]
}

fn id() -> Select<&'static str> {
    select(&WORKFLOWS[..])
}

fn ids() -> impl Strategy<Value = Few<&'static str>> {
    prop_oneof![
        3 => id().prop_map(one),
        1 => (id(), id()).prop_map(|(a, b)| two(a, b)),
    ]
}

fn number() -> impl Strategy<Value = i32> {
    1..5_i32
}

fn value() -> Select<&'static str> {
    select(&VALUES[..])
}

fn given() -> impl Strategy<Value = Given> {
    prop_oneof![
        3 => value().prop_map(Given::Value),
        1 => value().prop_map(Given::Error),
        1 => Just(Given::Nothing),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        3 => value().prop_map(End::Success),
        2 => value().prop_map(End::Failure),
        1 => value().prop_map(End::Foreign),
    ]
}

fn topic() -> Select<&'static str> {
    select(&TOPICS[..])
}

fn executor() -> Select<&'static str> {
    select(&EXECUTORS[..])
}

fn version() -> Select<&'static str> {
    select(&VERSIONS[..])
}

fn letter() -> impl Strategy<Value = Letter> {
    let letter = (select(&LETTERS[..]), id(), topic());
    letter.prop_map(|(id, to, topic)| Letter { id, to, topic })
}

/// The execution that holds a workflow, or any.
fn execution() -> impl Strategy<Value = Execution> {
    let token = prop_oneof![4 => Just(HELD), 1 => select(&TOKENS[..])];
    (id(), token).prop_map(|(of, token)| run(of, token))
}

fn executions() -> impl Strategy<Value = Few<Execution>> {
    prop_oneof![
        3 => execution().prop_map(one),
        1 => (execution(), execution()).prop_map(|(a, b)| two(a, b)),
    ]
}

fn tokens() -> impl Strategy<Value = Few<&'static str>> {
    let token = || select(&TOKENS[..]);
    prop_oneof![
        2 => token().prop_map(one),
        2 => (token(), token()).prop_map(|(a, b)| two(a, b)),
        1 => (token(), token(), token()).prop_map(|(a, b, c)| three(a, b, c)),
    ]
}

/// An executor in its present life, or another one.
fn claims() -> impl Strategy<Value = Claims> {
    let life = prop_oneof![6 => Just(NOW), 1 => 1..3_i64];
    let version = prop_oneof![4 => Just(VERSION), 1 => version()];
    let claims = (executor(), life, version);
    claims.prop_map(|(executor, life, version)| Claims {
        executor,
        life,
        version,
    })
}

fn resuming() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![3 => select(&QUEUES[..]).prop_map(Some), 1 => Just(None)]
}

fn new() -> impl Strategy<Value = New> {
    let creator = select(&TOKENS[..]);
    let queue = prop_oneof![
        2 => Just(None),
        3 => (select(&QUEUES[..]), 0..3_i32).prop_map(Some),
    ];
    let timing = prop_oneof![
        3 => Just(Timing::Unbounded),
        1 => select(&[0, HOUR][..]).prop_map(Timing::Timeout),
        1 => (1..3_i64).prop_map(|ms| Timing::Inherited(Timestamp::from_millis(ms))),
    ];
    let odd = |usual: &'static str, all: &'static [&'static str]| prop_oneof![8 => Just(usual), 1 => select(all)];
    let version = prop_oneof![
        6 => Just(Some(VERSION)),
        2 => Just(None),
        1 => version().prop_map(Some),
    ];
    let name = odd("work", &["work", "other work"]);
    let (application, format) = (odd(SHOP, &APPLICATIONS), odd(FORMAT, &FORMATS));
    let new = (creator, name, queue, timing, application, version, format);
    new.prop_map(
        |(creator, name, queue, timing, application, version, format)| New {
            name,
            queue,
            timing,
            application,
            version,
            format,
            ..here(creator)
        },
    )
}

/// All that can be read, in a canonical order.
pub(super) fn dump() -> Vec<Call> {
    let all = three(TOKENS[0], TOKENS[1], TOKENS[2]);
    let rows = WORKFLOWS.map(Call::Workflow);
    let events = WORKFLOWS
        .iter()
        .flat_map(|id| KEYS.map(|key| Call::Event(id, key)));
    let rest = [
        Call::Histories,
        Call::Poll(all),
        Call::ClaimedBy(all),
        Call::Stranded("none"),
        Call::Unrunnable(CLOSER),
        Call::Serving,
        Call::Waiting,
    ];
    rows.into_iter().chain(events).chain(rest).collect()
}

/// Who looks and takes at the end.
const CLOSER: Claims = Claims {
    executor: "closer",
    life: NOW,
    version: VERSION,
};

/// What brings to light what no call reads: where workflows stand on their queues, their inputs, and their mail in its order.
pub(super) fn closing() -> Vec<Call> {
    let fresh = three("k1", "k2", "k3");
    let abandoned = EXECUTORS.map(|executor| {
        let looking = Claims { executor, ..CLOSER };
        Call::Abandoned(looking, true, None, 10)
    });
    let queues = [QUEUES[0], QUEUES[1], INTERNAL_QUEUE];
    let waiting = queues.map(|queue| Call::Claim(CLOSER, queue, fresh));
    let again = WORKFLOWS.map(|id| Call::Resume(id, Some(QUEUE)));
    let mail = WORKFLOWS.into_iter().flat_map(|id| {
        let turn = |n: i32, topic| Call::Receive(run(id, HELD), topic, n, true);
        [
            turn(11, TOPICS[0]),
            turn(12, TOPICS[1]),
            turn(13, TOPICS[0]),
            turn(14, TOPICS[1]),
        ]
    });
    let cancel = Call::Cancel(three(WORKFLOWS[0], WORKFLOWS[1], WORKFLOWS[2]));
    let mut closing = dump();
    closing.extend(abandoned);
    closing.extend(waiting);
    closing.push(cancel);
    closing.extend(again);
    closing.push(Call::Claim(CLOSER, QUEUE, fresh));
    closing.extend(mail);
    closing.extend(dump());
    closing
}
