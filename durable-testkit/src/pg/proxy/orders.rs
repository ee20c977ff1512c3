//! What is done to connections.

use std::time::Duration;

/// What of a connection is lost when it is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// What was asked last: the server never hears of it.
    Requests,
    /// The answer: the server does what it was asked, and nobody hears of it.
    Answers,
    /// Whatever is on its way, at once: both sides find the connection reset.
    Both,
}

impl Lost {
    /// Whether what goes in the direction of `other` is lost.
    pub(super) fn includes(self, other: Self) -> bool {
        self == other || self == Self::Both
    }
}

/// How connections are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Where they are.
    Now(Lost),
    /// After so many bytes of a message.
    Inside { lost: Lost, after: usize },
}

/// What all connections watch. What is counted concerns those that were there when it was.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    /// The last cut, and how many there were.
    pub(super) last_cut: Option<Cut>,
    pub(super) cuts: u64,
    /// How often what was there was swallowed.
    pub(super) swallowed: u64,
    /// Whether all is swallowed.
    pub(super) hole: bool,
    /// Whether nobody listens.
    pub(super) refuse: bool,
    /// How long each piece waits.
    pub(super) delay: Duration,
    /// How long each new connection waits.
    pub(super) connecting: Duration,
}

impl Orders {
    pub(super) fn cut(&mut self, cut: Cut) {
        self.last_cut = Some(cut);
        self.cuts += 1;
    }
}
