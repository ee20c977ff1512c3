//! What may happen in one run: drawn first, and printed.
//!
//! Which kinds of faults a run has at all is drawn anew for each ("swarm testing": Groce et al., ISSTA 2012), because a run that has
//! all of them hides what only a few of them show.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    choice::Chooser,
    world::{State, World},
};

/// What one run may have in its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How many executors there are.
    pub executors: usize,
    /// Whose turn it is.
    pub order: Order,
    /// Crashes, restarts and pauses, in the order of the polls at which they happen.
    pub strikes: Vec<Strike>,
    /// What happens to requests and answers.
    pub network: Network,
    /// From when and for how long the database refuses everything.
    pub away: Option<(Duration, Duration)>,
    /// When the database's clock is ahead.
    pub ahead: Option<Ahead>,
    /// What happens to hints.
    pub hints: Hints,
    /// How far each executor's wall clock is off, in milliseconds.
    pub skew: Vec<i64>,
    /// How long an executor may stand still before others take what it runs.
    pub lease: Duration,
    /// The engine's poll interval.
    pub poll: Duration,
    /// The engine's recovery interval.
    pub recovery: Duration,
    /// How long there are faults. After that, everything must end.
    pub faults: Duration,
    /// Whether idle time is skipped.
    pub skip: bool,
}

/// How the next task is picked among those that are ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The one that was woken first.
    Fifo,
    /// So many times in a thousand any of them, otherwise the first.
    Sometimes(u32),
    /// Any of them.
    Uniform,
    /// Any of them, but this process's only when no other is ready.
    Starve(usize),
}

/// Something that happens to a process before a certain poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    /// Before which poll, counted from the beginning.
    pub at: u64,
    /// The executor, from 1.
    pub executor: usize,
    /// What.
    pub blow: Blow,
}

/// What happens to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// It dies.
    Crash {
        /// How long until it is started again.
        down: Duration,
        /// How long the database takes to see that it is gone.
        lock_kept: Duration,
    },
    /// Its application is shut down cleanly, if it is launched, and started again.
    Restart {
        /// The grace of the shutdown.
        grace: Duration,
        /// The time until it is started again.
        down: Duration,
    },
    /// It dies for good.
    Death,
    /// It stands still for so long, and goes on as if nothing had been.
    Pause(Duration),
}

/// A time for which the database's clock is ahead; after it, it is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// Since when.
    pub from: Duration,
    /// For how long.
    pub lasting: Duration,
    /// By how much.
    pub by: Duration,
}

/// How many requests in a thousand meet which trouble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// The request does not arrive.
    pub refused: u32,
    /// It is served, and its answer is lost.
    pub lost: u32,
    /// It, or its answer, takes its time.
    pub slow: u32,
    /// At most so long.
    pub slowest: Duration,
}

/// How many hints in a thousand meet which fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// It is lost.
    pub lost: u32,
    /// It comes late, and so do those behind it.
    pub late: u32,
    /// It comes twice.
    pub doubled: u32,
}

const RATES: [u32; 5] = [0, 20, 100, 400, 1000];

const MS: fn(u64) -> Duration = Duration::from_millis;
const S: fn(u64) -> Duration = Duration::from_secs;

impl Plan {
    /// One executor, the first woken first, no faults.
    pub fn calm() -> Self {
        Self {
            executors: 1,
            order: Order::Fifo,
            strikes: Vec::new(),
            network: Network::default(),
            away: None,
            ahead: None,
            hints: Hints::default(),
            skew: vec![0],
            lease: S(15),
            poll: S(1),
            recovery: S(5),
            faults: Duration::ZERO,
            skip: true,
        }
    }

    /// Draws a plan.
    pub fn draw(chooser: &mut Chooser) -> Self {
        let executors = 1 + chooser.choose(3) as usize;
        let order = match chooser.choose(6) {
            0 => Order::Fifo,
            1 => Order::Sometimes(100),
            2 | 3 => Order::Uniform,
            4 => Order::Sometimes(500),
            _ => Order::Starve(1 + chooser.choose(u32::try_from(executors).unwrap_or(1)) as usize),
        };
        let strikes = draw_strikes(chooser, executors);
        let network = if chooser.choose(2) == 0 {
            Network::default()
        } else {
            Network {
                refused: chooser.one_of(&[0, 20, 100, 300]),
                lost: chooser.one_of(&[0, 20, 100, 300]),
                slow: chooser.one_of(&[0, 100, 500]),
                slowest: chooser.one_of(&[MS(1), MS(20), MS(500), S(5)]),
            }
        };
        let away = (chooser.choose(6) == 5).then(|| {
            let from = chooser.one_of(&[MS(0), MS(3), MS(200), S(3)]);
            (from, chooser.one_of(&[MS(100), S(2), S(20)]))
        });
        let hints = if chooser.choose(2) == 0 {
            Hints::default()
        } else {
            Hints {
                lost: chooser.one_of(&RATES),
                late: chooser.one_of(&RATES[..3]),
                doubled: chooser.one_of(&RATES[..3]),
            }
        };
        let skew = (0..executors)
            .map(|_| chooser.one_of(&[0, 0, 40, -3_000, 600_000]))
            .collect();
        let plan = Self {
            executors,
            order,
            strikes,
            network,
            away,
            ahead: None,
            hints,
            skew,
            lease: chooser.one_of(&[S(15), S(3)]),
            poll: chooser.one_of(&[S(1), MS(200), S(5)]),
            recovery: chooser.one_of(&[S(5), MS(200)]),
            faults: chooser.one_of(&[S(20), S(5), S(60)]),
            skip: chooser.choose(50) != 49,
        };
        // What the clock has gone ahead by is waited for: where idle time is not skipped that takes
        // too long.
        let is_ahead = chooser.choose(5) == 4 && plan.skip;
        let ahead = is_ahead.then(|| Ahead {
            from: chooser.one_of(&[MS(0), MS(3), MS(200), S(3)]),
            lasting: chooser.one_of(&[MS(50), S(2), S(4)]),
            by: chooser.one_of(&[S(3_600), S(60), S(18_000)]),
        });
        Self { ahead, ..plan }
    }

