//! Chance that can be repeated.

/// Random numbers from a seed that is printed, so that a failure can be looked at again with `DURABLE_SEED`.
pub struct Random(u64);

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
        Self(seed)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
