//! Runs the engine under simulation: `cargo xtask sim`.

mod scenario;

use std::time::Instant;

use durable_testkit::sim::{Chooser, Plan, invariant};

fn main() {
    let seeds: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1000);
    let one: Option<u64> = std::env::args().nth(2).and_then(|n| n.parse().ok());
    for named in scenario::ALL {
        let begin = Instant::now();
        let mut digest = 0u64;
        let mut polls = 0;
        let mut failed = 0;
        let mut landmarks = std::collections::BTreeMap::new();
        let range = one.map_or(0..seeds, |seed| seed..seed + 1);
        for seed in range {
            let scenario = (named.scenario)();
            let mut chooser = Chooser::seeded(seed);
            let plan = Plan::draw(&mut chooser);
            let mut invariants = invariant::all();
            invariants.extend((named.invariants)());
            let outcome = scenario.run(plan, chooser, invariants, one.is_some());
            digest = digest.rotate_left(7) ^ outcome.digest;
            polls += outcome.polls;
            for (name, count) in outcome.landmarks {
                *landmarks.entry(name).or_insert(0) += u64::from(count > 0);
            }
            if let Some(violation) = &outcome.violation {
                failed += 1;
                if failed <= 3 {
                    println!("seed {seed} plan: {}", outcome.plan);
                    for line in &outcome.timeline {
                        println!("{line}");
                    }
                    for line in &outcome.state {
                        println!("  {line}");
                    }
                    println!("FAILED {violation}");
                }
            } else if one.is_some() {
                for line in &outcome.timeline {
                    println!("{line}");
                }
            }
        }
        let secs = begin.elapsed().as_secs_f64();
        println!("{}: {seeds} seeds {secs:.2}s {:.0}/s {polls} polls, {failed} failed, digest {digest:016x}", named.name, seeds as f64 / secs);
        println!("{landmarks:?}");
    }
}
