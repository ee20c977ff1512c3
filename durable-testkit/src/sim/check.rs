//! A user's workflow under simulation: crashes at every boundary, and random schedules.

use std::{
    any::Any,
    collections::BTreeMap,
    fmt,
    panic::Location,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use durable_core::{__private::caught, AppBuilder, WorkflowDef, WorkflowError as _, WorkflowFn};

use super::{
    choice::Chooser,
    fact::Fact,
    invariant::{self, Violation},
    plan::{Blow, Plan, Strike},
    run::{Outcome, Scenario, Strays},
    seat::Seat,
    service::{self, Service},
    shrink::{Effort, Progress, dense, shrink, sparse},
    world::Main,
};
use crate::Memory;

mod ended;

use ended::End;
pub use ended::Ended;

/// The id of the workflow that is checked.
const ID: &str = "checked";

/// How many random schedules are run, and for how long at most, unless it is said otherwise.
const SEEDS: u64 = 2_000;
const BUDGET: Duration = Duration::from_secs(2);

/// How many runs a failing one is shrunk with.
const SHRINKING: Effort = Effort {
    runs: 2_000,
    time: Duration::from_secs(30),
};

/// One run's world outside of the executors.
#[derive(Default)]
struct Outside {
    services: Vec<Service>,
    build: Vec<Box<dyn Fn(AppBuilder) -> AppBuilder + Send + Sync>>,
    shared: Vec<Arc<dyn Any + Send + Sync>>,
    /// Topics and messages.
    messages: Vec<(String, serde_json::Value)>,
}

/// Adds something to a run's world.
type SetUp = Arc<dyn Fn(&mut Outside) + Send + Sync>;
type Judge = Arc<dyn Fn(&Ended<'_>) -> Result<(), String> + Send + Sync>;
type Start = Arc<
    dyn Fn(Seat, Arc<Outside>) -> durable_core::runtime::BoxFuture<'static, Option<End>>
        + Send
        + Sync,
>;

/// A check of a workflow, being put together; [`run`](Self::run) makes it.
#[must_use = "a check does nothing until it is run"]
pub struct Check {
    start: Start,
    set_up: Vec<SetUp>,
    judges: Vec<Judge>,
    crash_everywhere: bool,
    may_fail: bool,
    seeds: u64,
    budget: Duration,
    only: Option<Only>,
}

/// One run only.
#[derive(Clone, Debug)]
enum Only {
    Crash(u64),
    Choices(Vec<u32>),
}

/// What a check has run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// How many boundaries there were to crash at.
    pub boundaries: u64,
    /// How many runs were made, with the first.
    pub runs: u64,
}

/// Why a check failed: what did not hold, and how it came to that.
pub struct Failure {
    /// What did not hold.
    pub violation: Violation,
    report: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.report)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.report)
    }
}

impl std::error::Error for Failure {}

/// Checks a workflow with this input under simulation, in which `tracing` is silent. It need not be registered otherwise; its children do, by [`Check::app`].
///
/// ```
/// # use durable_testkit::sim;
/// # use durable_core::{Invocation, WorkflowDef};
/// # fn example<D: WorkflowDef<Input = u64>>(checkout: fn(durable_core::Ctx, u64) -> Invocation<D>) {
/// sim::check(checkout, 42).crash_everywhere().run();
/// # }
/// ```
pub fn check<D, Args>(workflow: impl WorkflowFn<D, Args> + Copy, input: D::Input) -> Check
where
    D: WorkflowDef,
    D::Input: Clone + Sync,
    D::Output: serde::Serialize,
    Args: 'static,
{
    let start = move |seat: Seat, outside: Arc<Outside>| {
        let input = input.clone();
        let future: durable_core::runtime::BoxFuture<'static, _> = Box::pin(async move {
            let build = |builder: AppBuilder| {
                let steps = outside.build.iter();
                steps.fold(builder.workflow(workflow), |builder, build| build(builder))
            };
            let app = seat.launch("checked", build).await;
            let handle = match app.start(workflow, input).id(ID).await {
                Ok(handle) => handle,
                Err(error) => {
                    seat.fail_unless_shut_down(error);
                    return None;
                }
            };
            seat.tell(Fact::Started(ID.into()));
            for (nth, (topic, message)) in outside.messages.iter().enumerate() {
                let key = format!("{ID}/{nth}");
                if let Err(error) = app.send_once(ID, topic, message, &key).await {
                    seat.fail_unless_shut_down(error);
                    return None;
                }
            }
            let end = match handle.result().await {
                Ok(value) => Ok(serde_json::to_string(&value).unwrap_or_else(|e| e.to_string())),
                // It may only tell that the shutdown has stopped it.
                Err(_) if seat.is_shut_down() => return None,
                Err(error) => Err(error.message()),
            };
            seat.tell(Fact::Told {
                workflow: ID.into(),
                end: match &end {
                    Ok(value) => value.clone(),
                    Err(error) => format!("error: {error}"),
                },
            });
            Some(end)
        });
        future
    };
    Check {
        start: Arc::new(start),
        set_up: Vec::new(),
        judges: Vec::new(),
        crash_everywhere: false,
        may_fail: false,
        seeds: SEEDS,
        budget: BUDGET,
        only: None,
    }
}

