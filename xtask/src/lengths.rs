//! House rule: a source file fits in a head.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use crate::failure::Failure;

/// The most lines that a Rust file may have.
const LIMIT: usize = 620;

/// Checks every Rust file below `root`, but none below `built`, the directory that cargo builds in.
///
/// Errors: naming all files that are too long, longest first.
pub(crate) fn check(root: &Path, built: &Path) -> Result<(), Failure> {
    let mut offenders = Vec::new();
    collect(root, built, &mut offenders).map_err(|(path, error)| {
        Failure::failed(format!("cannot read {}: {error}", path.display()))
    })?;
    if offenders.is_empty() {
        return Ok(());
    }
    offenders.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let mut text = format!("files of more than {LIMIT} lines; find the seam and split them:");
    for (path, lines) in offenders {
        let shown = path.strip_prefix(root).unwrap_or(&path).display();
        let _ = write!(text, "\n  {lines:>6} lines  {shown}");
    }
    Err(Failure::failed(text))
}

/// Adds the files that are too long. Passes over hidden directories and what cargo builds, and follows no links.
fn collect(
    directory: &Path,
    built: &Path,
    offenders: &mut Vec<(PathBuf, usize)>,
) -> Result<(), (PathBuf, io::Error)> {
    let failed = |error| (directory.to_owned(), error);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            // Another target directory, of whatever name: cargo marks those that it makes with this file.
            let other = path.join("CACHEDIR.TAG").is_file();
            if !hidden && !other && path != built {
                collect(&path, built, offenders)?;
            }
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
            let bytes = fs::read(&path).map_err(|error| (path.clone(), error))?;
            let lines = count(&bytes);
            if lines > LIMIT {
                offenders.push((path, lines));
            }
        }
    }
    Ok(())
}

/// How many lines there are; the last one counts whether or not it ends.
fn count(text: &[u8]) -> usize {
    text.split_inclusive(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_line_counts_whether_or_not_it_ends() {
        assert_eq!(count(b""), 0);
        assert_eq!(count(b"a\nb"), 2);
        assert_eq!(count(b"a\nb\n"), 2);
        assert_eq!(count(b"\n\n"), 2);
    }

    #[test]
    fn files_over_the_limit_are_named_longest_first() {
        let scratch = Scratch::new("lengths");
        scratch.file("a/src/long.rs", &"x\n".repeat(LIMIT + 1));
        scratch.file("b/src/longer.rs", &"x\n".repeat(LIMIT + 2));
        scratch.file("b/src/fits.rs", &"x\n".repeat(LIMIT));
        scratch.file("b/notes.md", &"x\n".repeat(LIMIT + 1));
        let Err(Failure::Failed(text)) = check(scratch.path(), &scratch.path().join("target"))
        else {
            panic!("two files are too long");
        };
        let named: Vec<&str> = text.lines().skip(1).map(str::trim).collect();
        assert_eq!(
            named,
            ["622 lines  b/src/longer.rs", "621 lines  a/src/long.rs"]
        );
    }

    #[test]
    fn what_is_not_source_is_passed_over() {
        let scratch = Scratch::new("lengths-passed-over");
        let long = "x\n".repeat(LIMIT + 1);
        scratch.file(".hidden/long.rs", &long);
        scratch.file("target/debug/long.rs", &long);
        scratch.file("target-of-an-editor/CACHEDIR.TAG", "Signature");
        scratch.file("target-of-an-editor/debug/long.rs", &long);
        assert_eq!(
            check(scratch.path(), &scratch.path().join("target")),
            Ok(())
        );
    }
}
