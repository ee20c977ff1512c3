//! The load, which is the same for everybody: so many callers, each of which runs one workflow after the other.
//!
//! The package `peer` compiles this file too, so that nothing but the library differs.

use std::{
    error::Error,
    fmt,
    future::Future,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::sleep};

/// What can go wrong while measuring.
pub(crate) type Trouble = Box<dyn Error + Send + Sync>;

/// The environment variable that names the database of a measurement: a URL may hold a password, which belongs into no command line.
pub(crate) const DATABASE: &str = "DURABLE_BENCH_DATABASE";

/// How long the load runs before anything is counted.
const WARM_UP: Duration = Duration::from_millis(700);

/// The steps of each workflow.
pub(crate) const STEPS: [&str; 5] = ["reserve", "charge", "pack", "hand over", "thank"];

/// How many callers there are, and for how long they are watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) concurrency: usize,
    pub(crate) seconds: u64,
}

/// What a measurement gave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// The workflows that ended while it was watched.
    pub(crate) workflows: u64,
    /// For how long that was.
    pub(crate) time: Duration,
    /// The median of how long a workflow took, from its start to its result.
    pub(crate) p50: Duration,
    /// The CPU time of this process.
    pub(crate) cpu: Duration,
}

impl Load {
    /// The load that the last two arguments of a call describe: the number of callers, and the seconds.
    pub(crate) fn of(arguments: &[String]) -> Result<Self, Trouble> {
        let [.., concurrency, seconds] = arguments else {
            return Err("the number of callers and the seconds are missing".into());
        };
        Ok(Self {
            concurrency: concurrency.parse()?,
            seconds: seconds.parse()?,
        })
    }

    /// Runs workflows, each with a number of its own.
    pub(crate) async fn run<F, Fut>(self, workflow: F) -> Result<Measured, Trouble>
    where
        F: Fn(u64) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Trouble>> + Send,
    {
        let shared = Arc::new((workflow, AtomicU64::new(0), AtomicBool::new(false)));
        let mut callers = JoinSet::new();
        for _ in 0..self.concurrency {
            let shared = Arc::clone(&shared);
            callers.spawn(async move {
                let (workflow, number, stop) = &*shared;
                let mut ended = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    workflow(number.fetch_add(1, Ordering::Relaxed)).await?;
                    ended.push((Instant::now(), began.elapsed()));
                }
                Ok::<_, Trouble>(ended)
            });
        }
        sleep(WARM_UP).await;
        let (begin, cpu) = (Instant::now(), process_cpu()?);
        sleep(Duration::from_secs(self.seconds)).await;
        let (end, cpu) = (Instant::now(), process_cpu()?.saturating_sub(cpu));
        shared.2.store(true, Ordering::Relaxed);
        let mut took = Vec::new();
        while let Some(ended) = callers.join_next().await {
            let watched = ended??
                .into_iter()
                .filter(|(at, _)| (begin..end).contains(at));
            took.extend(watched.map(|(_, took)| took));
        }
        took.sort_unstable();
        Ok(Measured {
            workflows: u64::try_from(took.len())?,
            time: end - begin,
            p50: *took.get(took.len() / 2).ok_or("no workflow has ended")?,
            cpu,
        })
    }
}

/// The CPU time that this process has used, to a hundredth of a second.
fn process_cpu() -> Result<Duration, Trouble> {
    const STAT: &str = "/proc/self/stat";
    /// What Linux counts in for programs, on every machine.
    const TICK: Duration = Duration::from_millis(10);
    let stat = std::fs::read_to_string(STAT)
        .map_err(|error| format!("CPU time is read from {STAT}, which only Linux has: {error}"))?;
    // Behind the program's name, which may hold anything: state, 10 numbers, then user and system time.
    let (_, fields) = stat.rsplit_once(')').ok_or("no name in it")?;
    let times = fields.split_whitespace().skip(11).take(2);
    let ticks = times.map(u32::from_str).sum::<Result<u32, _>>()?;
    Ok(TICK * ticks)
}

/// As the process that asked for the measurement reads it.
impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [time, p50, cpu] = [self.time, self.p50, self.cpu].map(|time| time.as_micros());
        write!(f, "{} {time} {p50} {cpu}", self.workflows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_that_of_this_process() {
        let before = process_cpu().unwrap();
        while process_cpu().unwrap() == before {
            std::hint::spin_loop();
        }
    }
}
