//! How long to wait before an operation is tried again.

use std::time::Duration;

/// When a failed step is tried again: how often at most, and after which waits.
///
/// Before attempt `n + 1` it waits `initial * factor^(n - 1)`, at most `cap`, spread by `jitter`. The defaults: one attempt, 1 s,
/// factor 2, cap 1 hour, jitter 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    max_attempts: u32,
    initial: Duration,
    factor: f64,
    cap: Duration,
    jitter: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 1,
            initial: Duration::from_secs(1),
            factor: 2.0,
            cap: Duration::from_secs(3600),
            jitter: 0.0,
        }
    }
}

impl RetryPolicy {
    /// At most `n` attempts in all, the first included; 0 counts as 1.
    pub fn attempts(n: u32) -> Self {
        Self::default().max_attempts(n)
    }

    /// At most `n` attempts in all, the first included; 0 counts as 1.
    pub fn max_attempts(mut self, n: u32) -> Self {
        self.max_attempts = n.max(1);
        self
    }

    /// The wait before the second attempt.
    pub fn initial(mut self, wait: Duration) -> Self {
        self.initial = wait;
        self
    }

    /// By how much each wait is longer than the one before; below 1 and not finite counts as 1.
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = if factor.is_finite() {
            factor.max(1.0)
        } else {
            1.0
        };
        self
    }

    /// The longest wait.
    pub fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// Spreads each wait evenly over `1 - jitter` to `1 + jitter` times itself; kept within 0 to 1.
    pub fn jitter(mut self, jitter: f64) -> Self {
        self.jitter = if jitter.is_finite() {
            jitter.clamp(0.0, 1.0)
        } else {
            0.0
        };
        self
    }

    /// How many attempts there are at most.
    pub fn limit(&self) -> u32 {
        self.max_attempts
    }

    /// Whether a further attempt follows when the `attempt`-th (from 1) has failed.
    pub fn allows_after(&self, attempt: u32) -> bool {
        attempt < self.max_attempts
    }

    /// The wait after the `attempt`-th (from 1) has failed. `random` spreads it: any number, evenly drawn.
    pub fn wait_after(&self, attempt: u32, random: u64) -> Duration {
        if self.initial.is_zero() {
            return Duration::ZERO;
        }
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.initial.as_secs_f64() * self.factor.powi(exponent);
        let capped = grown.min(self.cap.as_secs_f64());
        // 53 random bits, the most that a float holds, as a number from 0 to 1.
        #[allow(clippy::cast_precision_loss)]
        let unit = (random >> 11) as f64 / (1_u64 << 53) as f64;
        let spread = capped * (1.0 + self.jitter * (2.0 * unit - 1.0));
        Duration::try_from_secs_f64(spread.max(0.0)).unwrap_or(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_further_attempt_follows_until_there_were_as_many_as_allowed() {
        let policy = RetryPolicy::attempts(3);
        let follows: Vec<_> = (1..=4).map(|n| policy.allows_after(n)).collect();
        assert_eq!(follows, [true, true, false, false]);
        assert_eq!(policy.limit(), 3);
        assert_eq!(policy.max_attempts(0).limit(), 1);
    }

    #[test]
    fn waits_grow_by_the_factor_up_to_the_cap() {
        let policy = RetryPolicy::attempts(9).initial(SECOND).cap(10 * SECOND);
        let waits: Vec<_> = (1..=5).map(|n| policy.wait_after(n, 0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 10]);
        assert_eq!(policy.wait_after(u32::MAX, 0), 10 * SECOND);
    }

    #[test]
    fn jitter_spreads_a_wait_to_both_sides_and_no_further() {
        let policy = RetryPolicy::attempts(2).initial(10 * SECOND).jitter(0.5);
        assert_eq!(policy.wait_after(1, 0), 5 * SECOND);
        let most = policy.wait_after(1, u64::MAX);
        assert!(most > 14 * SECOND && most <= 15 * SECOND, "{most:?}");
    }

    #[test]
    fn nonsense_is_brought_into_bounds() {
        let policy = RetryPolicy::attempts(0).factor(f64::NAN).jitter(7.0);
        assert!(!policy.allows_after(1));
        assert_eq!(policy.wait_after(3, 1 << 63).as_millis(), 1000);
        assert!(policy.wait_after(3, u64::MAX) <= 2 * SECOND);
        let none = RetryPolicy::attempts(u32::MAX).initial(Duration::ZERO);
        assert_eq!(none.wait_after(u32::MAX, 7), Duration::ZERO);
    }
}
