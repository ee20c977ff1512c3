//! Several random programs at once, started here and on queues, with a client that sends, cancels and resumes.

use std::{sync::Arc, time::Duration};

use durable::{App, Handle, Queue, source::Layout};
use durable_core::{db::Workflows as _, time::millis};
use durable_testkit::sim::{
    Chooser, LACKED, Plan, Scenario, Seat,
    fact::{Awaits, Fact},
    invariant::{
        AttemptsAreCounted, FifoWithinPriority, Invariant, PlacesAreKept, SendsArriveOnce,
        WaitsLastAsLong,
    },
    plan::Blow,
};
use futures_util::{
    FutureExt as _,
    future::{join, join_all, join3},
};

use super::program::{self, Among, Op, program, topic_name};

const APPLICATION: &str = "programs";
const IDS: [&str; 4] = ["a", "b", "c", "d"];

/// What is run.
#[derive(Debug)]
struct Load {
    flows: Vec<Flow>,
    actions: Vec<(Duration, Action)>,
    /// Whether the client also waits for a workflow whose id cannot be.
    odd_wait: bool,
    /// What the client waits for: after how long, whose event, under which key, and for how long at most.
    reads: Vec<(Duration, &'static str, u8, Duration)>,
    /// The versions of the executors, and that of the client, which is one of theirs.
    versions: Vec<&'static str>,
    of_client: &'static str,
}

/// A workflow of the load.
#[derive(Clone, Debug)]
struct Flow {
    id: &'static str,
    ops: Vec<Op>,
    start: How,
    /// Whether it is left to the newest version, if it is put on a queue.
    unversioned: bool,
    timeout: Option<Duration>,
}

/// How a workflow is started.
#[derive(Clone, Copy, Debug)]
enum How {
    /// By this executor, which runs it.
    Here(usize),
    /// By the client, on a queue.
    Queue(&'static str, i32),
}

/// What the client does after a while.
#[derive(Clone, Copy, Debug)]
enum Action {
    Send(&'static str, u8),
    Cancel(&'static str),
    Resume(&'static str),
}

/// What must hold besides what always must.
pub(super) fn invariants() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(PlacesAreKept::new([("q", 2), ("narrow", 1)])),
        Box::new(FifoWithinPriority::default()),
        Box::new(WaitsLastAsLong::new(program::WAITS)),
        Box::new(AttemptsAreCounted::default()),
        Box::new(SendsArriveOnce::of_different_texts()),
    ]
}

/// The scenario.
pub(super) fn draw(chooser: &mut Chooser, plan: &Plan) -> Scenario {
    let load = draw_load(chooser, plan, |chooser, _, among| {
        program::draw(chooser, 5, 1, among)
    });
    of_load(load)
}

/// The same with short programs: one sends or publishes after a while, and the others wait for that.
pub(super) fn draw_signals(chooser: &mut Chooser, plan: &Plan) -> Scenario {
    let load = draw_load(chooser, plan, |chooser, id, _| {
        program::draw_signals(chooser, id == IDS[0])
    });
    of_load(load)
}

fn of_load(load: Load) -> Scenario {
    let load = Arc::new(load);
    let of_client = Arc::clone(&load);
    Scenario::new(move |seat| executor(seat, Arc::clone(&load)))
        .client(move |seat| client(seat, Arc::clone(&of_client)))
}

fn draw_load(
    chooser: &mut Chooser,
    plan: &Plan,
    draw: impl Fn(&mut Chooser, &str, &Among<'_>) -> Vec<Op>,
) -> Load {
    let executors = u32::try_from(plan.executors).unwrap_or(1);
    let count = 1 + chooser.choose(4) as usize;
    // Where idle time is not skipped, a day would take a day's polls.
    let longest = if plan.skip { 86_400_000 } else { 900_000 };
    let among = Among { ids: &IDS, longest };
    let flows = IDS[..count].iter().map(|id| {
        let ops = draw(chooser, id, &among);
        let start = match chooser.choose(4) {
            0 | 1 => How::Here(1 + chooser.choose(executors) as usize),
            2 => How::Queue("q", chooser.one_of(&[0, 1, 2])),
            _ => How::Queue("narrow", chooser.one_of(&[0, 0, 1])),
        };
        let timeout = chooser.one_of(&[None, None, None, None, Some(2_000), Some(60_000)]);
        let unversioned = chooser.choose(4) == 3;
        Flow {
            id,
            ops,
            start,
            unversioned,
            timeout: timeout.map(Duration::from_millis),
        }
    });
    let flows = flows.collect();
    let actions = (0..chooser.choose(4)).map(|_| {
        let id = chooser.one_of(&IDS[..count]);
        let action = match chooser.choose(4) {
            0 | 1 => Action::Send(id, u8::try_from(chooser.choose(2)).unwrap_or(0)),
            2 => Action::Cancel(id),
            _ => Action::Resume(id),
        };
        let after = chooser.one_of(&[0, 1, 50, 2_000, 25_000]);
        (Duration::from_millis(after), action)
    });
    let actions = actions.collect();
    let reads = (0..chooser.choose(3)).map(|_| {
        let id = chooser.one_of(&IDS[..count]);
        let key = u8::try_from(chooser.choose(2)).unwrap_or(0);
        let after = chooser.one_of(&[0, 50, 2_000]);
        let most = chooser.one_of(&[100, 30_000, 600_000]);
        let ms = Duration::from_millis;
        (ms(after), id, key, ms(most))
    });
    let reads = reads.collect();
    let versions = draw_versions(chooser, plan);
    let of_client = chooser.one_of(&versions);
    Load {
        flows,
        actions,
        odd_wait: chooser.choose(4) == 1,
        reads,
        versions,
        of_client,
    }
}

/// The versions of the executors: the same, unless all that have one may be gone for ever.
fn draw_versions(chooser: &mut Chooser, plan: &Plan) -> Vec<&'static str> {
    let all_stay = plan.strikes.iter().all(|strike| strike.blow != Blow::Death);
    let several = all_stay && chooser.choose(4) == 3;
    let version = |_| {
        if several {
            chooser.one_of(&["old", "new"])
        } else {
            "old"
        }
    };
    (0..plan.executors).map(version).collect()
}

async fn executor(seat: Seat, load: Arc<Load>) {
    let version = load.versions[seat.process() - 1];
    let app = seat
        .launch_of(APPLICATION, version, |builder| {
            builder
                .workflow(program)
                .state(program::Books {
                    here: seat.tables(Layout::System),
                    elsewhere: seat.tables(Layout::Other),
                    memory: seat.memory().clone(),
                })
                .queue(Queue::new("q").worker_concurrency(2))
                .queue(Queue::new("narrow").worker_concurrency(1))
                .queue(program::CHILDREN)
        })
        .await;
    let mine =
        |flow: &&Flow| matches!(flow.start, How::Here(executor) if executor == seat.process());
    let flows = load.flows.iter().filter(mine);
    join_all(flows.map(|flow| see_through(&seat, &app, flow))).await;
}

async fn client(seat: Seat, load: Arc<Load>) {
    let app = seat
        .launch_of(APPLICATION, load.of_client, |builder| builder)
        .await;
    let flows = load
        .flows
        .iter()
        .filter(|flow| matches!(flow.start, How::Queue(..)));
    let ends = join_all(flows.map(|flow| see_through(&seat, &app, flow)));
    let reads = join_all(load.reads.iter().map(|read| wait_for(&seat, &app, *read)));
    let odd = async {
        if load.odd_wait {
            wait_for_what_cannot_be(&seat, &app).await;
        }
    };
    join(join3(ends, act(&seat, &app, &load), reads), odd).await;
}

/// Waits for a workflow whose id the database does not take: an error for this waiter only.
async fn wait_for_what_cannot_be(seat: &Seat, app: &App) {
    let id = format!("odd{LACKED}");
    match app.handle(program, id.as_str()).result().await {
        Err(error) if error.to_string().contains("does not take") => {}
        other => seat.fail("bad_values_are_errors", format!("{other:?}")),
    }
}

/// Starts a workflow and waits for its end.
async fn see_through(seat: &Seat, app: &App, flow: &Flow) {
    let start = app.start(program, flow.ops.clone()).id(flow.id);
    let start = match flow.start {
        How::Here(_) => start,
        How::Queue(name, 0) => start.queue(name),
        How::Queue(name, priority) => start.queue(name).priority(priority),
    };
    let start = match flow.start {
        How::Queue(..) if flow.unversioned => start.application(APPLICATION),
        _ => start,
    };
    let start = match flow.timeout {
        Some(timeout) => start.timeout(timeout),
        None => start,
    };
    match start.await {
        Ok(handle) => {
            seat.tell(Fact::Started(flow.id.into()));
            check_start(seat, flow);
            tell_end(seat, &handle, flow).await;
        }
        Err(error) => seat.fail_unless_shut_down(error),
    }
}

/// What was asked for at the start stands in the row.
fn check_start(seat: &Seat, flow: &Flow) {
    let row = seat.memory().workflow(&flow.id.into()).now_or_never();
    let Some(Ok(Some(row))) = row else {
        return seat.fail("starts_are_as_asked", format!("{} is not there", flow.id));
    };
    let priority = match flow.start {
        How::Queue(_, priority) => priority,
        How::Here(_) => 0,
    };
    let timeout = flow.timeout.map(millis);
    if row.timeout_ms != timeout || row.priority != priority {
        seat.fail("starts_are_as_asked", format!("{flow:?} stands as {row:?}"));
    }
}

/// Waits for an event from outside of workflows.
async fn wait_for(seat: &Seat, app: &App, read: (Duration, &'static str, u8, Duration)) {
    let (after, of, key, most) = read;
    seat.sleep(after).await;
    let key = key.to_string();
    let asking = seat.awaits(Awaits::Event(of.into(), key.clone()));
    let event = app.get_event::<String>(of, &key, most).await;
    drop(asking);
    match event {
        Ok(Some(value)) if !value.starts_with(&format!("{of}/all/{key}/")) => {
            seat.fail(
                "results_are_the_programs",
                format!("{of} did not publish {value}"),
            );
        }
        Ok(_) => {}
        Err(error) => seat.fail_unless_shut_down(error),
    }
}

async fn tell_end(seat: &Seat, handle: &Handle<Vec<String>>, flow: &Flow) {
    let asking = seat.awaits(Awaits::End(flow.id.into()));
    let result = handle.result().await;
    drop(asking);
    let end = match result {
        Ok(results) if !program::fails(&flow.ops) => results.join("; "),
        Ok(_) => return seat.fail("results_are_the_programs", "a program that fails succeeded"),
        Err(error) if program::fails(&flow.ops) && error.to_string() == program::FAILED => {
            "failed".to_owned()
        }
        // It was cancelled, or its timeout was over.
        Err(error) if error.to_string().contains("cancelled") => "cancelled".to_owned(),
        Err(error) => return seat.fail_unless_shut_down(error),
    };
    seat.tell(Fact::Told {
        workflow: flow.id.into(),
        end,
    });
}

async fn act(seat: &Seat, app: &App, load: &Load) {
    for (nth, (after, action)) in load.actions.iter().enumerate() {
        seat.sleep(*after).await;
        // That there is no such workflow yet is no concern here.
        match *action {
            Action::Send(to, topic) => {
                let message = format!("client/{to}/{topic}/{nth}");
                if app.send(to, &topic_name(topic), &message).await.is_ok() {
                    let (to, payload) = (to.into(), format!("{message:?}"));
                    seat.tell(Fact::Posted { to, payload });
                }
            }
            Action::Cancel(id) => {
                let _ = app.cancel(id).await;
            }
            Action::Resume(id) => {
                let _ = app.resume(id).await;
            }
        }
    }
}
