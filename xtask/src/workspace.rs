//! Where the workspace is, and how its cargo is called.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{failure::Failure, json, process};

/// The workspace that this program belongs to.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Finds it from where cargo says that this program's package is.
    pub(crate) fn find() -> Result<Self, Failure> {
        // Two checkouts may share a target directory: what cargo says now goes before what it said when it compiled.
        let package = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = package
            .parent()
            .filter(|root| root.join("Cargo.toml").is_file())
            .ok_or_else(|| {
                Failure::failed(format!(
                    "no workspace above {}; call this as `cargo xtask` inside a checkout",
                    package.display()
                ))
            })?
            .to_owned();
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |target| root.join(target));
        Ok(Self { root, target })
    }

    /// The directory of the workspace's `Cargo.toml`.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where files that need not be kept are put.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The names of its packages.
    pub(crate) fn packages(&self) -> Result<Vec<String>, Failure> {
        Ok(self.members()?.into_iter().map(|(name, _)| name).collect())
    }

    /// The names of its packages, with their directories.
    pub(crate) fn members(&self) -> Result<Vec<(String, PathBuf)>, Failure> {
        let mut command = self.cargo(["metadata", "--no-deps", "--format-version", "1"]);
        let members = members(&process::capture(&mut command)?);
        Ok(members
            .into_iter()
            .map(|(name, below)| (name, self.root.join(below)))
            .collect())
    }

    /// The cargo that runs this program, called from the workspace's root.
    pub(crate) fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(cargo());
        command.args(arguments).current_dir(&self.root);
        forget_own_package(&mut command);
        command
    }

    /// A line for the shell, run from the workspace's root.
    pub(crate) fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(&self.root);
        forget_own_package(&mut command);
        command
    }
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// Takes away what cargo says to this program about itself, so that a child sees what a person's shell would show it.
fn forget_own_package(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let own = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        });
        if own {
            command.env_remove(name);
        }
    }
}

/// The members in what `cargo metadata` prints: each one's name, and the last part of its directory.
fn members(metadata: &str) -> Vec<(String, String)> {
    json::strings(metadata)
        .skip_while(|text| text != "workspace_members")
        .skip(1)
        .take_while(|text| text.starts_with("path+"))
        .map(|id| name_and_place(&id))
        .collect()
}

/// The two in a package id: `path+file:///here/durable#0.1.0`, or `path+file:///elsewhere#durable@0.1.0`.
fn name_and_place(id: &str) -> (String, String) {
    let (place, version) = id.rsplit_once('#').unwrap_or((id, ""));
    let place = place.rsplit('/').next().unwrap_or(place);
    let name = version.rsplit_once('@').map_or(place, |(name, _)| name);
    (name.to_owned(), place.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packages_of_the_workspace_are_its_members() {
        let workspace = Workspace::find().expect("cargo test runs inside the workspace");
        let packages = workspace.packages().expect("the workspace can be read");
        for name in ["durable", "durable-core", "xtask"] {
            assert!(packages.iter().any(|other| other == name), "{packages:?}");
        }
        assert!(
            !packages.iter().any(|other| other == "lexopt"),
            "{packages:?}"
        );
    }

    #[test]
    fn a_package_is_named_by_its_directory_or_for_itself() {
        let metadata = r#"{"packages":[{"name":"a","dependencies":[{"name":"durable-pg-sqlx"}]}],
            "workspace_members":["path+file:///here/durable#0.1.0","path+file:///here/b#durable-c@0.1.0"],
            "workspace_default_members":["path+file:///here/d#0.1.0"],"resolve":null}"#;
        let pair = |name: &str, place: &str| (name.to_owned(), place.to_owned());
        let both = [pair("durable", "durable"), pair("durable-c", "b")];
        assert_eq!(members(metadata), both);
        assert_eq!(members("{}"), []);
    }

    #[test]
    fn the_first_command_of_a_new_user_compiles_few_crates() {
        let workspace = Workspace::find().expect("cargo test runs inside the workspace");
        let mut command = workspace.cargo(["tree", "--package", "examples"]);
        command.args(["--edges", "normal,build", "--prefix", "none", "--no-dedupe"]);
        let tree = process::capture(&mut command).expect("the tree can be read");
        let crates: std::collections::BTreeSet<_> = tree
            .lines()
            .map(|line| line.trim_end_matches(" (*)"))
            .collect();
        // As part of another package, with its dev-dependencies, it compiled 184.
        assert!(crates.len() <= 95, "{}: {crates:#?}", crates.len());
    }

    #[test]
    fn the_workspace_is_found_and_holds_this_package() {
        let workspace = Workspace::find().expect("cargo test runs inside the workspace");
        assert!(workspace.root().join("xtask/Cargo.toml").is_file());
    }
}
