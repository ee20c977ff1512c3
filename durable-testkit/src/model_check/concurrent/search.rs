//! Whether calls that overlapped can be put one after the other (linearizability): a search after Wing and Gong, with Lowe's memory of
//! the sets of taken calls and states that were tried.

use std::collections::BTreeSet;

/// When a call was under way, in whatever counts upwards. A call without an answer may have happened at any time since it began, or not
/// at all: it stays under way for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) began: usize,
    pub(super) ended: Option<usize>,
}

/// What calls do when they are made one after the other.
pub(super) trait Spec {
    /// The state between two calls.
    type State;

    /// The states that call `n` may leave if it answers as it did; any answer will do for one without. None: it cannot be here.
    fn after(&self, state: &Self::State, n: usize) -> Vec<Self::State>;

    /// Whether call `n`, where it answers as it did and changes nothing, never changes anything later by that answer: then it may as
    /// well be there.
    fn settles(&self, n: usize) -> bool;

    /// A text by which states are told apart.
    fn key(&self, state: &Self::State) -> String;
}

/// The most calls of a history.
pub(super) const MOST: usize = 128;

/// An order in which the calls give their answers one after the other, with those without an answer that need to have happened.
///
/// Errors: there is none; the longest beginning of one. Panics for more than [`MOST`] calls.
pub(super) fn order<S: Spec>(
    spans: &[Span],
    spec: &S,
    start: &S::State,
) -> Result<Vec<usize>, Vec<usize>> {
    assert!(spans.len() <= MOST, "{} calls are too many", spans.len());
    let mut search = Search {
        spans,
        spec,
        tried: BTreeSet::new(),
        order: Vec::new(),
        longest: Vec::new(),
    };
    if search.goes_on(0, start) {
        Ok(search.order)
    } else {
        Err(search.longest)
    }
}

struct Search<'a, S> {
    spans: &'a [Span],
    spec: &'a S,
    /// Where the search has been: the taken calls, as bits, and the state.
    tried: BTreeSet<(u128, String)>,
    order: Vec<usize>,
    longest: Vec<usize>,
}

