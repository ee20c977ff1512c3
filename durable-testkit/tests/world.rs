//! The simulated world itself: orders, crashes, time.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use durable_core::runtime::Timer;
use durable_testkit::sim::{
    Chooser, Outcome, Plan, Scenario, Seat, here,
    plan::{Blow, Order, Strike},
};
use tokio::sync::mpsc;

/// What happened, as the tasks of a run say.
type Log = Arc<Mutex<Vec<String>>>;

fn say(log: &Log, text: impl Into<String>) {
    log.lock().expect("nobody panics").push(text.into());
}

/// Decides against nothing.
fn boring() -> Chooser {
    Chooser::listed(Vec::new())
}

fn run(scenario: &Scenario, plan: Plan) -> Outcome {
    scenario.run(plan, boring(), Vec::new(), true)
}

/// What an executor says in a run that ends well.
fn heard<Fut>(
    plan: Plan,
    chooser: Chooser,
    executor: impl Fn(Seat, Log) -> Fut + Send + Sync + 'static,
) -> Vec<String>
where
    Fut: Future<Output = ()> + Send + 'static,
{
    let log = Log::default();
    let spoken = Arc::clone(&log);
    let scenario = Scenario::new(move |seat| executor(seat, Arc::clone(&spoken)));
    let outcome = scenario.run(plan, chooser, Vec::new(), true);
    assert_eq!(outcome.violation, None, "{:#?}", outcome.timeline);
    let said = log.lock().expect("nobody panics");
    said.clone()
}

/// Says its name when it is dropped, and tries to start something.
struct Dropped(Log, &'static str, Seat);

impl Drop for Dropped {
    fn drop(&mut self) {
        say(&self.0, format!("{} dropped", self.1));
        let log = Arc::clone(&self.0);
        let late = async move { say(&log, "a dead process started a task") };
        self.2.runtime().spawn("late", Box::pin(late)).detach();
    }
}

/// A plan without chance, in which the one executor is struck before a poll.
fn struck(at: u64, blow: Blow) -> Plan {
    Plan {
        strikes: vec![Strike {
            at,
            executor: 1,
            blow,
        }],
        faults: Duration::from_secs(60),
        ..Plan::calm()
    }
}

#[test]
fn two_tasks_go_in_every_order() {
    let plan = Plan {
        order: Order::Uniform,
        ..Plan::calm()
    };
    let order = |seed| {
        heard(
            plan.clone(),
            Chooser::seeded(seed),
            |seat, log| async move {
                for name in ["a", "b"] {
                    let log = Arc::clone(&log);
                    let task = async move {
                        say(&log, name);
                        here::pause().await;
                        say(&log, name);
                    };
                    seat.runtime().spawn(name, Box::pin(task)).detach();
                }
                seat.sleep(Duration::from_millis(1)).await;
            },
        )
        .concat()
    };
    let orders: BTreeSet<_> = (0..50).map(order).collect();
    let all = ["aabb", "abab", "abba", "baab", "baba", "bbaa"].map(str::to_owned);
    assert_eq!(orders, BTreeSet::from(all));
}

#[test]
fn a_crash_drops_all_tasks_in_their_order_and_lets_none_start() {
    let crash = Blow::Crash {
        down: Duration::from_secs(1),
        lock_kept: Duration::ZERO,
    };
    let said = heard(struck(3, crash), boring(), |seat, log| async move {
        say(&log, format!("life {}", seat.life()));
        if seat.life() == 2 {
            return;
        }
        for name in ["first", "second"] {
            let dropped = Dropped(Arc::clone(&log), name, seat.clone());
            let task = async move {
                std::future::pending::<()>().await;
                drop(dropped);
            };
            seat.runtime().spawn(name, Box::pin(task)).detach();
        }
        std::future::pending::<()>().await;
    });
    assert_eq!(
        said,
        ["life 1", "first dropped", "second dropped", "life 2"]
    );
}

#[test]
fn a_paused_process_stands_still_and_goes_on() {
    let pause = Blow::Pause(Duration::from_secs(40));
    let said = heard(struck(1, pause), boring(), |seat, log| async move {
        let begun = seat.runtime().elapsed();
        here::pause().await;
        let stood = seat.runtime().elapsed().saturating_sub(begun);
        say(&log, format!("{} s", stood.as_secs()));
    });
    assert_eq!(said, ["40 s"]);
}

#[test]
fn a_task_with_a_thousand_messages_is_not_held_up_by_tokios_budget() {
    let scenario = Scenario::new(|_seat: Seat| async {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        (0..1000).for_each(|n| sender.send(n).expect("the receiver is there"));
        drop(sender);
        let mut count = 0;
        while receiver.recv().await.is_some() {
            count += 1;
        }
        assert_eq!(count, 1000);
    });
    let outcome = run(&scenario, Plan::calm());
    assert_eq!(outcome.violation, None);
    assert!(outcome.polls < 20, "{}", outcome.polls);
}

#[test]
fn tokios_timers_and_the_worlds_are_of_one_clock() {
    const DAY: Duration = Duration::from_secs(86_400);
    let said = heard(Plan::calm(), boring(), |seat, log| async move {
        let runtime = seat.runtime();
        let begun = runtime.elapsed();
        tokio::time::sleep(DAY).await;
        say(
            &log,
            format!("{:?}", runtime.elapsed().saturating_sub(begun)),
        );
        runtime.sleep(DAY, Timer::Work).await;
        say(
            &log,
            format!("{:?}", runtime.elapsed().saturating_sub(begun)),
        );
    });
    assert_eq!(said, ["86400s", "172800s"]);
}

#[test]
fn a_panic_in_a_task_fails_the_run_with_its_words() {
    let scenario = Scenario::new(|_seat: Seat| async { panic!("so it goes") });
    let violation = run(&scenario, Plan::calm()).violation;
    let violation = violation.expect("a panic is told");
    assert_eq!(violation.invariant, "no_task_panics");
    assert!(violation.what.contains("so it goes"), "{violation}");
}

#[test]
fn a_world_in_which_nothing_will_happen_any_more_is_told_at_once() {
    let scenario = Scenario::new(|_seat: Seat| std::future::pending());
    let outcome = run(&scenario, Plan::calm());
    let violation = outcome.violation.expect("nobody waits for ever");
    assert!(violation.what.contains("E1"), "{violation}");
    assert!(outcome.polls < 20, "{}", outcome.polls);
}
