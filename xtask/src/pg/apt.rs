//! Installs Postgres by apt-get, where that can be done.

use std::{fs, io, path::Path};

use crate::{apt, failure::Failure, screen};

/// What is installed.
const PACKAGES: [&str; 1] = ["postgresql"];

/// What the package of the server reads before it makes and starts a cluster of its own.
const SETTINGS: &str = "/etc/postgresql-common/createcluster.conf";

/// The setting that keeps it from that.
const SETTING: &str = "create_main_cluster";

/// Installs the server.
pub(super) fn install() -> Result<(), Failure> {
    screen::line(format_args!(
        "No Postgres server is installed: installing {} by apt-get.",
        PACKAGES.join(" ")
    ));
    apt::update();
    // In two steps: the settings are a file of the first package, which would ask what to do with one that it finds.
    apt::install(&["postgresql-common"])?;
    keep_from_making_a_cluster(Path::new(SETTINGS))
        .map_err(|error| Failure::failed(format!("cannot write {SETTINGS}: {error}")))?;
    apt::install(&PACKAGES)
}

/// Keeps the package from making a cluster, if nobody has said whether it shall.
fn keep_from_making_a_cluster(file: &Path) -> io::Result<()> {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    let Some(changed) = without_a_cluster(&text) else {
        return Ok(());
    };
    screen::line(format_args!(
        "Setting {SETTING} = false in {}, so that the package starts no server of its own.",
        file.display()
    ));
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(file, changed)
}

/// The settings with the one that is missing, or nothing if it is there.
fn without_a_cluster(text: &str) -> Option<String> {
    let is_there = text.lines().any(|line| {
        line.split_once('=')
            .is_some_and(|(name, _)| name.trim() == SETTING)
    });
    if is_there {
        return None;
    }
    let end = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    Some(format!("{text}{end}{SETTING} = false\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn the_package_is_kept_from_making_a_cluster_unless_somebody_has_decided() {
        let cases = [
            ("", Some("create_main_cluster = false\n")),
            (
                "# create_main_cluster = true\nssl = on",
                Some("# create_main_cluster = true\nssl = on\ncreate_main_cluster = false\n"),
            ),
            ("create_main_cluster = true\n", None),
            ("  create_main_cluster=false", None),
        ];
        for (text, expected) in cases {
            assert_eq!(without_a_cluster(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn settings_that_are_not_there_yet_are_written() {
        let scratch = Scratch::new("pg-createcluster");
        let file = scratch.path().join("not/yet/createcluster.conf");
        for _ in 0..2 {
            keep_from_making_a_cluster(&file).expect("the file can be written");
        }
        let text = fs::read_to_string(&file).expect("the file is there");
        assert_eq!(text, "create_main_cluster = false\n");
    }
}
