//! Many seeds, one after the other.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    cli::{Batch, Choices},
    report,
    scenario::{self, Named},
    simulate,
};

/// How many failures of a scenario are looked into; the rest is only counted.
const TOLD: usize = 3;

/// After so many failures of a scenario the batch is over: each takes longer than many good runs.
const ENOUGH: usize = 20;

/// What a whole batch must have met at least once, or it proves less than it says.
const LANDMARKS: &[&str] = &[
    "adopted from another executor",
    "adopted from an earlier life",
    "answer of a checkpoint lost",
    "answer of a claim lost",
    "answer of a start lost",
    "answer of an adoption lost",
    "answer of an outcome lost",
    "cancelled",
    "child started",
    "claimed from a queue",
    "crash",
    "dead-lettered",
    "ended with an error",
    "event published",
    "hint doubled",
    "hint late",
    "hint lost",
    "idle time skipped",
    "message taken",
    "operation replayed",
    "pause",
    "put back onto its queue",
    "request lost",
    "resumed",
    "step retried",
    "wait for a message timed out",
    "write of a zombie refused",
];

/// So few seeds need not have met everything.
const FEW: u64 = 2_000;

struct Tally {
    runs: u64,
    failed: usize,
    polls: u64,
    digest: u64,
    landmarks: BTreeMap<&'static str, u64>,
    /// The time of the runs alone.
    took: Duration,
}

/// Runs a batch. Errors: what failed.
pub(crate) fn run(batch: &Batch) -> Result<(), String> {
    let mut wrong = Vec::new();
    let mut landmarks: BTreeMap<&'static str, u64> = BTreeMap::new();
    println!("seeds {} to {}", batch.from, batch.from + batch.seeds);
    for named in batch.scenario.map_or(scenario::ALL, std::slice::from_ref) {
        let tally = seeds(named, batch.from..batch.from + batch.seeds);
        #[allow(clippy::cast_precision_loss)]
        let rate = tally.runs as f64 / tally.took.as_secs_f64();
        println!(
            "{:<10} {:>8} runs {:>6.1?} {rate:>8.0} runs/s {:>5} polls each, {} failed, digest {:016x}",
            named.name,
            tally.runs,
            tally.took,
            tally.polls / tally.runs.max(1),
            tally.failed,
            tally.digest
        );
        for (name, count) in tally.landmarks {
            *landmarks.entry(name).or_default() += count;
        }
        if tally.failed > 0 {
            wrong.push(format!("{}: {} of {} runs failed", named.name, tally.failed, tally.runs));
        }
        if let Some(least) = batch.least.filter(|least| named.name == "steps" && rate < *least) {
            wrong.push(format!("{rate:.0} runs/s of `steps` are fewer than {least:.0}"));
        }
    }
    if batch.scenario.is_none() && batch.seeds >= FEW {
        println!("runs that met:");
        for name in LANDMARKS {
            let count = landmarks.get(name).copied().unwrap_or(0);
            println!("  {count:>8} {name}");
            if count == 0 {
                wrong.push(format!("no seed met this: {name}"));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn seeds(named: &'static Named, seeds: std::ops::Range<u64>) -> Tally {
    let mut tally = Tally {
        runs: 0,
        failed: 0,
        polls: 0,
        digest: 0,
        landmarks: BTreeMap::new(),
        took: Duration::ZERO,
    };
    for seed in seeds {
        let begun = Instant::now();
        let outcome = simulate(named, &Choices::Seed(seed), false);
        tally.took += begun.elapsed();
        tally.runs += 1;
        tally.polls += outcome.polls;
        tally.digest = tally.digest.rotate_left(9) ^ outcome.digest;
        for name in outcome.landmarks.keys() {
            *tally.landmarks.entry(name).or_default() += 1;
        }
        if outcome.violation.is_some() {
            tally.failed += 1;
            if tally.failed <= TOLD {
                report::failure(named, seed, &outcome);
            }
            if tally.failed == ENOUGH {
                println!("{}: {ENOUGH} failures are enough", named.name);
                break;
            }
        }
    }
    tally
}

/// Runs seeds twice, the second time backwards, and compares. Errors: the first line that differs.
pub(crate) fn twice(count: u64) -> Result<(), String> {
    for named in scenario::ALL {
        let first: Vec<_> = (0..count)
            .map(|seed| simulate(named, &Choices::Seed(seed), false).digest)
            .collect();
        for seed in (0..count).rev() {
            let again = simulate(named, &Choices::Seed(seed), false).digest;
            let place = usize::try_from(seed).map_err(|error| error.to_string())?;
            if first[place] != again {
                return Err(difference(named, seed));
            }
        }
        let digest = first.iter().fold(0u64, |all, one| all.rotate_left(9) ^ one);
        println!("{}: {count} seeds twice, the same; digest {digest:016x}", named.name);
    }
    Ok(())
}

fn difference(named: &'static Named, seed: u64) -> String {
    let timelines = [(); 2].map(|()| simulate(named, &Choices::Seed(seed), true).timeline);
    let [one, two] = &timelines;
    let at = one.iter().zip(two).position(|(one, two)| one != two);
    let at = at.unwrap_or(one.len().min(two.len()));
    let context = one[at.saturating_sub(5)..at].join("\n");
    format!(
        "{}, seed {seed} differs from run to run:\n{context}\n- {}\n+ {}",
        named.name,
        one.get(at).map_or("(its end)", String::as_str),
        two.get(at).map_or("(its end)", String::as_str),
    )
}
