//! Who a server runs as: it refuses to run as root, so that root lends it another user.

#[cfg(unix)]
use std::os::unix::{
    fs::{MetadataExt as _, chown},
    process::CommandExt as _,
};
use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    failure::Failure,
    process::{self, caller_is_root, number},
    screen,
};

/// The users that root may lend, best first.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// A user of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ids {
    user: u32,
    group: u32,
}

/// Who a server and its tools run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// The user, if it is not the caller.
    other: Option<Ids>,
}

impl Account {
    /// The caller, or an unprivileged user if the caller is root.
    ///
    /// Errors: root, and no such user.
    pub(super) fn find() -> Result<Self, Failure> {
        if !caller_is_root() {
            return Ok(Self { other: None });
        }
        let other = UNPRIVILEGED.iter().find_map(|name| ids(name));
        if other.is_none() {
            return Err(Failure::failed(
                "Postgres refuses to run as root, and there is neither a user `postgres` nor `nobody` to run it as; \
                 make one (`useradd --system postgres`) or call this as another user",
            ));
        }
        Ok(Self { other })
    }

    /// Who owns this file or directory.
    #[cfg(unix)]
    pub(super) fn owner_of(path: &Path) -> Result<Self, Failure> {
        let seen = fs::metadata(path).map_err(|error| {
            Failure::failed(format!("cannot look at {}: {error}", path.display()))
        })?;
        let ids = Ids {
            user: seen.uid(),
            group: seen.gid(),
        };
        let other = (caller_is_root() && ids.user != 0).then_some(ids);
        Ok(Self { other })
    }

    /// Who owns this file or directory.
    #[cfg(not(unix))]
    pub(super) fn owner_of(_path: &Path) -> Result<Self, Failure> {
        Ok(Self { other: None })
    }

    /// A call of the program as this user, that sees none of the caller's variables for Postgres.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).env("LC_ALL", "C");
        hide(&mut command, env::vars_os().map(|(name, _)| name));
        #[cfg(unix)]
        if let Some(ids) = self.other {
            // The groups of root are left behind with it. The caller's directory may be closed to the user.
            command.uid(ids.user).gid(ids.group).current_dir("/");
        }
        command
    }

    /// Makes the user own this directory, which must stand in one that only the caller can write.
    pub(super) fn take(&self, directory: &Path) -> std::io::Result<()> {
        #[cfg(unix)]
        if let Some(ids) = self.other {
            return chown(directory, Some(ids.user), Some(ids.group));
        }
        let _ = directory;
        Ok(())
    }

    /// Whether the user can reach what stands in this directory.
    pub(super) fn can_enter(&self, directory: &Path) -> bool {
        // The caller sees for itself when it uses it.
        self.other.is_none()
            || process::answers(self.command("test").arg("-x").arg(directory.join(".")))
    }

    /// Says who it is, if that is not plain.
    pub(super) fn announce(&self) {
        if let Some(ids) = self.other {
            screen::line(format_args!(
                "Postgres refuses to run as root: it runs as the user with id {}.",
                ids.user
            ));
        }
    }
}

/// Takes those of the variables away that mean something to Postgres.
fn hide(command: &mut Command, variables: impl Iterator<Item = OsString>) {
    for name in variables {
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
}

/// The user's ids, if there is one of that name.
fn ids(name: &str) -> Option<Ids> {
    Some(Ids {
        user: number(Command::new("id").args(["-u", name])).filter(|id| *id != 0)?,
        group: number(Command::new("id").args(["-g", name]))?,
    })
}

/// Whether the directory is one, is no link, and belongs to the caller.
#[cfg(unix)]
pub(super) fn owned_by_caller(directory: &Path) -> bool {
    let caller = number(Command::new("id").arg("-u"));
    fs::symlink_metadata(directory).is_ok_and(|seen| seen.is_dir() && Some(seen.uid()) == caller)
}

/// Whether the directory is one, and no link.
#[cfg(not(unix))]
pub(super) fn owned_by_caller(directory: &Path) -> bool {
    fs::symlink_metadata(directory).is_ok_and(|seen| seen.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_call_sees_none_of_the_callers_variables_for_postgres() {
        let mut command = Command::new("initdb");
        let variables = ["PATH", "PGDATA", "PGPORT", "HOME"];
        hide(&mut command, variables.into_iter().map(OsString::from));
        let hidden: Vec<_> = command.get_envs().collect();
        assert_eq!(
            hidden,
            [(OsStr::new("PGDATA"), None), (OsStr::new("PGPORT"), None)]
        );
    }

    #[test]
    fn a_directory_of_the_caller_is_told_from_what_is_none() {
        let scratch = Scratch::new("account");
        let file = scratch.file("a/file", "");
        assert!(owned_by_caller(scratch.path()));
        assert!(!owned_by_caller(&file));
        assert!(!owned_by_caller(&scratch.path().join("none")));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_directory_of_the_caller_is_not_taken_for_one() {
        let scratch = Scratch::new("account-link");
        let link = scratch.path().join("link");
        std::os::unix::fs::symlink(scratch.path(), &link).expect("a link can be made");
        assert!(!owned_by_caller(&link));
    }

    #[cfg(unix)]
    #[test]
    fn root_is_lent_a_user_that_is_not_root() {
        let account = Account::find().expect("a user to run as");
        assert_eq!(account.other.is_some(), caller_is_root());
        assert_ne!(account.other.map(|ids| ids.user), Some(0));
    }
}
