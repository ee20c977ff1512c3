//! A Postgres server in a container, for the tests of a program where none is named and none is installed.
//!
//! [`server`] is `PgServer::shared` of crate `durable-testkit` with one more source. It needs a container engine that speaks Docker's protocol:
//! `DOCKER_HOST` names it, or its socket stands where Docker puts it.
//!
//! ```no_run
//! use durable::pg_sqlx::SqlxDriver;
//!
//! # async fn test() -> Result<(), Box<dyn std::error::Error>> {
//! let database = durable_testkit_containers::server().await?.database::<SqlxDriver>().await?;
//! # Ok(())
//! # }
//! ```
//!
//! - `engine`: whether there is one
//! - `container`: starting one, and waiting until its server takes connections
//! - `leftovers`: what programs leave behind that were killed

mod container;
mod engine;
mod leftovers;

use std::{env, ffi::OsString};

use durable_testkit::pg::{Missing, PgServer, PgServerError, Started};

/// The environment variable that names the image, as in `postgres:16`; it must take the variables and arguments of the official one.
pub const IMAGE: &str = "DURABLE_TEST_PG_IMAGE";

/// The image, unless another is named.
const DEFAULT_IMAGE: &str = "postgres:17-alpine";

/// The server of this program's tests: as `PgServer::shared`, and in a container where that would have none.
///
/// One container serves all tests of a program. It takes a few seconds to start, once its image is there: [`IMAGE`] names another one than
/// `postgres:17-alpine`. It publishes a port, or listens on 127.0.0.1 itself where the engine has no network of its own, and asks for
/// a password. When the program ends it is removed by the engine's command line, if there is one, and otherwise by the next
/// program; `TESTCONTAINERS_COMMAND=keep` keeps it.
///
/// Errors: there is no server, no engine, or no image, with how to provide each; the server does not start.
pub async fn server() -> Result<&'static PgServer, PgServerError> {
    PgServer::shared_or(start).await
}

/// A server in a container.
async fn start() -> Result<Started, PgServerError> {
    let engine = engine::find().await.map_err(missing)?;
    leftovers::remove(&engine).await;
    let image = env::var(IMAGE).unwrap_or_else(|_| DEFAULT_IMAGE.to_owned());
    let started = container::start(&image).await.map_err(|error| match error {
        container::Error::NoImage(said) => missing(Missing {
            what: format!("image `{image}` is not present and cannot be pulled ({said})"),
            help: format!("or bring it by `docker pull`, `load` or `import`, or name one that is there: {IMAGE}=postgres:16"),
        }),
        container::Error::Failed(said) => {
            PgServerError::unusable(format!("container {image}"), "starting it", said)
        }
    })?;
    let guard = leftovers::guard(started.id());
    let url = started.url();
    Ok(Started::new(
        url,
        format!("container {image}"),
        (guard, started),
    ))
}

fn missing(what: Missing) -> PgServerError {
    PgServerError::NoServer(vec![what])
}

/// A variable as it is told.
fn told(name: &str, value: Option<OsString>) -> String {
    match value {
        Some(value) => format!("{name} is {}", value.to_string_lossy()),
        None => format!("{name} is not set"),
    }
}
