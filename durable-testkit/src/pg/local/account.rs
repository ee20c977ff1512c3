//! Who servers run as.

use std::{env, fs, io, path::Path, process::Command};

/// The users that root lends, best first.
#[cfg(unix)]
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// A command that runs as the owner of this directory and in it, and sees none of the caller's variables for Postgres. Errors: there is no
/// such directory.
pub(super) fn command(program: &Path, owner_of: &Path) -> io::Result<Command> {
    let mut command = Command::new(program);
    #[cfg(unix)]
    {
        use std::os::unix::{fs::MetadataExt as _, process::CommandExt as _};

        let owner = fs::metadata(owner_of)?;
        if is_root()? {
            command.uid(owner.uid()).gid(owner.gid());
        }
    }
    for (name, _) in env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    command.env("LC_ALL", "C").current_dir(owner_of);
    Ok(command)
}

/// Gives a file or directory to the user that servers run as. Errors: root has no user to lend.
#[cfg(unix)]
pub(super) fn hand_over(path: &Path) -> io::Result<()> {
    if !is_root()? {
        return Ok(());
    }
    let (user, group) = lent()?;
    std::os::unix::fs::chown(path, Some(user), Some(group))
}

#[cfg(not(unix))]
pub(super) fn hand_over(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Whether this process runs as root: what it makes is root's.
#[cfg(unix)]
fn is_root() -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;

    static ROOT: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    if let Some(root) = ROOT.get() {
        return Ok(*root);
    }
    let thread = std::thread::current().id();
    let name = format!("durable-who-{}-{thread:?}", std::process::id());
    let file = env::temp_dir().join(name);
    fs::write(&file, "")?;
    let owner = fs::metadata(&file)?.uid();
    // Nobody else knows of it.
    let _ = fs::remove_file(&file);
    Ok(*ROOT.get_or_init(|| owner == 0))
}

/// The numbers of the user that root lends, and of its group.
#[cfg(unix)]
fn lent() -> io::Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd")?;
    let ids = |name: &&str| {
        let line = users
            .lines()
            .find(|line| line.split(':').next() == Some(*name))?;
        let mut parts = line.split(':').skip(2).map(str::parse);
        Some((parts.next()?.ok()?, parts.next()?.ok()?))
    };
    UNPRIVILEGED.iter().find_map(ids).ok_or_else(|| {
        io::Error::other(
            "Postgres refuses to run as root, and there is neither a user `postgres` nor `nobody` to run it as; \
             make one (`useradd --system postgres`)",
        )
    })
}