impl<S: Spec> Search<'_, S> {
    /// Whether the calls that are left can follow.
    fn goes_on(&mut self, taken: u128, state: &S::State) -> bool {
        let left = |n: &usize| taken & (1 << n) == 0;
        let ends = (0..self.spans.len()).filter(left);
        let Some(first_end) = ends.filter_map(|n| self.spans[n].ended).min() else {
            return true;
        };
        let key = self.spec.key(state);
        if !self.tried.insert((taken, key.clone())) {
            return false;
        }
        let mut possible = Vec::new();
        for n in (0..self.spans.len()).filter(left) {
            if self.spans[n].began > first_end {
                continue;
            }
            for next in self.spec.after(state, n) {
                let changes = self.spec.key(&next) != key;
                let answered = self.spans[n].ended.is_some();
                if !changes && answered && self.spec.settles(n) {
                    return self.take(taken, n, &next);
                }
                // One that need not have happened and changes nothing may as well not have.
                if changes || answered {
                    possible.push((n, next));
                }
            }
        }
        // First those that have happened for certain.
        possible.sort_by_key(|(n, _)| self.spans[*n].ended.unwrap_or(usize::MAX));
        possible.iter().any(|(n, next)| self.take(taken, *n, next))
    }

    fn take(&mut self, taken: u128, n: usize, next: &S::State) -> bool {
        self.order.push(n);
        if self.order.len() > self.longest.len() {
            self.longest.clone_from(&self.order);
        }
        let goes_on = self.goes_on(taken | (1 << n), next);
        if !goes_on {
            self.order.pop();
        }
        goes_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls of a register that holds a number, first 0.
    #[derive(Clone, Copy, Debug)]
    enum Call {
        Write(i32),
        Read(i32),
        /// Writes the second if it holds the first; whether it did.
        Swap(i32, i32, bool),
    }

    use Call::{Read, Swap, Write};

    struct Register(Vec<(Call, Span)>);

    impl Spec for Register {
        type State = i32;

        fn after(&self, held: &i32, n: usize) -> Vec<i32> {
            let (call, span) = self.0[n];
            let unknown = span.ended.is_none();
            match call {
                Write(value) => vec![value],
                Read(value) if unknown || value == *held => vec![*held],
                Swap(old, new, done) if unknown || done == (old == *held) => {
                    vec![if old == *held { new } else { *held }]
                }
                Read(_) | Swap(..) => Vec::new(),
            }
        }

        fn settles(&self, n: usize) -> bool {
            matches!(self.0[n].0, Read(_))
        }

        fn key(&self, held: &i32) -> String {
            held.to_string()
        }
    }

    fn within(call: Call, began: usize, ended: usize) -> (Call, Span) {
        let ended = Some(ended);
        (call, Span { began, ended })
    }

    fn unanswered(call: Call, began: usize) -> (Call, Span) {
        (call, Span { began, ended: None })
    }

    fn found(history: &[(Call, Span)]) -> Result<Vec<usize>, Vec<usize>> {
        let spans: Vec<Span> = history.iter().map(|(_, span)| *span).collect();
        order(&spans, &Register(history.to_vec()), &0)
    }

    #[test]
    fn calls_one_after_the_other_are_in_that_order() {
        let history = [within(Write(1), 0, 1), within(Read(1), 2, 3)];
        assert_eq!(found(&history), Ok(vec![0, 1]));
    }

    #[test]
    fn a_read_of_what_was_overwritten_before_it_began_is_wrong() {
        let history = [
            within(Write(1), 0, 1),
            within(Write(2), 2, 3),
            within(Read(1), 4, 5),
        ];
        assert_eq!(found(&history), Err(vec![0, 1]));
    }

    #[test]
    fn calls_that_overlap_may_be_in_either_order() {
        for value in [1, 2] {
            let history = [
                within(Write(1), 0, 3),
                within(Write(2), 1, 2),
                within(Read(value), 4, 5),
            ];
            assert!(found(&history).is_ok(), "{value}");
        }
    }

    #[test]
    fn what_two_have_seen_is_one_order() {
        // Each sees the other's write first.
        let history = [
            within(Write(1), 0, 10),
            within(Write(2), 0, 10),
            within(Read(1), 11, 12),
            within(Read(2), 13, 14),
        ];
        assert!(found(&history).is_err());
    }

    #[test]
    fn a_write_that_changes_nothing_at_first_may_come_later() {
        let history = [
            within(Write(1), 0, 1),
            within(Write(1), 2, 5),
            within(Write(2), 3, 4),
            within(Read(1), 6, 7),
        ];
        assert_eq!(found(&history), Ok(vec![0, 2, 1, 3]));
    }

    #[test]
    fn only_one_of_two_that_swap_the_same_does() {
        let both = |done| {
            [
                within(Swap(0, 1, true), 0, 3),
                within(Swap(0, 2, done), 1, 2),
            ]
        };
        assert!(found(&both(false)).is_ok());
        assert!(found(&both(true)).is_err());
    }

    #[test]
    fn a_call_without_an_answer_may_have_happened_or_not() {
        for value in [0, 1] {
            let history = [unanswered(Write(1), 0), within(Read(value), 1, 2)];
            assert!(found(&history).is_ok(), "{value}");
        }
    }

    #[test]
    fn a_call_without_an_answer_may_happen_long_after() {
        let history = [
            unanswered(Write(1), 0),
            within(Write(2), 1, 2),
            within(Read(2), 3, 4),
            within(Read(1), 5, 6),
        ];
        assert_eq!(found(&history), Ok(vec![1, 2, 0, 3]));
    }

    #[test]
    fn a_call_without_an_answer_happens_once_and_not_before_it_began() {
        let twice = [
            unanswered(Write(1), 0),
            within(Read(1), 1, 2),
            within(Write(2), 3, 4),
            within(Read(1), 5, 6),
        ];
        assert!(found(&twice).is_err());
        let early = [within(Read(1), 0, 1), unanswered(Write(1), 2)];
        assert!(found(&early).is_err());
    }

    #[test]
    fn a_long_history_is_judged_soon() {
        // Three at a time, each a write that was read by whoever came next.
        let mut history = Vec::new();
        for round in 0..30_usize {
            let began = round * 10;
            for client in 0..3 {
                let value = i32::try_from(client).expect("a small number");
                history.push(within(Write(value), began + client, began + 5));
            }
            history.push(within(Read(2), began + 6, began + 7));
        }
        assert!(found(&history).is_ok());
        history.push(within(Read(9), 1_000, 1_001));
        assert!(found(&history).is_err());
    }
}