    /// By how much the database's clock is ahead at this time.
    pub(super) fn ahead_at(&self, now: Duration, calm: bool) -> Duration {
        let ahead = self.ahead.filter(|ahead| {
            let since = now.checked_sub(ahead.from);
            !calm && since.is_some_and(|since| since < ahead.lasting)
        });
        ahead.map_or(Duration::ZERO, |ahead| ahead.by)
    }

    /// The next strike that is due.
    pub(super) fn strike_at(&self, next: usize, polls: u64) -> Option<Strike> {
        self.strikes
            .get(next)
            .filter(|strike| strike.at <= polls)
            .copied()
    }

    /// Whether the database refuses everything now.
    pub(super) fn is_away(&self, state: &State) -> bool {
        !state.calm
            && self
                .away
                .is_some_and(|(from, lasting)| from <= state.now && state.now < from + lasting)
    }
}

fn draw_strikes(chooser: &mut Chooser, executors: usize) -> Vec<Strike> {
    let count = chooser.one_of(&[0, 1, 1, 2, 3]);
    let mut strikes: Vec<_> = (0..count)
        .map(|_| {
            let span = chooser.one_of(&[200, 60, 600, 3_000]);
            let at = u64::from(chooser.choose(span));
            let executor = 1 + chooser.choose(u32::try_from(executors).unwrap_or(1)) as usize;
            let blow = draw_blow(chooser, executor);
            Strike { at, executor, blow }
        })
        .collect();
    strikes.sort_by_key(|strike| strike.at);
    strikes
}

fn draw_blow(chooser: &mut Chooser, executor: usize) -> Blow {
    match chooser.choose(8) {
        // The first one stays, or nobody would end what is left.
        6 if executor > 1 => return Blow::Death,
        7 => {
            return Blow::Restart {
                grace: chooser.one_of(&[MS(0), MS(50), S(2)]),
                down: chooser.one_of(&[MS(1), MS(300), S(6)]),
            };
        }
        3..=5 => return Blow::Pause(chooser.one_of(&[S(1), S(20), S(4), S(40)])),
        _ => {}
    }
    Blow::Crash {
        down: chooser.one_of(&[MS(1), MS(300), S(6), S(28)]),
        lock_kept: chooser.one_of(&[MS(0), MS(5), S(2)]),
    }
}

impl Strike {
    /// Has it happen.
    pub(super) fn happen(self, world: &Arc<World>) {
        match self.blow {
            Blow::Crash { down, lock_kept } => world.crash(self.executor, down, lock_kept),
            Blow::Restart { grace, down } => world.restart(self.executor, grace, down),
            Blow::Death => world.crash_for_good(self.executor),
            Blow::Pause(lasting) => world.pause(self.executor, lasting),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.executors == 1 { "" } else { "s" };
        write!(
            f,
            "{} executor{plural}, order {:?}",
            self.executors, self.order
        )?;
        for strike in &self.strikes {
            let executor = strike.executor;
            match strike.blow {
                Blow::Crash { down, lock_kept } => {
                    write!(
                        f,
                        ", crash of E{executor} at poll {} for {down:?}",
                        strike.at
                    )?;
                    if !lock_kept.is_zero() {
                        write!(f, " (seen after {lock_kept:?})")?;
                    }
                }
                Blow::Restart { grace, down } => write!(
                    f,
                    ", restart of E{executor} at poll {} with a grace of {grace:?} after {down:?}",
                    strike.at
                )?,
                Blow::Death => write!(f, ", death of E{executor} at poll {}", strike.at)?,
                Blow::Pause(lasting) => {
                    write!(
                        f,
                        ", pause of E{executor} at poll {} for {lasting:?}",
                        strike.at
                    )?;
                }
            }
        }
        let Network {
            refused,
            lost,
            slow,
            slowest,
        } = self.network;
        if self.network != Network::default() {
            write!(
                f,
                ", network (in 1000) refused {refused} answers lost {lost} slow {slow} up to {slowest:?}"
            )?;
        }
        if let Some((from, lasting)) = self.away {
            write!(f, ", database away from {from:?} for {lasting:?}")?;
        }
        if let Some(Ahead { from, lasting, by }) = self.ahead {
            write!(
                f,
                ", database's clock ahead by {by:?} from {from:?} for {lasting:?}"
            )?;
        }
        let Hints {
            lost,
            late,
            doubled,
        } = self.hints;
        if self.hints != Hints::default() {
            write!(
                f,
                ", hints (in 1000) lost {lost} late {late} doubled {doubled}"
            )?;
        }
        if self.skew.iter().any(|skew| *skew != 0) {
            write!(f, ", clocks off by {:?} ms", self.skew)?;
        }
        write!(
            f,
            ", lease {:?}, poll {:?}, recovery {:?}, faults until {:?}",
            self.lease, self.poll, self.recovery, self.faults
        )?;
        if !self.skip {
            f.write_str(", idle time not skipped")?;
        }
        Ok(())
    }
}
