//! Makes a failing run simple: fewer decisions against the boring one, and a shorter list of them.

use std::{
    fmt,
    time::{Duration, Instant},
};

/// How much may be spent on shrinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// The most runs.
    pub runs: usize,
    /// After this time no further run begins.
    pub time: Duration,
}

/// How far shrinking has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many runs were made.
    pub runs: usize,
    /// For how long.
    pub since: Duration,
    /// How many choices are not zero.
    pub decided: usize,
    /// How many there are.
    pub choices: usize,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "shrinking: {} of {} choices left that matter, after {} runs and {:.0?}",
            self.decided, self.choices, self.runs, self.since
        )
    }
}

/// How often it is told how far shrinking has come.
const TOLD: Duration = Duration::from_secs(5);

/// Shrinks a list of choices while `fails` says that a run with it still fails in the same way, and returns the choices that run made.
///
/// A candidate is accepted only if it is simpler: fewer choices that are not zero, then a shorter list, then smaller numbers. No more than
/// `effort` is spent; `tell` is told every few seconds how far it is.
pub fn shrink(
    choices: &[u32],
    effort: Effort,
    mut tell: impl FnMut(&Progress),
    mut fails: impl FnMut(&[u32]) -> Option<Vec<u32>>,
) -> Vec<u32> {
    let now = Instant::now();
    let mut best = Best {
        choices: trimmed(choices.to_vec()),
        left: effort.runs,
        runs: 0,
        began: now,
        told: now,
        time: effort.time,
        tell: &mut tell,
        fails: &mut fails,
    };
    loop {
        let before = best.weight();
        best.cut_tail();
        best.clear_blocks();
        best.delete_blocks();
        best.lower_each();
        best.lower_pairs();
        if best.weight() >= before || best.left == 0 {
            return best.choices;
        }
    }
}

/// The choices that are not the boring one, with their places: what a person reads.
pub fn sparse(choices: &[u32]) -> String {
    let decided = choices
        .iter()
        .enumerate()
        .filter(|(_, choice)| **choice > 0);
    let decided: Vec<_> = decided
        .map(|(place, choice)| format!("{place}={choice}"))
        .collect();
    decided.join(",")
}

/// The list that [`sparse`] wrote. Errors: what is wrong with the text.
pub fn dense(text: &str) -> Result<Vec<u32>, String> {
    let mut choices = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let wrong = || format!("{part:?} is no choice: they are written as place=choice");
        let (place, choice) = part.split_once('=').ok_or_else(wrong)?;
        let place: usize = place.trim().parse().map_err(|_| wrong())?;
        if place > 10_000_000 {
            return Err(format!("place {place} is beyond any run"));
        }
        if choices.len() <= place {
            choices.resize(place + 1, 0);
        }
        choices[place] = choice.trim().parse().map_err(|_| wrong())?;
    }
    Ok(choices)
}

struct Best<'a> {
    choices: Vec<u32>,
    /// How many runs may still be made.
    left: usize,
    runs: usize,
    began: Instant,
    told: Instant,
    time: Duration,
    tell: &'a mut dyn FnMut(&Progress),
    fails: &'a mut dyn FnMut(&[u32]) -> Option<Vec<u32>>,
}

type Weight = (usize, usize, u64);

fn weight(choices: &[u32]) -> Weight {
    let decided = choices.iter().filter(|choice| **choice > 0).count();
    let sum = choices.iter().map(|choice| u64::from(*choice)).sum();
    (decided, choices.len(), sum)
}

fn trimmed(mut choices: Vec<u32>) -> Vec<u32> {
    while choices.last() == Some(&0) {
        choices.pop();
    }
    choices
}

