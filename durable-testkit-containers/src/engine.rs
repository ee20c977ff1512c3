//! Whether there is a container engine.

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
};

use durable_testkit::pg::Missing;
use testcontainers::{bollard::Docker, core::client::docker_client_instance};

use crate::told;

/// The environment variable that names the engine.
const HOST: &str = "DOCKER_HOST";

/// The engine, if it answers.
pub(crate) async fn find() -> Result<Docker, Missing> {
    let engine = docker_client_instance().await;
    let engine = engine.map_err(|error| none(&error))?;
    let answer = engine.ping().await;
    answer.map_err(|error| none(&error))?;
    Ok(engine)
}

/// An error with its causes: the client's own words name none.
fn whole(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !said.contains(&more) {
            said = format!("{said}: {more}");
        }
        cause = error.source();
    }
    said
}

/// Says that there is none, and why.
fn none(error: &dyn Error) -> Missing {
    let host = env::var_os(HOST);
    let sockets = sockets(host.is_some());
    let there: Vec<_> = sockets.iter().filter(|path| path.exists()).collect();
    let why = match (&host, there.first()) {
        (None, None) => {
            let shown: Vec<_> = sockets
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            format!("no socket at {}", shown.join(", "))
        }
        (None, Some(socket)) => format!("{}: {}", socket.display(), whole(error)),
        (Some(_), _) => whole(error),
    };
    Missing {
        what: format!("no container engine ({}; {why})", told(HOST, host)),
        help: format!(
            "or start Docker, or Podman with its socket, and name that in {HOST}=unix:///run/user/1000/podman/podman.sock if it stands elsewhere"
        ),
    }
}

/// Where the socket is looked for if nothing is named.
fn sockets(named: bool) -> Vec<PathBuf> {
    if named {
        return Vec::new();
    }
    let home = |variable: &str, rest: &str| {
        let home = env::var_os(variable)?;
        Some(Path::new(&home).join(rest))
    };
    [
        Some(PathBuf::from("/var/run/docker.sock")),
        home("XDG_RUNTIME_DIR", ".docker/run/docker.sock"),
        home("HOME", ".docker/run/docker.sock"),
        home("HOME", ".docker/desktop/docker.sock"),
    ]
    .into_iter()
    .flatten()
    .collect()
}
