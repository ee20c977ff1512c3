//! Programs by chance.

use durable_testkit::sim::Chooser;

use super::{CHILDREN, Leg, Odd, Op, Place, Way};

/// What programs may name.
pub(in crate::scenario) struct Among<'a> {
    pub(in crate::scenario) ids: &'a [&'a str],
    /// The longest sleep, in milliseconds.
    pub(in crate::scenario) longest: u64,
}

/// Draws a program of at most `most` operations, with children `depth` deep.
pub(in crate::scenario) fn draw(
    chooser: &mut Chooser,
    most: u32,
    depth: u32,
    among: &Among<'_>,
) -> Vec<Op> {
    let count = 1 + chooser.choose(most);
    let mut ops: Vec<_> = (0..count).map(|_| draw_op(chooser, depth, among)).collect();
    // A child fails more often than what nobody asks for its error.
    if chooser.choose(if depth == 0 { 4 } else { 12 }) == 1 {
        ops.push(Op::Fail);
    }
    ops
}

/// Draws a program that sends or publishes something after a while, or one that waits for what that does.
pub(in crate::scenario) fn draw_signals(chooser: &mut Chooser, signals: bool) -> Vec<Op> {
    if signals {
        let pause = Op::Sleep(chooser.one_of(&[1_000, 100, 2_900, 5_000]));
        let to = chooser.one_of(&["b", "c"]).to_owned();
        return match chooser.choose(4) {
            0 | 1 => vec![pause, Op::Publish(0)],
            2 => vec![pause, Op::Send(to, 0)],
            _ => vec![pause, Op::SendTwice(to, 0)],
        };
    }
    let (of, wait) = ("a".to_owned(), chooser.one_of(&[3_000, 100, 3_000, 15_000]));
    match chooser.choose(4) {
        0 | 1 => vec![Op::Read(of, 0, wait)],
        2 => vec![Op::ReadTwice(of, 0, wait)],
        _ => vec![Op::Recv(0, wait), Op::Recv(0, wait)],
    }
}

fn draw_op(chooser: &mut Chooser, depth: u32, among: &Among<'_>) -> Op {
    let other = |chooser: &mut Chooser| chooser.one_of(among.ids).to_owned();
    let small = |chooser: &mut Chooser| u8::try_from(chooser.choose(2)).unwrap_or(0);
    let wait = |chooser: &mut Chooser| chooser.one_of(&[100, 3_000, 30_000, 1, 600_000]);
    match chooser.choose(33) {
        1 => Op::Retried(1 + chooser.choose(2)),
        2 => Op::Failing(chooser.choose(3)),
        3 | 4 => Op::Sleep(chooser.one_of(&[100, 0, 2_000, 20_000, among.longest])),
        5 => Op::Send(other(chooser), small(chooser)),
        6 | 7 => Op::Recv(small(chooser), wait(chooser)),
        8 | 25 => Op::Publish(small(chooser)),
        26 => Op::ReadTwice(other(chooser), small(chooser), wait(chooser)),
        27 => Op::SendTwice(other(chooser), small(chooser)),
        28 => Op::Final,
        29 => Op::Status(other(chooser)),
        9 | 30 => Op::Read(other(chooser), small(chooser), wait(chooser)),
        10 | 11 if depth > 0 => {
            let ops = draw(chooser, 3, depth - 1, among);
            let queue = chooser.one_of(&[None, Some(CHILDREN)]).map(str::to_owned);
            let timeout = chooser.one_of(&[None, None, None, Some(2_000), Some(20_000)]);
            Op::Child(ops, queue, timeout)
        }
        12 => Op::Join(2 + chooser.choose(3)),
        13 => Op::Reversed,
        16 | 17 => Op::Race(
            (0..2 + chooser.choose(2))
                .map(|_| draw_leg(chooser))
                .collect(),
            chooser.one_of(&[Way::All, Way::Woken]),
        ),
        19 | 20 => Op::Transact(chooser.one_of(&[Place::Here, Place::Elsewhere])),
        18 => Op::Held(
            chooser.one_of(&[100, 1, 2_000]),
            chooser.one_of(&[Way::All, Way::Woken]),
        ),
        23 => Op::Linked,
        24 => Op::Ordered,
        31 | 32 => Op::Odd(
            chooser.one_of(&[
                Odd::Step,
                Odd::Value,
                Odd::Send,
                Odd::Recv,
                Odd::Publish,
                Odd::Read,
                Odd::Child,
            ]),
            chooser.choose(3) == 1,
        ),
        21 => Op::Panicking,
        22 => Op::Hanging(1 + chooser.choose(2)),
        14 if chooser.choose(2) == 1 => Op::Cancel(other(chooser)),
        15 if chooser.choose(2) == 1 => Op::Resume(other(chooser)),
        _ => Op::Step,
    }
}

fn draw_leg(chooser: &mut Chooser) -> Leg {
    let small = |chooser: &mut Chooser| u8::try_from(chooser.choose(2)).unwrap_or(0);
    let ms = |chooser: &mut Chooser| chooser.one_of(&[100, 1, 300, 1_000, 20_000]);
    match chooser.choose(9) {
        8 => Leg::Yields(chooser.one_of(&[1, 3])),
        7 => Leg::Transact(chooser.one_of(&[Place::Here, Place::Elsewhere])),
        0 | 1 => Leg::Step,
        2 => Leg::Retried,
        3 => Leg::Recv(small(chooser), ms(chooser)),
        4 => Leg::Read(small(chooser), ms(chooser)),
        _ => Leg::Sleep(ms(chooser)),
    }
}
