//! The calls of pairs in few words: unless they say otherwise they are about the workflow "w", its queue, and step 1.

use super::scene::WORKFLOW;
use crate::calls::{Call, Claims, End, Given, KEY, Letter, New, QUEUE, TOPIC, VERSION, one, run};

pub(super) const READ_STEPS: Call = Call::Histories;
pub(super) const RESUME: Call = Call::Resume(WORKFLOW, Some(QUEUE));
pub(super) const SWEEP: Call = Call::Sweep(10);

pub(super) const fn start(id: &'static str, new: New) -> Call {
    Call::Start(id, new)
}

/// As a step of the workflow of that name and token.
pub(super) const fn start_child(
    id: &'static str,
    new: New,
    parent: &'static str,
    token: &'static str,
) -> Call {
    Call::StartChild(id, new, run(parent, token), 1)
}

/// Records a step of the execution of this token.
pub(super) const fn record(token: &'static str, number: i32, value: &'static str) -> Call {
    Call::Record(run(WORKFLOW, token), number, Given::Value(value))
}

pub(super) const fn finish(token: &'static str, value: &'static str) -> Call {
    Call::Finish(run(WORKFLOW, token), End::Success(value))
}

pub(super) const fn dead_letter(token: &'static str) -> Call {
    Call::DeadLetter(run(WORKFLOW, token))
}

pub(super) const fn cancel(id: &'static str) -> Call {
    Call::Cancel(one(id))
}

/// Claims one workflow, for the first life of this executor.
pub(super) const fn claim(executor: &'static str, token: &'static str) -> Call {
    Call::Claim(first_life(executor), QUEUE, one(token))
}

/// Takes it over from the execution of one token under another one.
pub(super) const fn adopt(executor: &'static str, held: &'static str, token: &'static str) -> Call {
    Call::Adopt(first_life(executor), one(run(WORKFLOW, held)), one(token))
}

/// Puts it back from the execution of this token.
pub(super) const fn requeue(executor: &'static str, held: &'static str) -> Call {
    Call::Requeue(first_life(executor), one(run(WORKFLOW, held)))
}

/// Sends a message of this id from outside.
pub(super) const fn mail(id: &'static str, to: &'static str) -> Call {
    Call::Mail(letter(id, to))
}

/// Sends it as a step of the workflow of that name and token.
pub(super) const fn send(
    id: &'static str,
    to: &'static str,
    from: &'static str,
    token: &'static str,
) -> Call {
    Call::Send(letter(id, to), run(from, token), 1)
}

pub(super) const fn receive(token: &'static str, otherwise: bool) -> Call {
    Call::Receive(run(WORKFLOW, token), TOPIC, 1, otherwise)
}

pub(super) const fn set_event(token: &'static str, value: &'static str) -> Call {
    Call::SetEvent(run(WORKFLOW, token), KEY, 1, value)
}

pub(super) const fn join(executor: &'static str) -> Call {
    Call::Join(executor, true)
}

pub(super) const fn leave(executor: &'static str) -> Call {
    Call::Leave(executor)
}

/// What an earlier life of this executor left, whose present one has that number.
pub(super) const fn abandoned(executor: &'static str, life: i64) -> Call {
    let asking = Claims {
        life,
        ..first_life(executor)
    };
    Call::Abandoned(asking, true, None, 10)
}

pub(super) const fn delete(id: &'static str) -> Call {
    Call::Delete(id)
}

/// Leaves this token in the row of "w".
pub(super) const fn leave_token(token: &'static str) -> Call {
    Call::LeaveToken(WORKFLOW, token)
}

const fn first_life(executor: &'static str) -> Claims {
    Claims {
        executor,
        life: 1,
        version: VERSION,
    }
}

const fn letter(id: &'static str, to: &'static str) -> Letter {
    Letter {
        id,
        to,
        topic: TOPIC,
    }
}
