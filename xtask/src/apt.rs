//! Installs what is missing where that needs nobody's leave: as root on Debian and its children, as in most containers.

use std::{
    io,
    process::{Command, Stdio},
};

use crate::{failure::Failure, process, screen};

/// Whether packages can be installed by the caller.
pub(crate) fn is_usable() -> bool {
    process::caller_is_root() && process::answers(Command::new("apt-get").arg("--version"))
}

/// Brings the lists of packages up to date; if that cannot be done, those that are there have to do.
pub(crate) fn update() {
    if let Err(failure) = apt_get(&["update"]) {
        screen::line(format_args!("{failure}; trying with the lists as they are"));
    }
}

/// Installs these packages, and what they need.
pub(crate) fn install(packages: &[&str]) -> Result<(), Failure> {
    apt_get(&[&["install"], packages].concat())
}

/// Runs apt-get, which asks nothing and shows what it does.
fn apt_get(arguments: &[&str]) -> Result<(), Failure> {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["-y", "-q", "--no-install-recommends"])
        .args(["-o", "DPkg::Lock::Timeout=120"])
        .args(arguments)
        .stdin(Stdio::null())
        // stdout is for the answer of a command alone, as that of `pg up`.
        .stdout(io::stderr());
    process::run(&mut command)
}
