//! Built without a backend: the command calls itself again, built with it.

use std::{ffi::OsStr, path::Path, process::Command};

use super::Options;
use crate::{
    failure::Failure,
    screen,
    workspace::{self, Workspace},
};

/// Has the database migrated by this program built with the feature `migrate`, and passes on what that says.
pub(super) fn migrate(options: &Options) -> Result<(), Failure> {
    let workspace = Workspace::find()?;
    screen::line("Building the backend, if it is not built yet …");
    let mut command = call(workspace.root(), options.database_url.as_deref());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::failed(format!(
            "not migrated, for the reason above ({status})"
        ))),
        Err(error) => Err(Failure::failed(format!("cannot start cargo: {error}"))),
    }
}

/// The call, to be made in the caller's directory, to which a relative path belongs.
///
/// Without a `url` it takes the one of the environment, as this process did.
fn call(root: &Path, url: Option<&OsStr>) -> Command {
    let mut command = Command::new(workspace::cargo());
    command
        .args(["run", "--quiet", "--package", "xtask"])
        .args(["--features", "migrate", "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .args(["--", "migrate"]);
    if let Some(url) = url {
        command.arg("--database-url").arg(url);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process;

    #[test]
    fn the_second_call_has_the_feature_and_the_callers_url() {
        let common = "cargo run --quiet --package xtask --features migrate --manifest-path root/Cargo.toml -- migrate";
        let shown = process::describe(&call(Path::new("root"), Some(OsStr::new("sqlite:shop.db"))));
        assert_eq!(shown, format!("{common} --database-url sqlite:shop.db"));
        assert_eq!(process::describe(&call(Path::new("root"), None)), common);
    }
}
