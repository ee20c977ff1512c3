//! Which operations meet, and in which state of the database.

use super::{
    scene::REBORN,
    words::{
        READ_STEPS, RESUME, SWEEP, abandoned, adopt, cancel, claim, dead_letter, delete, finish,
        join, leave, leave_token, mail, receive, record, requeue, send, set_event, start,
        start_child,
    },
};
use crate::calls::{Call, here, other, overdue, queued};

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

const RUNS: &[Call] = &[start("w", here("first"))];
const WAITS: &[Call] = &[start("w", queued("creator"))];
const CLAIMED: &[Call] = &[start("w", queued("creator")), claim("one", "first")];
const REQUEUED: &[Call] = &[
    start("w", queued("creator")),
    claim("one", "first"),
    requeue("one", "first"),
];
const CANCELLED: &[Call] = &[start("w", here("first")), cancel("w")];
/// What other SDKs leave: the token of the execution in a row that is cancelled, and one in a row that waits on a queue.
const CANCELLED_WITH_TOKEN: &[Call] =
    &[start("w", here("first")), cancel("w"), leave_token("first")];
const WAITS_WITH_TOKEN: &[Call] = &[start("w", queued("creator")), leave_token("first")];
const OVERDUE: &[Call] = &[start("w", overdue(here("first")))];
const TWO_RUN: &[Call] = &[start("w", here("first")), start("d", here("other"))];
const HAS_MAIL: &[Call] = &[start("w", here("first")), mail("m", "w")];
const LIVED: &[Call] = &[start("w", queued("creator")), join(REBORN), leave(REBORN)];
const LEFT: &[Call] = &[
    start("w", queued("creator")),
    join(REBORN),
    claim(REBORN, "first"),
    leave(REBORN),
];

