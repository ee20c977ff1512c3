//! Hints between processes: what is told through the server, and how it is heard.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use durable_core::db::{Hint, HintHub};
use tokio::{task::AbortHandle, time::timeout};

use crate::{Connection as _, Driver, DriverError, Listener as _, Notification, connect::probe};

/// Where the trigger on `notifications` tells of messages, as `destination::topic`.
const MESSAGES: &str = "dbos_notifications_channel";

/// Where whoever publishes an event tells of it, as `workflow::key`.
const EVENTS: &str = "dbos_workflow_events_channel";

/// Where processes of this library tell each other of all else: `q:queue` or `w:workflow`.
const OWN: &str = "durable_hints";

/// The longest payload that the server takes, in bytes.
const MAX_PAYLOAD: usize = 7999;

/// How long a notification may take to be heard.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it may be quiet before a listener is looked at.
const QUIET: Duration = Duration::from_secs(15);

/// How long to wait before listening is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The channel and the payload that tell other processes of a hint; `None` where they are told otherwise, or cannot be.
pub(crate) fn told_as(hint: &Hint) -> Option<(&'static str, String)> {
    let (channel, payload) = match hint {
        Hint::Event(workflow, key) => (EVENTS, format!("{workflow}::{key}")),
        Hint::Queue(queue) => (OWN, format!("q:{queue}")),
        Hint::Workflow(workflow) => (OWN, format!("w:{workflow}")),
        // Of messages the trigger tells.
        _ => return None,
    };
    // What is too long is found by polling.
    (payload.len() <= MAX_PAYLOAD).then_some((channel, payload))
}

/// What a notification hints at: more than one thing where a name may have the separator in it.
fn heard(notification: &Notification) -> Vec<Hint> {
    let payload = notification.payload.as_str();
    match notification.channel.as_str() {
        MESSAGES => pairs(payload)
            .map(|(workflow, topic)| Hint::Message(workflow.into(), topic.to_owned()))
            .collect(),
        EVENTS => pairs(payload)
            .map(|(workflow, key)| Hint::Event(workflow.into(), key.to_owned()))
            .collect(),
        _ => match payload.split_once(':') {
            Some(("q", queue)) => vec![Hint::Queue(queue.to_owned())],
            Some(("w", workflow)) => vec![Hint::Workflow(workflow.into())],
            _ => Vec::new(),
        },
    }
}

/// Every way to read `a::b`.
fn pairs(payload: &str) -> impl Iterator<Item = (&str, &str)> {
    // Also those that overlap: a name may begin or end with a colon.
    let colons = payload.match_indices(':').map(|(at, _)| at);
    colons
        .filter(|at| payload[*at..].starts_with("::"))
        .map(|at| (&payload[..at], &payload[at + 2..]))
}

/// The task that listens, once somebody wants hints. It ends with this.
#[derive(Debug, Default)]
pub(crate) struct Listening(Mutex<Option<AbortHandle>>);

impl Listening {
    /// Begins to listen, unless it has begun.
    pub(crate) fn start<D: Driver>(&self, driver: &D, hub: &HintHub) {
        let mut task = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if task.is_none() {
            let listening = listen(driver.clone(), hub.clone());
            *task = Some(tokio::spawn(listening).abort_handle());
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let task = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task {
            task.abort();
        }
    }
}

/// Passes on what other processes tell, for ever.
async fn listen<D: Driver>(driver: D, hub: HintHub) {
    let mut warned = HashSet::new();
    loop {
        let Err(error) = listen_once(&driver, &hub).await;
        tell_once(&mut warned, &error);
        tokio::time::sleep(RETRY).await;
        // It may come back on another server, or behind another pooler; the first time whoever opened the database has looked.
        while let Err(error) = probe::check(&driver).await {
            tell_once(&mut warned, &error);
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Said once for each reason: until it is back, polling finds everything. That the server went away the engine says.
fn tell_once(warned: &mut HashSet<String>, error: &DriverError) {
    if error.is_lost() {
        tracing::debug!(%error, "notifications are not heard until the database is back");
    } else if warned.insert(error.to_string()) {
        tracing::warn!(%error, "notifications are not heard; polling goes on, and listening is tried again");
    }
}

async fn listen_once<D: Driver>(
    driver: &D,
    hub: &HintHub,
) -> Result<std::convert::Infallible, DriverError> {
    let mut listener = driver.listen(&[MESSAGES, EVENTS, OWN]).await?;
    prove(driver, &mut listener).await?;
    // What was told before nobody heard.
    hub.send([Hint::Anything]);
    loop {
        let notification = next(driver, &mut listener).await?;
        hub.send(heard(&notification));
    }
}

/// The next notification, of whoever. Where it is quiet for long, this process tells itself something: on a connection on which nothing comes
/// any more the silence would last, and no driver would say so.
async fn next<D: Driver>(
    driver: &D,
    listener: &mut D::Listener,
) -> Result<Notification, DriverError> {
    let mut next = std::pin::pin!(listener.next());
    loop {
        if let Ok(heard) = timeout(QUIET, &mut next).await {
            return heard;
        }
        // What cannot be told says nothing about what would be heard.
        let Ok(Ok(())) = timeout(PATIENCE, tell_oneself(driver)).await else {
            continue;
        };
        return timeout(PATIENCE, next).await.unwrap_or_else(|_| {
            let lost = format!("a notification did not arrive within {PATIENCE:?}");
            Err(DriverError::lost(lost))
        });
    }
}

async fn tell_oneself<D: Driver>(driver: &D) -> Result<(), DriverError> {
    const PROOF: &str = "SELECT pg_catalog.pg_notify('durable_hints', '?:can you hear me')";
    driver.dedicated().await?.batch(PROOF).await
}

/// Tells the listener something, and waits until it hears it: behind some poolers, and on a connection that the application's pool makes
/// without the part that carries notifications, it never would, and nobody would know.
async fn prove<D: Driver>(driver: &D, listener: &mut D::Listener) -> Result<(), DriverError> {
    tell_oneself(driver).await?;
    let heard = async {
        // Whatever comes proves it.
        listener.next().await.map(drop)
    };
    timeout(PATIENCE, heard)
        .await
        .unwrap_or_else(|_| {
            Err(DriverError::unlike(format!(
                "a notification sent to this process did not arrive within {PATIENCE:?}: a connection that the application's pool makes \
                 without its notifications swallows them; make it with them, or turn `listen_notify` off"
            )))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told_and_heard(hint: &Hint) -> Vec<Hint> {
        let (channel, payload) = told_as(hint).expect("it is told");
        heard(&Notification {
            channel: channel.to_owned(),
            payload,
        })
    }

    #[test]
    fn what_one_process_tells_another_hears() {
        for hint in [
            Hint::Queue("a:b".into()),
            Hint::Workflow("w::1:2".into()),
            Hint::Event("w".into(), "key".into()),
        ] {
            assert_eq!(told_and_heard(&hint), [hint]);
        }
    }

    #[test]
    fn a_name_with_the_separator_in_it_is_among_what_is_heard() {
        for (workflow, key) in [("a::b", "c::d"), ("a:", "b"), ("a", ":b"), (":", ":")] {
            let hint = Hint::Event(workflow.into(), key.to_owned());
            assert!(told_and_heard(&hint).contains(&hint));
        }
    }

    #[test]
    fn what_is_too_long_for_the_server_is_not_told() {
        assert_eq!(told_as(&Hint::Queue("x".repeat(7998))), None);
        assert!(told_as(&Hint::Queue("x".repeat(7997))).is_some());
    }
}
