//! A user's workflow under simulation: crashes at every boundary, and random schedules.

use std::{
    any::Any,
    collections::BTreeMap,
    fmt,
    panic::{AssertUnwindSafe, Location, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use durable_core::{
    __private::panic_message, AppBuilder, WorkflowDef, WorkflowError as _, WorkflowFn,
    ids::WorkflowId, state::WorkflowRow,
};

use super::{
    choice::Chooser,
    fact::Fact,
    invariant::{self, Violation},
    plan::{Blow, Plan, Strike},
    run::{Outcome, Scenario, Strays},
    seat::Seat,
    service::Service,
    shrink::{dense, shrink, sparse},
    world::Main,
};
use crate::Memory;

/// The id of the workflow that is checked.
const ID: &str = "checked";

/// How many random schedules are run, and for how long at most, unless it is said otherwise.
const SEEDS: u64 = 2_000;
const BUDGET: Duration = Duration::from_secs(2);

/// How many runs a failing one is shrunk with.
const SHRINKING: usize = 2_000;

/// One run's world outside of the executors.
#[derive(Default)]
struct Outside {
    services: Vec<Service>,
    build: Vec<Box<dyn Fn(AppBuilder) -> AppBuilder + Send + Sync>>,
    shared: Vec<Arc<dyn Any + Send + Sync>>,
}

/// How a run ended, for an invariant to judge.
pub struct Ended<'a> {
    outside: &'a Outside,
    memory: &'a Memory,
    result: Option<&'a str>,
}

impl Ended<'_> {
    /// The workflow's value as JSON; `None` if it ended with an error.
    pub fn value(&self) -> Option<&str> {
        self.result
    }

    /// What [`Check::shared`] made for this run.
    ///
    /// Panics where it made nothing of this type.
    pub fn shared<T: Any>(&self) -> &T {
        let mut shared = self.outside.shared.iter();
        shared
            .find_map(|value| value.downcast_ref())
            .unwrap_or_else(|| {
                panic!(
                    "nothing of type {} was given to `.shared(…)`",
                    std::any::type_name::<T>()
                )
            })
    }

    /// The service of this name.
    ///
    /// Panics where `.service(…)` was given no such name.
    pub fn service(&self, name: &str) -> &Service {
        let mut services = self.outside.services.iter();
        services
            .find(|service| service.name() == name)
            .unwrap_or_else(|| panic!("no service {name:?} was given to `.service(…)`"))
    }

    /// The rows of all workflows.
    pub fn workflows(&self) -> Vec<WorkflowRow> {
        self.memory.rows()
    }

    /// The recorded operations of a workflow, each with its number.
    pub fn steps(&self, workflow: &str) -> Vec<String> {
        self.memory.recorded_steps(&WorkflowId::from(workflow))
    }
}

/// Adds something to a run's world.
type SetUp = Arc<dyn Fn(&mut Outside) + Send + Sync>;
type Judge = Arc<dyn Fn(&Ended<'_>) -> Result<(), String> + Send + Sync>;
type Start = Arc<
    dyn Fn(Seat, Arc<Outside>) -> durable_core::runtime::BoxFuture<'static, Option<String>>
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
                    seat.fail("trouble_is_no_outcome", error.to_string());
                    return None;
                }
            };
            seat.tell(Fact::Started(ID.into()));
            let (value, end) = match handle.result().await {
                Ok(value) => {
                    let text = serde_json::to_string(&value);
                    let text = text.unwrap_or_else(|error| error.to_string());
                    (Some(text.clone()), text)
                }
                Err(error) => (None, format!("error: {}", error.message())),
            };
            seat.tell(Fact::Told {
                workflow: ID.into(),
                end,
            });
            value
        });
        future
    };
    Check {
        start: Arc::new(start),
        set_up: Vec::new(),
        judges: Vec::new(),
        crash_everywhere: false,
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
    /// the same thing.
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

    /// A fake of a service, made anew for each run and found by workflows as `ctx.state::<Service>()`. A second service needs a type of
    /// its own around it: see [`shared`](Self::shared).
    ///
    /// A call without an idempotency key that is made more often than in the run without faults is reported, for what that run calls. Only one
    /// service can be given so.
    pub fn service(self, name: &'static str) -> Self {
        self.set_up(move |outside| {
            let service = Service::new(name);
            outside.services.push(service.clone());
            outside
                .build
                .push(Box::new(move |builder| builder.state(service.clone())));
        })
    }

    fn set_up(mut self, set_up: impl Fn(&mut Outside) + Send + Sync + 'static) -> Self {
        self.set_up.push(Arc::new(set_up));
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
        if let Some(violation) = plain.violation.clone() {
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
        let shrunk = shrink(&first.outcome.choices, SHRINKING, |candidate| {
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
        self.set_up.iter().for_each(|set_up| set_up(&mut outside));
        let outside = Arc::new(outside);
        let value = Arc::new(Mutex::new(None::<(Option<String>, Memory)>));
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
                let value = start(seat, outside).await;
                *told.lock().unwrap_or_else(PoisonError::into_inner) = Some((value, memory));
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
                let (value, memory) = told.as_ref()?;
                let ended = Ended {
                    outside: &outside,
                    memory,
                    result: value.as_deref(),
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
        }
    }
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
    catch_unwind(AssertUnwindSafe(|| judge(ended)))
        .unwrap_or_else(|panic| Err(panic_message(panic.as_ref())))
}

/// How often each service was sent each call without a key.
type Unkeyed = BTreeMap<String, BTreeMap<String, (usize, &'static Location<'static>)>>;

struct Ran {
    outcome: Outcome,
    violation: Option<Violation>,
    unkeyed: Unkeyed,
}

/// What ran beside the world.
fn unseen(strays: Strays) -> Option<(&'static str, String)> {
    let what = match strays {
        Strays { tasks: 1.., .. } => {
            "a task was spawned by tokio::spawn: no seed decides when it runs, and no crash ends it; make it part of a step's body, or \
             spawn it with Runtime::spawn"
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
