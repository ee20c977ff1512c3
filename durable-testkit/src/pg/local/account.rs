//! Who servers run as.

use std::{fs, path::Path, process::Command};

/// The users that root lends, best first.
#[cfg(unix)]
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// A command that runs as the owner of this directory.
#[cfg(unix)]
pub(super) fn command(program: &Path, owner_of: &Path) -> Command {
    use std::os::unix::{fs::MetadataExt as _, process::CommandExt as _};

    let owner = fs::metadata(owner_of).expect("the directory is there");
    let mut command = Command::new(program);
    if is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    command.current_dir(owner_of);
    command
}

/// Gives a file or directory to the user that servers run as.
#[cfg(unix)]
pub(super) fn hand_over(path: &Path) {
    if !is_root() {
        return;
    }
    let (user, group) = lent();
    std::os::unix::fs::chown(path, Some(user), Some(group)).expect("root may give a file away");
}

/// Whether this process runs as root: what it makes is root's.
#[cfg(unix)]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;

    static ROOT: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *ROOT.get_or_init(|| {
        let file = std::env::temp_dir().join(format!("durable-who-{}", std::process::id()));
        fs::write(&file, "").expect("the temporary directory can be written to");
        let owner = fs::metadata(&file).expect("it is there").uid();
        // Nobody else knows of it.
        let _ = fs::remove_file(&file);
        owner == 0
    })
}

/// The numbers of the user that root lends, and of its group.
#[cfg(unix)]
fn lent() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").expect("the users of this machine");
    let ids = |name: &&str| {
        let line = users
            .lines()
            .find(|line| line.split(':').next() == Some(*name))?;
        let mut parts = line.split(':').skip(2).map(str::parse);
        Some((parts.next()?.ok()?, parts.next()?.ok()?))
    };
    UNPRIVILEGED
        .iter()
        .find_map(ids)
        .expect("a user `postgres` or `nobody`, as servers refuse to run as root")
}

#[cfg(not(unix))]
pub(super) fn command(program: &Path, owner_of: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(owner_of);
    command
}

#[cfg(not(unix))]
pub(super) fn hand_over(_: &Path) {}
