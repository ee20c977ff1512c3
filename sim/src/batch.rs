//! Many seeds.

use std::{
    collections::BTreeMap,
    fs,
    ops::AddAssign,
    thread,
    time::{Duration, Instant},
};

use durable_testkit::sim::Outcome;

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
    "deadline over",
    "error of a child recorded",
    "event awaited from outside",
    "event published",
    "hint doubled",
    "hint late",
    "hint lost",
    "idle time skipped",
    "message taken",
    "operation replayed",
    "operation dropped",
    "transaction committed",
    "answer of a commit lost",
    "pause",
    "put back onto its queue",
    "request lost",
    "resumed",
    "shutdown",
    "step retried",
    "wait for a message timed out",
    "write of a zombie refused",
];

/// So few seeds need not have met everything.
const FEW: u64 = 10_000;

#[derive(Default)]
struct Tally {
    runs: u64,
    polls: u64,
    /// The same in whatever order the seeds are run.
    digest: u64,
    landmarks: BTreeMap<&'static str, u64>,
    /// Time of a processor.
    took: Duration,
    failed: Vec<(u64, Outcome)>,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.runs += other.runs;
        self.polls += other.polls;
        self.digest ^= other.digest;
        self.took += other.took;
        self.failed.extend(other.failed);
        for (name, count) in other.landmarks {
            *self.landmarks.entry(name).or_default() += count;
        }
    }
}

impl Tally {
    fn add(&mut self, seed: u64, outcome: Outcome) {
        self.runs += 1;
        self.polls += outcome.polls;
        self.digest ^= outcome
            .digest
            .rotate_left(u32::try_from(seed % 63).unwrap_or(0));
        for name in outcome.landmarks.keys() {
            *self.landmarks.entry(name).or_default() += 1;
        }
        if outcome.violation.is_some() {
            self.failed.push((seed, outcome));
        }
    }

    #[allow(clippy::cast_precision_loss)]
    fn rate(&self) -> f64 {
        self.runs as f64 / self.took.as_secs_f64()
    }
}

/// Runs a batch. Errors: what failed.
pub(crate) fn run(batch: &Batch) -> Result<(), String> {
    let begun = Instant::now();
    let mut wrong = Vec::new();
    let mut all = Tally::default();
    println!("{} seeds from {}", batch.seeds, batch.from);
    for named in batch.scenario.map_or(scenario::ALL, std::slice::from_ref) {
        let seeds = match batch.scenario {
            Some(_) => batch.seeds,
            None => (batch.seeds * named.share).div_ceil(100),
        };
        let mut tally = in_threads(named, batch.from, seeds, batch.jobs);
        println!(
            "{:<10} {:>8} runs, {:>6.0} a second and core, {:>5} polls each, {} failed, digest {:016x}",
            named.name,
            tally.runs,
            tally.rate(),
            tally.polls / tally.runs.max(1),
            tally.failed.len(),
            tally.digest
        );
        tally.failed.sort_by_key(|(seed, _)| *seed);
        for (seed, outcome) in tally.failed.iter().take(TOLD) {
            report::failure(named, *seed, outcome);
        }
        if !tally.failed.is_empty() {
            wrong.push(format!(
                "{}: {} of {} runs failed",
                named.name,
                tally.failed.len(),
                tally.runs
            ));
        }
        let rate = tally.rate();
        if let Some(least) = batch
            .least
            .filter(|least| named.name == "steps" && rate < *least)
        {
            wrong.push(format!(
                "{rate:.0} runs of `steps` a second and core are fewer than {least:.0}"
            ));
        }
        all += tally;
    }
    println!("{} runs in {:.0?}", all.runs, begun.elapsed());
    if batch.scenario.is_none() && batch.seeds >= FEW {
        wrong.extend(unmet(&all.landmarks));
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n"))
    }
}

/// Prints how many runs met what; what none met.
fn unmet(landmarks: &BTreeMap<&'static str, u64>) -> Vec<String> {
    let count = |name| landmarks.get(name).copied().unwrap_or(0);
    println!("runs that met:");
    for name in LANDMARKS {
        println!("  {:>8} {name}", count(name));
    }
    let unmet = LANDMARKS.iter().filter(|name| count(name) == 0);
    unmet
        .map(|name| format!("no seed met this: {name}"))
        .collect()
}

/// Runs seeds in several threads, each of which runs whole simulations.
fn in_threads(named: &'static Named, from: u64, count: u64, jobs: u64) -> Tally {
    let share = |job: u64| (from..from + count).skip_while(move |seed| seed % jobs != job);
    let jobs_of = usize::try_from(jobs).unwrap_or(1);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs)
            .map(|job| scope.spawn(move || seeds(named, share(job).step_by(jobs_of))))
            .collect();
        let mut all = Tally::default();
        for thread in threads {
            match thread.join() {
                Ok(tally) => all += tally,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    })
}

fn seeds(named: &'static Named, seeds: impl Iterator<Item = u64>) -> Tally {
    let mut tally = Tally::default();
    let (begun, cpu) = (Instant::now(), cpu_time());
    for seed in seeds {
        tally.add(seed, simulate(named, &Choices::Seed(seed), false));
        if tally.failed.len() >= ENOUGH {
            println!("{}: {ENOUGH} failures are enough", named.name);
            break;
        }
    }
    tally.took = match (cpu, cpu_time()) {
        (Some(before), Some(after)) => after.saturating_sub(before),
        _ => begun.elapsed(),
    };
    tally
}

/// How long this thread has run on a processor, as Linux tells it: on a machine with other things to do, the only measure of speed.
fn cpu_time() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// Runs seeds twice, the second time backwards, and compares. Errors: the first line that differs.
pub(crate) fn twice(count: u64) -> Result<(), String> {
    for named in scenario::ALL {
        let digest_of = |seed| simulate(named, &Choices::Seed(seed), false).digest;
        let first: Vec<_> = (0..count).map(digest_of).collect();
        let pairs: Vec<_> = (0..count).zip(&first).collect();
        for (seed, digest) in pairs.into_iter().rev() {
            if digest_of(seed) != *digest {
                return Err(difference(named, seed));
            }
        }
        let digest = first.iter().fold(0u64, |all, one| all.rotate_left(9) ^ one);
        println!(
            "{}: {count} seeds twice, the same; digest {digest:016x}",
            named.name
        );
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
