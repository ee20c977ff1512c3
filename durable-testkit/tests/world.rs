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

fn said(log: &Log) -> Vec<String> {
    log.lock().expect("nobody panics").clone()
}

fn run(scenario: &Scenario, plan: Plan, choices: Vec<u32>) -> Outcome {
    scenario.run(plan, Chooser::listed(choices), Vec::new(), true)
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

#[test]
fn two_tasks_go_in_every_order() {
    let plan = Plan {
        order: Order::Uniform,
        ..Plan::calm()
    };
    let mut orders = BTreeSet::new();
    for seed in 0..50 {
        let log = Log::default();
        let spoken = Arc::clone(&log);
        let scenario = Scenario::new(move |seat: Seat| {
            let log = Arc::clone(&spoken);
            async move {
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
            }
        });
        let outcome = scenario.run(plan.clone(), Chooser::seeded(seed), Vec::new(), false);
        assert_eq!(outcome.violation, None);
        orders.insert(said(&log).concat());
    }
    let all = ["aabb", "abab", "abba", "baab", "baba", "bbaa"].map(str::to_owned);
    assert_eq!(orders, BTreeSet::from(all));
}

#[test]
fn a_crash_drops_all_tasks_in_their_order_and_lets_none_start() {
    let log = Log::default();
    let spoken = Arc::clone(&log);
    let scenario = Scenario::new(move |seat: Seat| {
        let log = Arc::clone(&spoken);
        async move {
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
        }
    });
    let crash = Blow::Crash {
        down: Duration::from_secs(1),
        lock_kept: Duration::ZERO,
    };
    let plan = Plan {
        strikes: vec![Strike {
            at: 3,
            executor: 1,
            blow: crash,
        }],
        faults: Duration::from_secs(60),
        ..Plan::calm()
    };
    let outcome = run(&scenario, plan, Vec::new());
    assert_eq!(outcome.violation, None, "{:#?}", outcome.timeline);
    assert_eq!(
        said(&log),
        ["life 1", "first dropped", "second dropped", "life 2"]
    );
}

#[test]
fn a_paused_process_stands_still_and_goes_on() {
    let log = Log::default();
    let spoken = Arc::clone(&log);
    let scenario = Scenario::new(move |seat: Seat| {
        let log = Arc::clone(&spoken);
        async move {
            let begun = seat.runtime().elapsed();
            here::pause().await;
            let stood = seat.runtime().elapsed().saturating_sub(begun);
            say(&log, format!("{} s", stood.as_secs()));
        }
    });
    let plan = Plan {
        strikes: vec![Strike {
            at: 1,
            executor: 1,
            blow: Blow::Pause(Duration::from_secs(40)),
        }],
        faults: Duration::from_secs(60),
        ..Plan::calm()
    };
    let outcome = run(&scenario, plan, Vec::new());
    assert_eq!(outcome.violation, None, "{:#?}", outcome.timeline);
    assert_eq!(said(&log), ["40 s"]);
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
    let outcome = run(&scenario, Plan::calm(), Vec::new());
    assert_eq!(outcome.violation, None);
    assert!(outcome.polls < 20, "{}", outcome.polls);
}

#[test]
fn tokios_timers_and_the_worlds_are_of_one_clock() {
    let log = Log::default();
    let spoken = Arc::clone(&log);
    let scenario = Scenario::new(move |seat: Seat| {
        let log = Arc::clone(&spoken);
        async move {
            let begun = seat.runtime().elapsed();
            tokio::time::sleep(Duration::from_secs(86_400)).await;
            say(
                &log,
                format!("{:?}", seat.runtime().elapsed().saturating_sub(begun)),
            );
            seat.runtime()
                .sleep(Duration::from_secs(86_400), Timer::Work)
                .await;
            say(
                &log,
                format!("{:?}", seat.runtime().elapsed().saturating_sub(begun)),
            );
        }
    });
    let outcome = run(&scenario, Plan::calm(), Vec::new());
    assert_eq!(outcome.violation, None);
    assert_eq!(said(&log), ["86400s", "172800s"]);
}

#[test]
fn a_panic_in_a_task_fails_the_run_with_its_words() {
    let scenario = Scenario::new(|_seat: Seat| async { panic!("so it goes") });
    let violation = run(&scenario, Plan::calm(), Vec::new()).violation;
    let violation = violation.expect("a panic is told");
    assert_eq!(violation.invariant, "no_task_panics");
    assert!(violation.what.contains("so it goes"), "{violation}");
}

#[test]
fn a_world_in_which_nothing_will_happen_any_more_is_told_at_once() {
    let scenario = Scenario::new(|_seat: Seat| std::future::pending());
    let outcome = run(&scenario, Plan::calm(), Vec::new());
    let violation = outcome.violation.expect("nobody waits for ever");
    assert!(violation.what.contains("E1"), "{violation}");
    assert!(outcome.polls < 20, "{}", outcome.polls);
}
