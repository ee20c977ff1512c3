//! What to say when nothing is ready and nothing is to come: what each workflow waits for, and why it does not come.

use durable_core::{
    ids::WorkflowId,
    state::{Status, WorkflowRow},
};

use super::{fact::Awaits, world::World};

/// One line for each workflow that has not ended, and for each wait of the test's own.
pub(super) fn told(world: &World) -> Vec<String> {
    let unended = world.memory.unended();
    let mut lines: Vec<_> = unended.iter().flat_map(|row| waits(world, row)).collect();
    let state = world.lock();
    let client = state.record.client_waits.values();
    lines.extend(client.map(|what| format!("the test waits for {what}")));
    lines
}

fn waits(world: &World, row: &WorkflowRow) -> Vec<String> {
    let id = &row.id;
    if let Some(queue) = row
        .queue
        .as_deref()
        .filter(|_| row.status != Status::Pending)
    {
        let served = world.lock().record.is_served(queue);
        let key = &row.key;
        return vec![if served {
            format!(
                "{id} is on queue {queue:?}, and no app takes it: is {key} registered where the queue is served, has it a place free?"
            )
        } else {
            format!(
                "{id} is on queue {queue:?}, which nobody serves; give the app `.queue({queue:?})`"
            )
        }];
    }
    let (awaited, bodies) = {
        let state = world.lock();
        let awaited: Vec<_> = state.record.waits_of(id).into_iter().cloned().collect();
        let bodies = state.record.bodies_of(id).into_iter();
        let bodies: Vec<_> = bodies
            .map(|(number, name)| (number, name.to_owned()))
            .collect();
        (awaited, bodies)
    };
    let mut lines: Vec<_> = awaited
        .iter()
        .map(|what| format!("{id} waits for {what}{}", why(world, id, what)))
        .collect();
    for (number, name) in bodies {
        lines.push(format!(
            "{id} runs step {number} {name:?}, whose body waits for something that does not come"
        ));
    }
    if lines.is_empty() && world.lock().record.is_running(id) {
        lines.push(format!(
            "the body of {id} (workflow {}) waits for something that is no durable operation, and it does not come",
            row.key
        ));
    } else if lines.is_empty() {
        lines.push(format!(
            "{id} is {}, and no app runs it: is workflow {} registered in one that is running?",
            row.status, row.key
        ));
    }
    lines
}

/// Why what is waited for has not come.
fn why(world: &World, waiting: &WorkflowId, what: &Awaits) -> String {
    match what {
        Awaits::Message(_) => {
            let topics = world.memory.untaken_topics(waiting);
            if topics.is_empty() {
                return "; nobody sent one".to_owned();
            }
            let topics: Vec<_> = topics.iter().map(|topic| format!("{topic:?}")).collect();
            format!("; what was sent has topic {}", topics.join(", "))
        }
        Awaits::Event(workflow, _) => match world.memory.standing(workflow) {
            None => "; there is no such workflow".to_owned(),
            Some((status, _)) if status.is_terminal() => "; it has ended without it".to_owned(),
            Some(_) => "; it has not published one".to_owned(),
        },
        Awaits::End(workflow) if world.memory.standing(workflow).is_none() => {
            "; there is no such workflow".to_owned()
        }
        Awaits::End(_) => String::new(),
    }
}