impl Check {
    /// Builds the application further: child workflows, queues.
    pub fn app(
        self,
        build: impl Fn(AppBuilder) -> AppBuilder + Clone + Send + Sync + 'static,
    ) -> Self {
        self.set_up(move |outside| outside.build.push(Box::new(build.clone())))
    }

    /// Something that lives outside of the executors, made anew for each run and found by workflows as `ctx.state::<T>()`. A clone must be
    /// the same thing. Services that `make` makes are known as those of [`service`](Self::service) are:
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use durable_testkit::sim::{self, Service};
    /// # use durable_core::{Invocation, WorkflowDef};
    /// trait Payments: Send + Sync {
    ///     // …
    /// }
    ///
    /// struct Fake(Service);
    ///
    /// impl Payments for Fake {
    ///     // …
    /// }
    ///
    /// # fn example<D: WorkflowDef<Input = u64>>(checkout: fn(durable_core::Ctx, u64) -> Invocation<D>) {
    /// sim::check(checkout, 42)
    ///     .shared(|| Arc::new(Fake(Service::new("payments"))) as Arc<dyn Payments>)
    ///     .crash_everywhere()
    ///     .invariant(|end| match end.service("payments").effects().len() {
    ///         1 => Ok(()),
    ///         n => Err(format!("{n} payments")),
    ///     });
    /// # }
    /// ```
    pub fn shared<T: Clone + Send + Sync + 'static>(
        self,
        make: impl Fn() -> T + Send + Sync + 'static,
    ) -> Self {
        self.set_up(move |outside| {
            let value = make();
            outside.shared.push(Arc::new(value.clone()));
            outside
                .build
                .push(Box::new(move |builder| builder.state(value.clone())));
        })
    }

    /// A fake of a service, made anew for each run and found by workflows as `ctx.state::<Service>()`. Only one can be given so: a second
    /// one, and one that stands behind a trait of the application's, are made by [`shared`](Self::shared).
    ///
    /// A call without an idempotency key that is made more often than in the run without faults is reported, for what that run calls.
    pub fn service(self, name: &'static str) -> Self {
        self.set_up(move |outside| {
            let service = Service::new(name);
            outside
                .build
                .push(Box::new(move |builder| builder.state(service.clone())));
        })
    }

    fn set_up(mut self, set_up: impl Fn(&mut Outside) + Send + Sync + 'static) -> Self {
        self.set_up.push(Arc::new(set_up));
        self
    }

    /// A message to the workflow under this topic, sent once when it is started. Panics where it cannot be encoded.
    pub fn send<T: serde::Serialize + ?Sized>(self, topic: &str, message: &T) -> Self {
        let message = serde_json::to_value(message);
        let message = message.unwrap_or_else(|wrong| panic!("the message to {topic:?}: {wrong}"));
        let topic = topic.to_owned();
        self.set_up(move |outside| outside.messages.push((topic.clone(), message.clone())))
    }

    /// Lets it end with an error where nothing fails. Otherwise that is a failure of the check; after faults, errors are for
    /// [`invariant`](Self::invariant) to judge.
    pub fn may_fail(mut self) -> Self {
        self.may_fail = true;
        self
    }

    /// Something that must hold at the end of every run. Errors: what is wrong, in words.
    pub fn invariant(
        mut self,
        judge: impl Fn(&Ended<'_>) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.judges.push(Arc::new(judge));
        self
    }

    /// Runs it once more for every poll of the plain run, with a crash right before that: wherever anything waits.
    ///
    /// Code that does not wait is not crashed in its middle, and the polls in which executors only look around count as well.
    pub fn crash_everywhere(mut self) -> Self {
        self.crash_everywhere = true;
        self
    }

    /// How many random schedules are run after that, 2,000 unless given; fewer if the budget is used up. 0: none.
    pub fn seeds(mut self, seeds: u64) -> Self {
        self.seeds = seeds;
        self
    }

    /// For how long random schedules are run, 2 s unless given.
    pub fn budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// Only the run with a crash before this poll, as a failure names it.
    ///
    /// [`run`](Self::run) panics where the plain run has no such poll.
    pub fn only_crash_at(mut self, poll: u64) -> Self {
        self.only = Some(Only::Crash(poll));
        self
    }

    /// Only the run with these choices, as a failure names them.
    ///
    /// Panics where the text is no list of choices.
    pub fn only_choices(mut self, choices: &str) -> Self {
        let choices = dense(choices).unwrap_or_else(|wrong| panic!("{wrong}"));
        self.only = Some(Only::Choices(choices));
        self
    }

    /// Runs it all. Panics with a timeline of the first run that fails.
    #[track_caller]
    pub fn run(self) -> Checked {
        match self.try_run() {
            Ok(checked) => checked,
            Err(failure) => panic!("{failure}"),
        }
    }

    /// Runs it all. Errors: the first run that fails, with its timeline.
    pub fn try_run(self) -> Result<Checked, Box<Failure>> {
        let plain = self.once(Plan::calm(), Chooser::listed(Vec::new()), None, true);
        let failed = || {
            let error = plain.error.as_ref().filter(|_| !self.may_fail)?;
            Some(Violation {
                invariant: "ends_without_an_error",
                what: format!(
                    "{ID} ended with an error though nothing failed: {error}; if it should, say `.may_fail()`"
                ),
            })
        };
        if let Some(violation) = plain.violation.clone().or_else(failed) {
            return Err(Box::new(failure(
                &plain,
                violation,
                "without any fault",
                "",
            )));
        }
        let known = Some(&plain.unkeyed);
        let boundaries = plain.outcome.polls;
        let mut runs = 1;
        if let Some(only) = &self.only {
            if let Only::Crash(at) = only {
                assert!(
                    *at < boundaries,
                    "there is no poll {at}: the plain run has {boundaries}"
                );
            }
            self.only(only, known)?;
            return Ok(Checked {
                boundaries,
                runs: 2,
            });
        }
        if self.crash_everywhere {
            for at in 0..boundaries {
                self.crash_at(at, known)?;
                runs += 1;
            }
        }
        let begun = Instant::now();
        for seed in 0..self.seeds {
            if begun.elapsed() > self.budget {
                break;
            }
            self.random(&Chooser::seeded(seed), known)?;
            runs += 1;
        }
        Ok(Checked { boundaries, runs })
    }

    fn only(&self, only: &Only, known: Option<&Unkeyed>) -> Result<(), Box<Failure>> {
        match only {
            Only::Crash(at) => self.crash_at(*at, known),
            Only::Choices(choices) => self.random(&Chooser::listed(choices.clone()), known),
        }
    }

    fn crash_at(&self, at: u64, known: Option<&Unkeyed>) -> Result<(), Box<Failure>> {
        let strike = Strike {
            at,
            executor: 1,
            blow: Blow::Crash {
                down: Duration::from_millis(1),
                lock_kept: Duration::ZERO,
            },
        };
        let plan = Plan {
            strikes: vec![strike],
            ..Plan::calm()
        };
        let run = |timeline| self.once(plan.clone(), Chooser::listed(Vec::new()), known, timeline);
        let first = run(false);
        let Some(violation) = first.violation.clone() else {
            return Ok(());
        };
        let how = format!(
            "with a crash before poll {at}{}",
            repeats(&first, &run(false))
        );
        let again = format!(".only_crash_at({at})");
        Err(Box::new(failure(&run(true), violation, &how, &again)))
    }

    fn random(&self, chooser: &Chooser, known: Option<&Unkeyed>) -> Result<(), Box<Failure>> {
        let run = |chooser: Chooser, timeline| {
            let mut chooser = chooser;
            // A user's workflow may sleep for longer than can be watched.
            let plan = Plan {
                skip: true,
                ..Plan::draw(&mut chooser)
            };
            self.once(plan, chooser, known, timeline)
        };
        let first = run(chooser.clone(), false);
        let Some(violation) = first.violation else {
            return Ok(());
        };
        let shrunk = shrink(&first.outcome.choices, SHRINKING, tell, |candidate| {
            let again = run(Chooser::listed(candidate.to_vec()), false);
            let same =
                again.violation.as_ref().map(|found| found.invariant) == Some(violation.invariant);
            same.then_some(again.outcome.choices)
        });
        let list = || Chooser::listed(shrunk.clone());
        let small = run(list(), true);
        let how = format!(
            "in a random schedule{}",
            repeats(&small, &run(list(), false))
        );
        let violation = small.violation.clone().unwrap_or(violation);
        let again = format!(".only_choices({:?})", sparse(&shrunk));
        Err(Box::new(failure(&small, violation, &how, &again)))
    }

    /// One run. `known`: how often each call without a key is made without faults.
    fn once(&self, plan: Plan, chooser: Chooser, known: Option<&Unkeyed>, timeline: bool) -> Ran {
        let mut outside = Outside::default();
        let services = service::made_by(|| {
            self.set_up.iter().for_each(|set_up| set_up(&mut outside));
        });
        outside.services = services;
        let outside = Arc::new(outside);
        let value = Arc::new(Mutex::new(None::<(End, Memory)>));
        let (start, told) = (Arc::clone(&self.start), Arc::clone(&value));
        let of_executors = Arc::clone(&outside);
        let main: Main = Arc::new(move |seat| {
            let (start, outside, told) = (
                Arc::clone(&start),
                Arc::clone(&of_executors),
                Arc::clone(&told),
            );
            Box::pin(async move {
                let memory = seat.memory().clone();
                if let Some(end) = start(seat, outside).await {
                    *told.lock().unwrap_or_else(PoisonError::into_inner) = Some((end, memory));
                }
            })
        });
        let outcome = Scenario::of(main).run(plan, chooser, invariant::all(), timeline);
        let unkeyed = outside
            .services
            .iter()
            .map(|service| (service.name().to_owned(), service.unkeyed()));
        let unkeyed: Unkeyed = unkeyed.collect();
        let told = value.lock().unwrap_or_else(PoisonError::into_inner).take();
        let violation = outcome.violation.clone().or_else(|| {
            let unseen = unseen(outcome.strays);
            let repeated = || known.and_then(|known| repeated(known, &unkeyed));
            let judged = || {
                let (end, memory) = told.as_ref()?;
                let ended = Ended {
                    outside: &outside,
                    memory,
                    end,
                };
                let wrong = self
                    .judges
                    .iter()
                    .find_map(|judge| verdict(judge, &ended).err())?;
                Some(("invariant_of_the_test", wrong))
            };
            let found = unseen.or_else(repeated).or_else(judged);
            found.map(|(invariant, what)| Violation { invariant, what })
        });
        Ran {
            outcome,
            violation,
            unkeyed,
            error: told.and_then(|(end, _)| end.err()),
        }
    }
}

