//! Built without a backend: the command calls itself again, built with it.

use std::{path::Path, process::Command};

use super::{Mode, Options};
use crate::{
    failure::Failure,
    screen,
    workspace::{self, Workspace},
};

/// Has the database migrated by this program built with the feature `migrate`, and passes on what that says.
pub(super) fn migrate(options: &Options) -> Result<(), Failure> {
    let workspace = Workspace::find()?;
    screen::line("Building the backend, if it is not built yet …");
    let mut command = call(workspace.root(), options);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::failed(format!(
            "not {}, for the reason above ({status})",
            match options.mode {
                Mode::Run => "migrated",
                Mode::DryRun => "looked at",
                Mode::Check => "up to date",
            }
        ))),
        Err(error) => Err(Failure::failed(format!("cannot start cargo: {error}"))),
    }
}

/// The call, to be made in the caller's directory, to which a relative path belongs.
///
/// Without a URL it takes the one of the environment, as this process did.
fn call(root: &Path, options: &Options) -> Command {
    let mut command = Command::new(workspace::cargo());
    command
        .args(["run", "--quiet", "--package", "xtask"])
        .args(["--features", "migrate", "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .args(["--", "migrate"]);
    if let Some(url) = &options.database_url {
        let option = if options.data_source {
            "--data-source"
        } else {
            "--database-url"
        };
        command.arg(option).arg(url);
    }
    if let Some(schema) = &options.schema {
        command.args(["--schema", schema]);
    }
    if let Some(role) = &options.app_role {
        command.args(["--app-role", role]);
    }
    if options.create_database {
        command.arg("--create-database");
    }
    match options.mode {
        Mode::Run => {}
        Mode::DryRun => drop(command.arg("--dry-run")),
        Mode::Check => drop(command.arg("--check")),
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process;

    #[test]
    fn the_second_call_has_the_feature_and_the_callers_options() {
        let common = "cargo run --quiet --package xtask --features migrate --manifest-path root/Cargo.toml -- migrate";
        let shown = |options: &Options| process::describe(&call(Path::new("root"), options));
        let mut options = Options::default();
        assert_eq!(shown(&options), common);
        options.database_url = Some("sqlite:shop.db".into());
        assert_eq!(
            shown(&options),
            format!("{common} --database-url sqlite:shop.db")
        );
        options.data_source = true;
        assert_eq!(
            shown(&options),
            format!("{common} --data-source sqlite:shop.db")
        );
        options = Options {
            database_url: None,
            data_source: false,
            schema: Some("orders".to_owned()),
            app_role: Some("shop".to_owned()),
            create_database: true,
            mode: Mode::Run,
        };
        let wanted = "--schema orders --app-role shop --create-database";
        assert_eq!(shown(&options), format!("{common} {wanted}"));
        for (mode, word) in [(Mode::DryRun, "--dry-run"), (Mode::Check, "--check")] {
            let options = Options {
                mode,
                ..Options::default()
            };
            assert_eq!(shown(&options), format!("{common} {word}"));
        }
    }
}
