//! The table: medians of the rounds, and the medians of each round's ratios.

use std::time::Duration;

use crate::{
    load::{Measured, STEPS},
    rounds::{Plan, Results},
};

impl Measured {
    pub(crate) fn steps_per_second(&self) -> f64 {
        let steps = as_f64(self.workflows) * as_f64(STEPS.len() as u64);
        steps / self.time.as_secs_f64()
    }

    fn cpu_micros(&self) -> f64 {
        micros(self.cpu) / as_f64(self.workflows)
    }
}

/// Shows what was measured.
pub(crate) fn show(server: &str, plan: &Plan, results: &[Results]) {
    println!(
        "{server}; medians of {} rounds of {} s, ratios are medians of the rounds' ratios",
        plan.rounds, plan.seconds
    );
    println!();
    println!(
        "| concurrency | what | steps/s | p50, ms | client CPU for a workflow, µs | compared with | steps/s | p50 | client CPU |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for result in results {
        for (n, subject) in plan.subjects.iter().enumerate() {
            println!("{}", row(plan, result, n, subject.name()));
        }
    }
}

fn row(plan: &Plan, result: &Results, n: usize, name: &str) -> String {
    let own = &result.measured[n];
    let each = |of: fn(&Measured) -> f64| median(own.iter().map(of).collect());
    let figures = format!(
        "| {} | {name} | {:.0} | {:.2} | {:.1} |",
        result.concurrency,
        each(Measured::steps_per_second),
        each(|one| micros(one.p50)) / 1000.0,
        each(Measured::cpu_micros),
    );
    let Some(base) = plan.subjects[n].base else {
        return format!("{figures} | | | |");
    };
    let base_measured = &result.measured[base];
    let ratio = |of: fn(&Measured) -> f64| {
        let ratios = own.iter().zip(base_measured).map(|(a, b)| of(a) / of(b));
        median(ratios.collect())
    };
    format!(
        "{figures} {} | {:.2} | {:.2} | {:.3} |",
        plan.subjects[base].name(),
        ratio(Measured::steps_per_second),
        ratio(|one| micros(one.p50)),
        ratio(Measured::cpu_micros),
    )
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Counts stay far below 2^53.
#[allow(clippy::cast_precision_loss)]
fn as_f64(count: u64) -> f64 {
    count as f64
}

/// The middle one; of an even number the upper of the two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!(median(Vec::new()).is_nan());
    }
}
