//! Which operations meet, and in which state of the database.

use super::{
    call::{
        Call::{
            self, Abandoned, Adopt, Cancel, Claim, DeadLetter, Delete, Finish, Join, Leave, Mail,
            ReadSteps, Receive, Record, Requeue, Resume, Send, SetEvent, Start, StartChild, Sweep,
        },
        here, other, overdue, queued,
    },
    scene::REBORN,
};

/// Two operations, each the calls of one process.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) name: &'static str,
    /// What has happened before.
    pub(super) given: &'static [Call],
    pub(super) a: &'static [Call],
    pub(super) b: &'static [Call],
    /// What happens after both.
    pub(super) then: &'static [Call],
    pub(super) brake: Option<Brake>,
    /// Whether the steps of a workflow whose row is gone may stay if their call was answered before the row went: the deletes of
    /// other SDKs leave them.
    pub(super) orphans: bool,
    /// Whether the two may block each other, so that the server ends one of them.
    pub(super) deadlock: bool,
}

/// A third session that holds what a statement of the first operation has to wait for in its middle, until it lets go: one more step
/// that is taken in every order.
#[derive(Clone, Copy, Debug)]
pub(super) enum Brake {
    /// It has put this step of "w" in, and takes it back.
    Step(i32),
    /// It has put the row of this workflow in, and takes it back.
    Row(&'static str),
    /// It has locked the row of this workflow: a write that finds it so leaves its lane, and goes on in a transaction of its own.
    Hold(&'static str),
}

const fn pair(
    name: &'static str,
    given: &'static [Call],
    a: &'static [Call],
    b: &'static [Call],
) -> Pair {
    Pair {
        name,
        given,
        a,
        b,
        then: &[],
        brake: None,
        orphans: false,
        deadlock: false,
    }
}

impl Pair {
    const fn braked(self, brake: Brake) -> Self {
        Self {
            brake: Some(brake),
            ..self
        }
    }

    /// One of the two is a delete: afterwards the id is used again, and the new workflow has no history.
    const fn deleting(self) -> Self {
        Self {
            then: AGAIN,
            orphans: true,
            ..self
        }
    }

    const fn may_deadlock(self) -> Self {
        Self {
            deadlock: true,
            ..self
        }
    }
}

const RUNS: &[Call] = &[Start("w", here("first"))];
const WAITS: &[Call] = &[Start("w", queued("creator"))];
const CLAIMED: &[Call] = &[Start("w", queued("creator")), Claim("one", "first")];
const REQUEUED: &[Call] = &[
    Start("w", queued("creator")),
    Claim("one", "first"),
    Requeue("one", "first"),
];
const CANCELLED: &[Call] = &[Start("w", here("first")), Cancel("w")];
const OVERDUE: &[Call] = &[Start("w", overdue(here("first")))];
const TWO_RUN: &[Call] = &[Start("w", here("first")), Start("d", here("other"))];
const HAS_MAIL: &[Call] = &[Start("w", here("first")), Mail("m", "w")];
const LIVED: &[Call] = &[Start("w", queued("creator")), Join(REBORN), Leave(REBORN)];
const LEFT: &[Call] = &[
    Start("w", queued("creator")),
    Join(REBORN),
    Claim(REBORN, "first"),
    Leave(REBORN),
];

const RECORD: &[Call] = &[Record("first", 1, "1")];
const FINISH: &[Call] = &[Finish("first", "1")];
const CANCEL: &[Call] = &[Cancel("w")];
const CLAIM: &[Call] = &[Claim("two", "second"), ReadSteps];
const ADOPT: &[Call] = &[Adopt("two", "first", "second"), ReadSteps];
const CHILD: &[Call] = &[StartChild("c", here("child"), "w", "first")];
const SEND: &[Call] = &[Send("m", "d", "w", "first")];
const RECEIVE: &[Call] = &[Receive("first", true)];
const PUBLISH: &[Call] = &[SetEvent("first", "1")];
const REJOIN: &[Call] = &[Join(REBORN), Abandoned(REBORN, 2)];
const AGAIN: &[Call] = &[Start("w", here("later")), ReadSteps];
const DELETE: &[Call] = &[Delete("w")];

/// Those that every driver plays each time, by the beginnings of their names.
pub(super) const FEW: &[&str] = &[
    "checkpoint and claim",
    "checkpoint and adoption",
    "finish and cancel",
    "claim and claim",
    "delete and checkpoint",
    "child start and adoption",
];

/// All of them.
pub(super) const PAIRS: &[Pair] = &[
    // Checkpoints.
    pair("checkpoint and claim", REQUEUED, RECORD, CLAIM),
    pair(
        "checkpoint and requeue",
        CLAIMED,
        RECORD,
        &[Requeue("two", "first"), ReadSteps],
    ),
    pair(
        "checkpoint and requeue, braked",
        CLAIMED,
        RECORD,
        &[Requeue("two", "first"), ReadSteps],
    )
    .braked(Brake::Step(1)),
    pair("checkpoint and adoption", RUNS, RECORD, ADOPT),
    pair("checkpoint and adoption, braked", RUNS, RECORD, ADOPT).braked(Brake::Step(1)),
    pair("checkpoint and cancel", RUNS, RECORD, CANCEL),
    pair(
        "checkpoint and cancel, braked",
        RUNS,
        RECORD,
        &[Cancel("w"), ReadSteps],
    )
    .braked(Brake::Step(1)),
    pair("checkpoint and finish", RUNS, RECORD, FINISH),
    pair("a checkpoint twice", RUNS, RECORD, RECORD),
    pair(
        "two checkpoints of one number",
        RUNS,
        RECORD,
        &[Record("first", 1, "2")],
    ),
    // Ends.
    pair("finish and cancel", RUNS, FINISH, CANCEL),
    pair("finish and adoption", RUNS, FINISH, ADOPT),
    pair(
        "finish and requeue",
        CLAIMED,
        FINISH,
        &[Requeue("two", "first")],
    ),
    pair("a finish twice", RUNS, FINISH, &[Finish("first", "2")]),
    pair(
        "two finishes by two tokens",
        &[Start("w", here("first")), Adopt("two", "first", "second")],
        FINISH,
        &[Finish("second", "2")],
    ),
    pair(
        "finish and adoption that finishes",
        RUNS,
        FINISH,
        &[Adopt("two", "first", "second"), Finish("second", "2")],
    ),
    pair("cancel and cancel", RUNS, CANCEL, CANCEL),
    pair("cancel and resume of what runs", RUNS, CANCEL, &[Resume]),
    pair(
        "cancel and resume of what is cancelled",
        CANCELLED,
        CANCEL,
        &[Resume],
    ),
    pair("resume and resume", CANCELLED, &[Resume], &[Resume]),
    pair("cancel and adoption", RUNS, CANCEL, ADOPT),
    pair("sweep and finish", OVERDUE, &[Sweep], FINISH),
    pair("sweep and cancel", OVERDUE, &[Sweep], CANCEL),
    pair(
        "sweep and claim",
        &[Start("w", overdue(queued("creator")))],
        &[Sweep],
        CLAIM,
    ),
    pair("sweep and sweep", OVERDUE, &[Sweep], &[Sweep]),
    pair("sweep and checkpoint", OVERDUE, &[Sweep], RECORD),
    pair(
        "dead letter and cancel",
        RUNS,
        &[DeadLetter("first")],
        CANCEL,
    ),
    pair(
        "dead letter and adoption",
        RUNS,
        &[DeadLetter("first")],
        ADOPT,
    ),
    pair(
        "dead letter and finish",
        RUNS,
        &[DeadLetter("first")],
        FINISH,
    ),
    // Claims.
    pair(
        "claim and claim",
        WAITS,
        &[Claim("one", "first")],
        &[Claim("two", "second")],
    ),
    pair(
        "claim and claim of two",
        &[Start("w", queued("creator")), Start("c", queued("creator"))],
        &[Claim("one", "first")],
        &[Claim("two", "second")],
    ),
    pair(
        "requeue and claim",
        CLAIMED,
        &[Requeue("one", "first")],
        CLAIM,
    ),
    pair(
        "requeue and requeue",
        CLAIMED,
        &[Requeue("one", "first")],
        &[Requeue("two", "first")],
    ),
    pair(
        "requeue and adoption",
        CLAIMED,
        &[Requeue("one", "first")],
        ADOPT,
    ),
    pair("claim and cancel", WAITS, CLAIM, CANCEL),
    pair("claim and resume", CANCELLED, CLAIM, &[Resume]),
    pair(
        "adoption and adoption",
        RUNS,
        &[Adopt("one", "first", "third")],
        &[Adopt("two", "first", "second")],
    ),
    pair(
        "enqueue and claim",
        &[],
        &[Start("w", queued("creator"))],
        CLAIM,
    ),
    // Starts.
    pair(
        "start and start of one id",
        &[],
        &[Start("w", here("first"))],
        &[Start("w", here("second"))],
    ),
    pair(
        "start and start by another name",
        &[],
        &[Start("w", here("first"))],
        &[Start("w", other(here("second")))],
    ),
    pair(
        "a start twice",
        &[],
        &[Start("w", here("first"))],
        &[Start("w", here("first"))],
    ),
    pair(
        "start and enqueue of one id",
        &[],
        &[Start("w", here("first"))],
        &[Start("w", queued("second"))],
    ),
    pair("child start and cancel of the parent", RUNS, CHILD, CANCEL),
    pair("child start and adoption of the parent", RUNS, CHILD, ADOPT),
    pair(
        "child start and adoption of the parent, braked",
        RUNS,
        CHILD,
        ADOPT,
    )
    .braked(Brake::Row("c")),
    pair(
        "child start and cancel of the parent, braked",
        RUNS,
        CHILD,
        &[Cancel("w"), ReadSteps],
    )
    .braked(Brake::Row("c")),
    pair("child start and finish of the parent", RUNS, CHILD, FINISH),
    pair(
        "child start and start of one id",
        RUNS,
        CHILD,
        &[Start("c", here("second"))],
    ),
    pair(
        "child start and start by another name",
        RUNS,
        CHILD,
        &[Start("c", other(here("second")))],
    ),
    pair(
        "child start and child start of one id",
        TWO_RUN,
        CHILD,
        &[StartChild("c", here("second"), "d", "other")],
    ),
    pair("a child start twice", RUNS, CHILD, CHILD),
    pair(
        "child start and a checkpoint of its number",
        RUNS,
        CHILD,
        RECORD,
    ),
    pair(
        "child start and cancel of the child",
        RUNS,
        CHILD,
        &[Cancel("c")],
    ),
    // Writes that have left their lane.
    pair("a checkpoint twice, alone", RUNS, RECORD, RECORD).braked(Brake::Hold("w")),
    pair(
        "two checkpoints of one number, alone",
        RUNS,
        RECORD,
        &[Record("first", 1, "2")],
    )
    .braked(Brake::Hold("w")),
    pair(
        "a finish twice, alone",
        RUNS,
        FINISH,
        &[Finish("first", "2")],
    )
    .braked(Brake::Hold("w")),
    pair("finish and checkpoint, alone", RUNS, FINISH, RECORD).braked(Brake::Hold("w")),
    pair(
        "child start, alone, and start of one id",
        RUNS,
        CHILD,
        &[Start("c", here("second"))],
    )
    .braked(Brake::Hold("w")),
    pair(
        "child start, alone, and start by another name",
        RUNS,
        CHILD,
        &[Start("c", other(here("second")))],
    )
    .braked(Brake::Hold("w")),
    pair(
        "child start, alone, and child start of one id",
        TWO_RUN,
        CHILD,
        &[StartChild("c", here("second"), "d", "other")],
    )
    .braked(Brake::Hold("w")),
    pair(
        "child start, alone, and cancel of the child",
        RUNS,
        CHILD,
        &[Cancel("c")],
    )
    .braked(Brake::Hold("w")),
    // Messages and events.
    pair("send and cancel of the sender", TWO_RUN, SEND, CANCEL),
    pair("send and adoption of the sender", TWO_RUN, SEND, ADOPT),
    pair(
        "send and finish of the receiver",
        TWO_RUN,
        &[Send("m", "w", "d", "other")],
        FINISH,
    ),
    pair("a send twice", TWO_RUN, SEND, SEND),
    pair(
        "sends to each other",
        TWO_RUN,
        SEND,
        &[Send("n", "w", "d", "other")],
    ),
    pair("receive and cancel", HAS_MAIL, RECEIVE, CANCEL),
    pair("receive and adoption", HAS_MAIL, RECEIVE, ADOPT),
    pair("receive and receive", HAS_MAIL, RECEIVE, RECEIVE),
    pair("receive and mail", RUNS, RECEIVE, &[Mail("m", "w")]),
    pair(
        "receive and send",
        TWO_RUN,
        RECEIVE,
        &[Send("m", "w", "d", "other")],
    ),
    pair("set event and adoption", RUNS, PUBLISH, ADOPT),
    pair("set event and cancel", RUNS, PUBLISH, CANCEL),
    pair(
        "set event and set event",
        RUNS,
        PUBLISH,
        &[SetEvent("first", "2")],
    ),
    // Lives.
    pair(
        "claim of an earlier life and join",
        LIVED,
        &[Claim(REBORN, "first")],
        REJOIN,
    ),
    pair(
        "adoption of an earlier life and join",
        LEFT,
        &[Adopt(REBORN, "first", "second")],
        REJOIN,
    ),
    pair(
        "requeue of an earlier life and join",
        LEFT,
        &[Requeue(REBORN, "first")],
        REJOIN,
    ),
    // Deletes.
    pair("delete and checkpoint", RUNS, RECORD, DELETE).deleting(),
    pair("delete and checkpoint, braked", RUNS, RECORD, DELETE)
        .deleting()
        .braked(Brake::Step(1)),
    pair(
        "delete and a checkpoint asked again",
        &[Start("w", here("first")), Record("first", 1, "1")],
        RECORD,
        DELETE,
    )
    .deleting()
    .may_deadlock(),
    pair("delete and finish", RUNS, FINISH, DELETE).deleting(),
    pair(
        "delete and start",
        RUNS,
        &[Start("w", here("second"))],
        DELETE,
    )
    .deleting(),
    pair("delete and a child start", RUNS, CHILD, DELETE).deleting(),
    pair(
        "delete of a child and its start",
        &[Start("w", here("first")), Start("c", here("earlier"))],
        CHILD,
        &[Delete("c")],
    ),
    pair("delete and claim", WAITS, CLAIM, DELETE).deleting(),
    pair(
        "delete and adoption",
        RUNS,
        &[Adopt("two", "first", "second")],
        DELETE,
    )
    .deleting(),
    pair("delete and cancel", RUNS, CANCEL, DELETE).deleting(),
    pair("delete and resume", CANCELLED, &[Resume], DELETE).deleting(),
    pair(
        "delete of the receiver and send",
        TWO_RUN,
        SEND,
        &[Delete("d")],
    ),
    pair("delete and receive", HAS_MAIL, RECEIVE, DELETE).deleting(),
    pair("delete and set event", RUNS, PUBLISH, DELETE).deleting(),
];