const RECORD: &[Call] = &[record("first", 1, "1")];
const FINISH: &[Call] = &[finish("first", "1")];
const CANCEL: &[Call] = &[cancel("w")];
const CLAIM: &[Call] = &[claim("two", "second"), READ_STEPS];
const ADOPT: &[Call] = &[adopt("two", "first", "second"), READ_STEPS];
const CHILD: &[Call] = &[start_child("c", here("child"), "w", "first")];
const SEND: &[Call] = &[send("m", "d", "w", "first")];
const RECEIVE: &[Call] = &[receive("first", true)];
const PUBLISH: &[Call] = &[set_event("first", "1")];
const REJOIN: &[Call] = &[join(REBORN), abandoned(REBORN, 2)];
const AGAIN: &[Call] = &[start("w", here("later")), READ_STEPS];
const DELETE: &[Call] = &[delete("w")];

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
        &[requeue("two", "first"), READ_STEPS],
    ),
    pair(
        "checkpoint and requeue, braked",
        CLAIMED,
        RECORD,
        &[requeue("two", "first"), READ_STEPS],
    )
    .braked(Brake::Step(1)),
    pair("checkpoint and adoption", RUNS, RECORD, ADOPT),
    pair("checkpoint and adoption, braked", RUNS, RECORD, ADOPT).braked(Brake::Step(1)),
    pair("checkpoint and cancel", RUNS, RECORD, CANCEL),
    pair(
        "checkpoint and cancel, braked",
        RUNS,
        RECORD,
        &[cancel("w"), READ_STEPS],
    )
    .braked(Brake::Step(1)),
    pair("checkpoint and finish", RUNS, RECORD, FINISH),
    pair("a checkpoint twice", RUNS, RECORD, RECORD),
    pair(
        "two checkpoints of one number",
        RUNS,
        RECORD,
        &[record("first", 1, "2")],
    ),
    // Ends.
    pair("finish and cancel", RUNS, FINISH, CANCEL),
    pair("finish and adoption", RUNS, FINISH, ADOPT),
    pair(
        "finish and requeue",
        CLAIMED,
        FINISH,
        &[requeue("two", "first")],
    ),
    pair("a finish twice", RUNS, FINISH, &[finish("first", "2")]),
    pair(
        "two finishes by two tokens",
        &[start("w", here("first")), adopt("two", "first", "second")],
        FINISH,
        &[finish("second", "2")],
    ),
    pair(
        "finish and adoption that finishes",
        RUNS,
        FINISH,
        &[adopt("two", "first", "second"), finish("second", "2")],
    ),
    pair("cancel and cancel", RUNS, CANCEL, CANCEL),
    pair("cancel and resume of what runs", RUNS, CANCEL, &[RESUME]),
    pair(
        "cancel and resume of what is cancelled",
        CANCELLED,
        CANCEL,
        &[RESUME],
    ),
    pair("resume and resume", CANCELLED, &[RESUME], &[RESUME]),
    pair("cancel and adoption", RUNS, CANCEL, ADOPT),
    pair("sweep and finish", OVERDUE, &[SWEEP], FINISH),
    pair("sweep and cancel", OVERDUE, &[SWEEP], CANCEL),
    pair(
        "sweep and claim",
        &[start("w", overdue(queued("creator")))],
        &[SWEEP],
        CLAIM,
    ),
    pair("sweep and sweep", OVERDUE, &[SWEEP], &[SWEEP]),
    pair("sweep and checkpoint", OVERDUE, &[SWEEP], RECORD),
    pair(
        "dead letter and cancel",
        RUNS,
        &[dead_letter("first")],
        CANCEL,
    ),
    pair(
        "dead letter and adoption",
        RUNS,
        &[dead_letter("first")],
        ADOPT,
    ),
    pair(
        "dead letter and finish",
        RUNS,
        &[dead_letter("first")],
        FINISH,
    ),
    // Claims.
    pair(
        "claim and claim",
        WAITS,
        &[claim("one", "first")],
        &[claim("two", "second")],
    ),
    pair(
        "claim and claim of two",
        &[start("w", queued("creator")), start("c", queued("creator"))],
        &[claim("one", "first")],
        &[claim("two", "second")],
    ),
    pair(
        "requeue and claim",
        CLAIMED,
        &[requeue("one", "first")],
        CLAIM,
    ),
    pair(
        "requeue and requeue",
        CLAIMED,
        &[requeue("one", "first")],
        &[requeue("two", "first")],
    ),
    pair(
        "requeue and adoption",
        CLAIMED,
        &[requeue("one", "first")],
        ADOPT,
    ),
    pair("claim and cancel", WAITS, CLAIM, CANCEL),
    pair("claim and resume", CANCELLED, CLAIM, &[RESUME]),
    pair(
        "adoption and adoption",
        RUNS,
        &[adopt("one", "first", "third")],
        &[adopt("two", "first", "second")],
    ),
    pair(
        "enqueue and claim",
        &[],
        &[start("w", queued("creator"))],
        CLAIM,
    ),
    // Starts.
    pair(
        "start and start of one id",
        &[],
        &[start("w", here("first"))],
        &[start("w", here("second"))],
    ),
    pair(
        "start and start by another name",
        &[],
        &[start("w", here("first"))],
        &[start("w", other(here("second")))],
    ),
    pair(
        "a start twice",
        &[],
        &[start("w", here("first"))],
        &[start("w", here("first"))],
    ),
    pair(
        "start and enqueue of one id",
        &[],
        &[start("w", here("first"))],
        &[start("w", queued("second"))],
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
        &[cancel("w"), READ_STEPS],
    )
    .braked(Brake::Row("c")),
    pair("child start and finish of the parent", RUNS, CHILD, FINISH),
    pair(
        "child start and start of one id",
        RUNS,
        CHILD,
        &[start("c", here("second"))],
    ),
    pair(
        "child start and start by another name",
        RUNS,
        CHILD,
        &[start("c", other(here("second")))],
    ),
    pair(
        "child start and child start of one id",
        TWO_RUN,
        CHILD,
        &[start_child("c", here("second"), "d", "other")],
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
        &[cancel("c")],
    ),
    // Writes that have left their lane.
    pair("a checkpoint twice, alone", RUNS, RECORD, RECORD).braked(Brake::Hold("w")),
    pair(
        "two checkpoints of one number, alone",
        RUNS,
        RECORD,
        &[record("first", 1, "2")],
    )
    .braked(Brake::Hold("w")),
    pair(
        "a finish twice, alone",
        RUNS,
        FINISH,
        &[finish("first", "2")],
    )
    .braked(Brake::Hold("w")),
    pair("finish and checkpoint, alone", RUNS, FINISH, RECORD).braked(Brake::Hold("w")),
    pair(
        "child start, alone, and start of one id",
        RUNS,
        CHILD,
        &[start("c", here("second"))],
    )
    .braked(Brake::Hold("w")),
    pair(
        "child start, alone, and start by another name",
        RUNS,
        CHILD,
        &[start("c", other(here("second")))],
    )
    .braked(Brake::Hold("w")),
    pair(
        "child start, alone, and child start of one id",
        TWO_RUN,
        CHILD,
        &[start_child("c", here("second"), "d", "other")],
    )
    .braked(Brake::Hold("w")),
    pair(
        "child start, alone, and cancel of the child",
        RUNS,
        CHILD,
        &[cancel("c")],
    )
    .braked(Brake::Hold("w")),
    // Rows with tokens that mean nothing.
    pair(
        "checkpoint and resume, a token left in the row",
        CANCELLED_WITH_TOKEN,
        RECORD,
        &[RESUME],
    ),
    pair(
        "checkpoint and resume with a claim, a token left in the row",
        CANCELLED_WITH_TOKEN,
        RECORD,
        &[RESUME, claim("two", "second"), READ_STEPS],
    ),
    pair(
        "finish and resume, a token left in the row",
        CANCELLED_WITH_TOKEN,
        FINISH,
        &[RESUME],
    ),
    pair(
        "child start and resume, a token left in the row",
        CANCELLED_WITH_TOKEN,
        CHILD,
        &[RESUME],
    ),
    pair(
        "adoption and resume, a token left in the row",
        CANCELLED_WITH_TOKEN,
        ADOPT,
        &[RESUME],
    ),
    pair(
        "dead letter and resume, a token left in the row",
        CANCELLED_WITH_TOKEN,
        &[dead_letter("first")],
        &[RESUME],
    ),
    pair(
        "set event and resume, a token left in the row",
        CANCELLED_WITH_TOKEN,
        PUBLISH,
        &[RESUME],
    ),
    pair(
        "receive and claim, a token left in the row",
        WAITS_WITH_TOKEN,
        RECEIVE,
        CLAIM,
    ),
    pair(
        "checkpoint and claim, a token left in the row",
        WAITS_WITH_TOKEN,
        RECORD,
        CLAIM,
    ),
    pair(
        "requeue and claim, a token left in the row",
        WAITS_WITH_TOKEN,
        &[requeue("one", "first")],
        CLAIM,
    ),
    // Messages and events.
    pair("send and cancel of the sender", TWO_RUN, SEND, CANCEL),
    pair("send and adoption of the sender", TWO_RUN, SEND, ADOPT),
    pair(
        "send and finish of the receiver",
        TWO_RUN,
        &[send("m", "w", "d", "other")],
        FINISH,
    ),
    pair("a send twice", TWO_RUN, SEND, SEND),
    pair(
        "sends to each other",
        TWO_RUN,
        SEND,
        &[send("n", "w", "d", "other")],
    ),
    pair("receive and cancel", HAS_MAIL, RECEIVE, CANCEL),
    pair("receive and adoption", HAS_MAIL, RECEIVE, ADOPT),
    pair("receive and receive", HAS_MAIL, RECEIVE, RECEIVE),
    pair("receive and mail", RUNS, RECEIVE, &[mail("m", "w")]),
    pair(
        "receive and send",
        TWO_RUN,
        RECEIVE,
        &[send("m", "w", "d", "other")],
    ),
    pair("set event and adoption", RUNS, PUBLISH, ADOPT),
    pair("set event and cancel", RUNS, PUBLISH, CANCEL),
    pair(
        "set event and set event",
        RUNS,
        PUBLISH,
        &[set_event("first", "2")],
    ),
    // Lives.
    pair(
        "claim of an earlier life and join",
        LIVED,
        &[claim(REBORN, "first")],
        REJOIN,
    ),
    pair(
        "adoption of an earlier life and join",
        LEFT,
        &[adopt(REBORN, "first", "second")],
        REJOIN,
    ),
    pair(
        "requeue of an earlier life and join",
        LEFT,
        &[requeue(REBORN, "first")],
        REJOIN,
    ),
    // Deletes.
    pair("delete and checkpoint", RUNS, RECORD, DELETE).deleting(),
    pair("delete and checkpoint, braked", RUNS, RECORD, DELETE)
        .deleting()
        .braked(Brake::Step(1)),
    pair(
        "delete and a checkpoint asked again",
        &[start("w", here("first")), record("first", 1, "1")],
        RECORD,
        DELETE,
    )
    .deleting()
    .may_deadlock(),
    pair("delete and finish", RUNS, FINISH, DELETE).deleting(),
    pair(
        "delete and start",
        RUNS,
        &[start("w", here("second"))],
        DELETE,
    )
    .deleting(),
    pair("delete and a child start", RUNS, CHILD, DELETE).deleting(),
    pair(
        "delete of a child and its start",
        &[start("w", here("first")), start("c", here("earlier"))],
        CHILD,
        &[delete("c")],
    ),
    pair("delete and claim", WAITS, CLAIM, DELETE).deleting(),
    pair(
        "delete and adoption",
        RUNS,
        &[adopt("two", "first", "second")],
        DELETE,
    )
    .deleting(),
    pair("delete and cancel", RUNS, CANCEL, DELETE).deleting(),
    pair("delete and resume", CANCELLED, &[RESUME], DELETE).deleting(),
    pair(
        "delete of the receiver and send",
        TWO_RUN,
        SEND,
        &[delete("d")],
    ),
    pair("delete and receive", HAS_MAIL, RECEIVE, DELETE).deleting(),
    pair("delete and set event", RUNS, PUBLISH, DELETE).deleting(),
];