impl Best<'_> {
    fn weight(&self) -> Weight {
        weight(&self.choices)
    }

    /// Takes a candidate if it still fails and is simpler.
    fn try_this(&mut self, candidate: &[u32]) -> bool {
        if self.left == 0 || weight(candidate) >= self.weight() {
            return false;
        }
        let since = self.began.elapsed();
        if since >= self.time {
            self.left = 0;
            return false;
        }
        if self.told.elapsed() >= TOLD {
            self.told = Instant::now();
            let (decided, choices, _) = self.weight();
            (self.tell)(&Progress {
                runs: self.runs,
                since,
                decided,
                choices,
            });
        }
        self.left -= 1;
        self.runs += 1;
        let Some(made) = (self.fails)(candidate) else {
            return false;
        };
        // What the run really asked for; the candidate itself where that is simpler, as it may be longer or shorter.
        let made = trimmed(made);
        let candidate = trimmed(candidate.to_vec());
        self.choices = if weight(&made) < weight(&candidate) {
            made
        } else {
            candidate
        };
        true
    }

    fn cut_tail(&mut self) {
        let mut keep = self.choices.len() / 2;
        while keep < self.choices.len() && self.left > 0 {
            let candidate = self.choices[..keep].to_vec();
            if self.try_this(&candidate) {
                keep = self.choices.len() / 2;
            } else {
                keep += (self.choices.len() - keep).div_ceil(2);
            }
        }
    }

    /// Tries a change at every block of every size, the largest first.
    fn blocks(&mut self, change: impl Fn(&[u32], usize, usize) -> Vec<u32>) {
        let mut size = self.choices.len().next_power_of_two();
        while size > 0 {
            let mut start = 0;
            while start < self.choices.len() && self.left > 0 {
                let end = (start + size).min(self.choices.len());
                let candidate = change(&self.choices, start, end);
                if candidate == self.choices || !self.try_this(&candidate) {
                    start += size;
                }
            }
            size /= 2;
        }
    }

    fn clear_blocks(&mut self) {
        self.blocks(|choices, start, end| {
            let mut cleared = choices.to_vec();
            cleared[start..end].fill(0);
            cleared
        });
    }

    fn delete_blocks(&mut self) {
        self.blocks(|choices, start, end| {
            let mut rest = choices[..start].to_vec();
            if end - start <= 64 {
                rest.extend_from_slice(&choices[end..]);
                rest
            } else {
                choices.to_vec()
            }
        });
    }

    fn decided(&self) -> Vec<usize> {
        (0..self.choices.len())
            .filter(|place| self.choices[*place] > 0)
            .collect()
    }

    fn lower_each(&mut self) {
        for place in self.decided() {
            while self.left > 0 && self.choices.get(place).is_some_and(|choice| *choice > 0) {
                let choice = self.choices[place];
                let lowered = [choice / 2, choice - 1].into_iter().any(|lower| {
                    let mut candidate = self.choices.clone();
                    candidate[place] = lower;
                    self.try_this(&candidate)
                });
                if !lowered {
                    break;
                }
            }
        }
    }

    /// Two that hold each other up are cleared together.
    fn lower_pairs(&mut self) {
        for pair in self.decided().windows(2) {
            let mut candidate = self.choices.clone();
            for place in pair {
                if let Some(choice) = candidate.get_mut(*place) {
                    *choice = 0;
                }
            }
            self.try_this(&candidate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Effort = Effort {
        runs: 10_000,
        time: Duration::from_secs(3600),
    };

    #[test]
    fn it_ends_when_its_time_is_over() {
        let choices = vec![1; 500];
        let effort = Effort {
            time: Duration::ZERO,
            ..LONG
        };
        let mut runs = 0;
        let same = shrink(
            &choices,
            effort,
            |_| {},
            |candidate| {
                runs += 1;
                Some(candidate.to_vec())
            },
        );
        assert_eq!((runs, same), (0, choices));
    }

    #[test]
    fn what_does_not_matter_is_gone() {
        let choices: Vec<u32> = (0..500).map(|n| n % 7).collect();
        let mut runs = 0;
        let small = shrink(
            &choices,
            LONG,
            |_| {},
            |candidate| {
                runs += 1;
                let fails = candidate.get(123).is_some_and(|choice| *choice >= 2)
                    && candidate.iter().skip(200).any(|choice| *choice == 5);
                fails.then(|| candidate.to_vec())
            },
        );
        let decided: Vec<_> = small.iter().filter(|choice| **choice > 0).collect();
        assert_eq!(decided, [&2, &5], "{small:?}");
        assert!(runs < 3000, "{runs}");
    }

    #[test]
    fn sparse_choices_are_read_back() {
        let choices = vec![0, 3, 0, 0, 9];
        assert_eq!(sparse(&choices), "1=3,4=9");
        assert_eq!(dense("1=3,4=9"), Ok(choices));
        assert!(dense("1").is_err());
    }
}