/// Says how far shrinking is.
fn tell(progress: &Progress) {
    eprintln!("{progress}");
}

/// Says so where the same run made twice was not the same.
fn repeats(first: &Ran, second: &Ran) -> &'static str {
    if first.outcome.digest == second.outcome.digest {
        ""
    } else {
        ", and made again it went another way: something in it is decided outside of the seed (a clock, random numbers, the order of \
         a HashMap), so what follows may not be the run that failed"
    }
}

/// What a judge says; a panic says it, too.
fn verdict(judge: &Judge, ended: &Ended<'_>) -> Result<(), String> {
    caught(|| judge(ended)).unwrap_or_else(Err)
}

/// How often each service was sent each call without a key.
type Unkeyed = BTreeMap<String, BTreeMap<String, (usize, &'static Location<'static>)>>;

struct Ran {
    outcome: Outcome,
    violation: Option<Violation>,
    unkeyed: Unkeyed,
    /// What the workflow's error says, if it ended with one.
    error: Option<String>,
}

/// What ran beside the world.
fn unseen(strays: Strays) -> Option<(&'static str, String)> {
    let what = match strays {
        Strays { tasks: 1.., .. } => {
            "a task was spawned by tokio::spawn: no seed decides when it runs, and no crash ends it; use `join!` in a step, and a child \
             workflow in a workflow"
        }
        Strays { threads: 1.., .. } => {
            "spawn_blocking was used, or tokio::fs, which uses it: no seed decides when its thread runs; under simulation call what blocks \
             directly"
        }
        Strays { .. } => return None,
    };
    Some(("no_unseen_tasks", what.to_owned()))
}

/// A call without a key that was made more often than without faults.
fn repeated(known: &Unkeyed, made: &Unkeyed) -> Option<(&'static str, String)> {
    for (service, calls) in made {
        for (request, (count, place)) in calls {
            let usual = known.get(service).and_then(|calls| calls.get(request));
            let usual = usual.map_or(0, |(count, _)| *count);
            if usual > 0 && *count > usual {
                let what = format!(
                    "{service} got {request:?} {count} times, and {usual} without faults: a step's body runs again when a crash comes \
                     before its checkpoint. The call at {place} has no idempotency key; give it one, for example of the workflow's id \
                     and the step's number"
                );
                return Some(("no_repeat_without_key", what));
            }
        }
    }
    None
}

fn failure(ran: &Ran, violation: Violation, how: &str, again: &str) -> Failure {
    let outcome = &ran.outcome;
    let mut report = format!("{violation}\n\nfound {how}: {}\n", outcome.plan);
    for line in outcome.timeline.iter().chain(&outcome.state) {
        report.push_str(line);
        report.push('\n');
    }
    if !again.is_empty() {
        report.push_str("\nonly this run again: sim::check(…)");
        report.push_str(again);
        report.push_str(".run()\n");
    }
    Failure { violation, report }
}
