//! Measurements in turn.
//!
//! Each is made by a process of its own, so that neither CPU time nor memory of one counts for another, and on a database of its own.

use std::{str::FromStr, time::Duration};

use durable_pg::{Connection as _, Driver as _, PoolSettings, Servers};
use durable_pg_sqlx::SqlxDriver;
use durable_testkit::pg::with_database;

use crate::{
    load::{DATABASE, Measured, Trouble},
    subject::Subject,
};

/// What is measured, how often and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) subjects: Vec<Subject>,
    pub(crate) concurrencies: Vec<usize>,
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            subjects: Vec::new(),
            concurrencies: vec![1, 50, 200],
            rounds: 5,
            seconds: 5,
        }
    }
}

/// All rounds at one concurrency: for each subject what each round gave.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) concurrency: usize,
    pub(crate) measured: Vec<Vec<Measured>>,
}

/// What the server is, and how it answers: ratios compare, absolute numbers are this server's.
pub(crate) async fn server(url: &str) -> Result<String, Trouble> {
    const SERVER: &str = "
        SELECT 'Postgres ' || current_setting('server_version') || ', fsync ' || current_setting('fsync')
               || ', synchronous_commit ' || current_setting('synchronous_commit')";
    let mut connection = admin(url)?.dedicated().await?;
    let mut rows = connection.query(&SERVER.into(), &[]).await?;
    let row = rows.pop().ok_or("the server says nothing about itself")?;
    Ok({ row }.text()?.unwrap_or_default())
}

/// Measures all subjects in turn, the first of them another one in each round.
pub(crate) async fn run(url: &str, plan: &Plan) -> Result<Vec<Results>, Trouble> {
    let mut all = Vec::new();
    for &concurrency in &plan.concurrencies {
        let mut measured = vec![Vec::new(); plan.subjects.len()];
        for round in 0..plan.rounds {
            for turn in 0..plan.subjects.len() {
                let n = (round + turn) % plan.subjects.len();
                let one = in_fresh_database(url, &plan.subjects[n], concurrency, plan.seconds);
                measured[n].push(one.await?);
            }
        }
        all.push(Results {
            concurrency,
            measured,
        });
    }
    Ok(all)
}

async fn in_fresh_database(
    url: &str,
    subject: &Subject,
    concurrency: usize,
    seconds: u64,
) -> Result<Measured, Trouble> {
    let name = format!("durable_bench_{}", std::process::id());
    let mut admin = admin(url)?.dedicated().await?;
    admin.batch(&format!("CREATE DATABASE {name}")).await?;
    // What an earlier measurement left to be written is none of this one's.
    admin.batch("CHECKPOINT").await?;
    let measured = measure(&with_database(url, &name), subject, concurrency, seconds).await;
    admin
        .batch(&format!("DROP DATABASE {name} WITH (FORCE)"))
        .await?;
    measured
}

async fn measure(
    url: &str,
    subject: &Subject,
    concurrency: usize,
    seconds: u64,
) -> Result<Measured, Trouble> {
    let name = subject.name();
    let mut command = subject.command()?;
    command
        .args([concurrency.to_string(), seconds.to_string()])
        .env(DATABASE, url)
        .stderr(std::process::Stdio::inherit());
    let output = command.output().await?;
    if !output.status.success() {
        return Err(format!("{name} at concurrency {concurrency} failed").into());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let measured: Measured = said.lines().last().unwrap_or_default().parse()?;
    eprintln!(
        "{concurrency:>4} {name:<20} {:>8.0} steps/s",
        measured.steps_per_second()
    );
    Ok(measured)
}

fn admin(url: &str) -> Result<SqlxDriver, Trouble> {
    Ok(SqlxDriver::open(Servers::of(url)?, &PoolSettings::bare(1)))
}

impl FromStr for Measured {
    type Err = Trouble;

    fn from_str(line: &str) -> Result<Self, Trouble> {
        let numbers: Result<Vec<u64>, _> = line.split(' ').map(str::parse).collect();
        let Ok([workflows, time, p50, cpu]) = numbers.as_deref() else {
            return Err(format!("{line:?} is no measurement").into());
        };
        Ok(Self {
            workflows: *workflows,
            time: Duration::from_micros(*time),
            p50: Duration::from_micros(*p50),
            cpu: Duration::from_micros(*cpu),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_measurement_prints_is_read() {
        let measured = Measured {
            workflows: 1000,
            time: Duration::from_secs(2),
            p50: Duration::from_micros(1500),
            cpu: Duration::from_millis(30),
        };
        let read: Measured = measured.to_string().parse().unwrap();
        assert_eq!(read.to_string(), measured.to_string());
        assert!("1 2 3".parse::<Measured>().is_err());
    }
}
