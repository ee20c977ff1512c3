//! Ends a server and removes its files when the process that started it has ended, in whatever way.

use std::{
    path::Path,
    process::{Child, Stdio},
};

use super::account;

/// Waits for the end of its input, which comes with the end of the process; then stops the server, if one still runs, waits for its end for at
/// most 10 s, and removes the directory. A server that was stopped where it stands is let go on first.
#[cfg(unix)]
const SCRIPT: &str = r#"
trap '' INT TERM HUP QUIT
read -r _
if pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null); then
    kill -QUIT "$pid" && kill -CONT "$pid"
    tries=0
    while kill -0 "$pid" && [ $tries -lt 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
fi 2>/dev/null
rm -rf "$1"
"#;

/// A process that does that. When this is dropped it has nothing to do any more, and ends.
#[derive(Debug)]
pub(super) struct Guard(Option<Child>);

impl Guard {
    /// The guard of the server in this directory.
    #[cfg(unix)]
    pub(super) fn of(directory: &Path) -> std::io::Result<Self> {
        use std::os::unix::process::CommandExt as _;

        let mut command = account::command(Path::new("sh"), directory)?;
        command
            .args(["-c", SCRIPT, "guard"])
            .arg(directory)
            // Ctrl-C does not reach it, and it is in nobody's way.
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().map(|child| Self(Some(child)))
    }

    #[cfg(not(unix))]
    pub(super) fn of(_: &Path) -> std::io::Result<Self> {
        Ok(Self(None))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            drop(child.stdin.take());
            // It ends by itself.
            let _ = child.wait();
        }
    }
}
