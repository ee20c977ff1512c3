//! Chance that can be repeated.

use durable_testkit::sim::choice::SplitMix;

/// Random numbers from a seed that is printed, so that a failure can be looked at again with `DURABLE_SEED`.
pub struct Random(SplitMix);

/// The seed that was asked for.
pub fn given() -> Option<u64> {
    let seed = std::env::var("DURABLE_SEED").ok()?;
    Some(seed.parse().expect("DURABLE_SEED is a number"))
}

impl Random {
    pub fn new() -> Self {
        let clock = || std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
        Self::of(given().unwrap_or_else(clock))
    }

    pub fn of(seed: u64) -> Self {
        println!("DURABLE_SEED={seed}");
        Self(SplitMix::new(seed))
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.draw() % bound
    }
}
