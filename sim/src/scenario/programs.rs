//! Several random programs at once, started here and on queues, with a client that sends, cancels and resumes.

use std::{sync::Arc, time::Duration};

use durable::{App, Handle, Queue, WorkflowDef, source::Layout};
use durable_testkit::sim::{
    Chooser, LACKED, Plan, Scenario, Seat,
    fact::Fact,
    invariant::{FifoWithinPriority, Invariant, PlacesAreKept},
};
use futures_util::future::join_all;

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
}

/// A workflow of the load.
#[derive(Clone, Debug)]
struct Flow {
    id: &'static str,
    ops: Vec<Op>,
    start: How,
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
    ]
}

/// The scenario.
pub(super) fn draw(chooser: &mut Chooser, plan: &Plan) -> Scenario {
    let load = Arc::new(draw_load(chooser, plan));
    let of_client = Arc::clone(&load);
    Scenario::new(move |seat| executor(seat, Arc::clone(&load)))
        .client(move |seat| client(seat, Arc::clone(&of_client)))
}

fn draw_load(chooser: &mut Chooser, plan: &Plan) -> Load {
    let executors = u32::try_from(plan.executors).unwrap_or(1);
    let count = 1 + chooser.choose(4) as usize;
    // Where idle time is not skipped, a day would take a day's polls.
    let longest = if plan.skip { 86_400_000 } else { 900_000 };
    let among = Among { ids: &IDS, longest };
    let flows = IDS[..count].iter().map(|id| {
        let ops = program::draw(chooser, 5, 1, &among);
        let start = match chooser.choose(4) {
            0 | 1 => How::Here(1 + chooser.choose(executors) as usize),
            2 => How::Queue("q", chooser.one_of(&[0, 1, 2])),
            _ => How::Queue("narrow", chooser.one_of(&[0, 0, 1])),
        };
        let timeout = chooser.one_of(&[None, None, None, None, Some(2_000), Some(60_000)]);
        Flow {
            id,
            ops,
            start,
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
    Load {
        flows,
        actions,
        odd_wait: chooser.choose(4) == 1,
    }
}

async fn executor(seat: Seat, load: Arc<Load>) {
    let app = seat
        .launch(APPLICATION, |builder| {
            builder
                .workflow(program)
                .state(program::Books {
                    here: seat.tables(Layout::System),
                    elsewhere: seat.tables(Layout::Other),
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
    let app = seat.launch(APPLICATION, |builder| builder).await;
    let flows = load
        .flows
        .iter()
        .filter(|flow| matches!(flow.start, How::Queue(..)));
    let ends = join_all(flows.map(|flow| see_through(&seat, &app, flow)));
    let odd = async {
        if load.odd_wait {
            wait_for_what_cannot_be(&seat, &app).await;
        }
    };
    futures_util::future::join3(ends, act(&seat, &app, &load), odd).await;
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
    let start = match flow.timeout {
        Some(timeout) => start.timeout(timeout),
        None => start,
    };
    match start.await {
        Ok(handle) => {
            seat.tell(Fact::Started(flow.id.into()));
            tell_end(seat, &handle, flow).await;
        }
        Err(error) => seat.fail("trouble_is_no_outcome", error.to_string()),
    }
}

async fn tell_end(seat: &Seat, handle: &Handle<Vec<String>>, flow: &Flow) {
    let end = match handle.result().await {
        Ok(results) => {
            if let Err(wrong) = program::check(flow.id, &flow.ops, &results) {
                seat.fail("results_are_the_programs", wrong);
            }
            results.join("; ")
        }
        // A program has no errors of its own: it was cancelled, or its timeout was over.
        Err(error) if error.to_string().contains("cancelled") => "cancelled".to_owned(),
        Err(error) => return seat.fail("trouble_is_no_outcome", error.to_string()),
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
                let _ = app.send(to, &topic_name(topic), &message).await;
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
