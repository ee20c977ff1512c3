//! Containers of programs that have ended.
//!
//! A program cannot remove its own when it is killed, nor when it ends as tests do. So a process waits for its end and calls the engine's command
//! line; and where there is none, the next program knows by the labels whose container nobody uses any more.

use std::{
    collections::HashMap,
    env, fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use testcontainers::bollard::{
    Docker,
    query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder},
};

/// What all containers are labelled with, and what says whose they are.
const OURS: &str = "durable-testkit";
const MACHINE: &str = "durable-testkit.machine";
const PROCESS: &str = "durable-testkit.process";
const STARTED: &str = "durable-testkit.started";

/// What another machine started is removed after a day: whether its program still runs cannot be seen from here.
const OLD: Duration = Duration::from_secs(24 * 3600);

/// What calls an engine, the first that is there.
const COMMANDS: [&str; 2] = ["docker", "podman"];

/// The labels of this program's container.
pub(crate) fn labels() -> [(&'static str, String); 4] {
    [
        (OURS, "postgres".to_owned()),
        (MACHINE, machine()),
        (PROCESS, std::process::id().to_string()),
        (STARTED, now().as_secs().to_string()),
    ]
}

/// Removes the containers that nobody uses any more. What fails is left to the next program.
pub(crate) async fn remove(engine: &Docker) {
    let ours = HashMap::from([("label", vec![OURS])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&ours);
    let found = engine.list_containers(Some(options.build())).await;
    for container in found.unwrap_or_default() {
        let labels = container.labels.unwrap_or_default();
        if let Some(id) = container.id.filter(|_| is_left(&labels)) {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true);
            let removed = engine.remove_container(&id, Some(options.build())).await;
            tracing::debug!(%id, ?removed, "a container that an ended program left");
        }
    }
}

fn is_left(labels: &HashMap<String, String>) -> bool {
    let label = |name: &str| labels.get(name).map_or("", String::as_str);
    let started = label(STARTED).parse().map(Duration::from_secs);
    let is_old = started.is_ok_and(|started| now().saturating_sub(started) > OLD);
    is_old || (label(MACHINE) == machine() && !is_alive(label(PROCESS)))
}

fn is_alive(process: &str) -> bool {
    if Path::new("/proc/self").exists() {
        return Path::new("/proc").join(process).exists();
    }
    let mut found = Command::new("ps");
    let found = found.args(["-p", process]).stdout(Stdio::null()).status();
    // Where that cannot be asked, nothing is removed.
    found.map_or(true, |status| status.success())
}

fn machine() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| {
        let said = Command::new("hostname").output()?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&said.stdout).into_owned())
    });
    name.unwrap_or_default().trim().to_owned()
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// A process that waits for the end of this one and removes the container then, if there is a command to do that with.
pub(crate) fn guard(id: &str) -> Option<Child> {
    if env::var_os("TESTCONTAINERS_COMMAND").is_some_and(|command| command == "keep") {
        return None;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let command = COMMANDS.iter().find(|command| {
        env::split_paths(&path).any(|directory| directory.join(command).is_file())
    })?;
    spawned(&format!(
        "trap '' INT TERM HUP QUIT; read -r _; {command} rm --force --volumes {id}"
    ))
}

#[cfg(unix)]
fn spawned(script: &str) -> Option<Child> {
    use std::os::unix::process::CommandExt as _;

    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        // Ctrl-C does not reach it.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Without it the next program removes the container.
    command.spawn().ok()
}

#[cfg(not(unix))]
fn spawned(_: &str) -> Option<Child> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(changes: &[(&str, &str)]) -> HashMap<String, String> {
        let own = labels().map(|(name, value)| (name.to_owned(), value));
        let changes = changes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        own.into_iter().chain(changes).collect()
    }

    #[test]
    fn only_what_nobody_uses_any_more_is_removed() {
        assert!(!is_left(&labelled(&[])), "this program runs");
        let gone = (PROCESS, "4194305");
        assert!(is_left(&labelled(&[gone])));
        let elsewhere = (MACHINE, "another");
        assert!(!is_left(&labelled(&[gone, elsewhere])));
        assert!(is_left(&labelled(&[gone, elsewhere, (STARTED, "1000")])));
    }
}
