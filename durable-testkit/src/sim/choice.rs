//! Decisions: drawn from a seed or read from a list, and always recorded.

/// Makes every decision of a run, and keeps what it decided.
///
/// Zero is the boring answer everywhere: no fault, no delay, the oldest task. So a list that has run out, or one whose entries were
/// zeroed, gives the plain run.
#[derive(Clone, Debug)]
pub struct Chooser {
    source: Source,
    made: Vec<u32>,
}

#[derive(Clone, Debug)]
enum Source {
    Seed(SplitMix),
    List(Vec<u32>),
}

impl Chooser {
    /// Decisions drawn from a seed.
    pub fn seeded(seed: u64) -> Self {
        Self {
            source: Source::Seed(SplitMix(seed)),
            made: Vec::new(),
        }
    }

    /// Decisions read from a list; zero after its end, and the greatest possible where an entry is too large.
    pub fn listed(choices: Vec<u32>) -> Self {
        Self {
            source: Source::List(choices),
            made: Vec::new(),
        }
    }

    /// A number below `n`; 0 without a decision if `n` is 0 or 1.
    pub fn choose(&mut self, n: u32) -> u32 {
        if n <= 1 {
            return 0;
        }
        let choice = match &mut self.source {
            Source::Seed(random) => random.below(n),
            Source::List(list) => list
                .get(self.made.len())
                .map_or(0, |choice| (*choice).min(n - 1)),
        };
        self.made.push(choice);
        choice
    }

    /// Whether something happens that happens `rate` times in a thousand.
    pub fn happens(&mut self, rate: u32) -> bool {
        rate > 0 && self.choose(1000) >= 1000 - rate.min(1000)
    }

    /// One of these; the first is the boring one.
    pub fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        let n = u32::try_from(values.len()).unwrap_or(u32::MAX);
        values[self.choose(n) as usize]
    }

    /// All decisions so far.
    pub fn made(&self) -> &[u32] {
        &self.made
    }
}

/// The generator `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub struct SplitMix(u64);

impl SplitMix {
    /// The generator of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// The next number below `n`.
    fn below(&mut self, n: u32) -> u32 {
        let wide = (self.draw() >> 32) * u64::from(n);
        u32::try_from(wide >> 32).unwrap_or(0)
    }
}

/// A number in which every bit depends on every bit of the given one.
pub(crate) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_gives_the_run_again_that_a_seed_made() {
        let mut seeded = Chooser::seeded(7);
        let drawn: Vec<_> = (2..200).map(|n| seeded.choose(n)).collect();
        assert!(drawn.iter().any(|choice| *choice > 50));
        let mut listed = Chooser::listed(seeded.made().to_vec());
        let again: Vec<_> = (2..200).map(|n| listed.choose(n)).collect();
        assert_eq!(drawn, again);
    }

    #[test]
    fn a_list_that_ran_out_is_boring_and_a_stale_one_stays_in_range() {
        let mut listed = Chooser::listed(vec![900]);
        assert_eq!(listed.choose(10), 9);
        assert_eq!(listed.choose(10), 0);
        assert!(!listed.happens(999));
    }

    #[test]
    fn what_happens_always_happens_and_what_never_does_asks_nothing() {
        let mut seeded = Chooser::seeded(1);
        assert!((0..50).all(|_| seeded.happens(1000)));
        let asked = seeded.made().len();
        assert!((0..50).all(|_| !seeded.happens(0)));
        assert_eq!(seeded.made().len(), asked);
    }
}
