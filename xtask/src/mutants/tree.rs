//! The copy of the workspace that is mutated: the workspace itself never is, whatever interrupts the
//! run. It stays between runs, so that what was compiled of it is used again.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{failure::Failure, files};

/// Makes `copy` hold the files of the workspace at `root`, without what cargo builds in `built`.
/// A file that is the same already is not written.
pub(crate) fn copy(root: &Path, built: &Path, copy: &Path) -> Result<(), Failure> {
    let mut wanted = BTreeSet::new();
    collect(root, built, Path::new(""), &mut wanted)?;
    let mut found = BTreeSet::new();
    files::make_directory(copy)?;
    collect(copy, built, Path::new(""), &mut found)?;
    for file in found.difference(&wanted) {
        files::remove_file(&copy.join(file))?;
    }
    for file in wanted {
        let (from, to) = (root.join(&file), copy.join(&file));
        write(&from, &to).map_err(|error| files::cannot("copy", &from, &error))?;
    }
    Ok(())
}

/// Copies one file, unless it is the same.
fn write(from: &Path, to: &Path) -> io::Result<()> {
    let text = fs::read(from)?;
    if fs::read(to).is_ok_and(|old| old == text) {
        return Ok(());
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(to, text)
}

/// Adds the files below `root`, by their paths from there. Passes over hidden directories, whatever
/// cargo builds in, and links.
fn collect(
    root: &Path,
    built: &Path,
    below: &Path,
    files: &mut BTreeSet<PathBuf>,
) -> Result<(), Failure> {
    let directory = root.join(below);
    let failed = |error: io::Error| files::cannot("read", &directory, &error);
    for entry in fs::read_dir(&directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (name, path) = (entry.file_name(), entry.path());
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            let hidden = name.as_encoded_bytes().starts_with(b".");
            let other = path.join("CACHEDIR.TAG").is_file();
            if !hidden && !other && path != built {
                collect(root, built, &below.join(name), files)?;
            }
        } else if kind.is_file() {
            files.insert(below.join(name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn the_copy_has_the_files_of_the_workspace_and_no_others() {
        let scratch = Scratch::new("mutants-tree");
        scratch.file("w/Cargo.toml", "new");
        scratch.file("w/a/src/lib.rs", "same");
        scratch.file("w/.git/HEAD", "hidden");
        scratch.file("w/target/debug/built", "built");
        scratch.file("w/other/CACHEDIR.TAG", "Signature");
        scratch.file("w/target/tree/Cargo.toml", "old");
        scratch.file("w/target/tree/a/src/lib.rs", "same");
        scratch.file("w/target/tree/a/src/gone.rs", "gone");
        let root = scratch.path().join("w");
        let (built, tree) = (root.join("target"), root.join("target/tree"));
        let kept = tree.join("a/src/lib.rs");
        let before = fs::metadata(&kept).and_then(|file| file.modified());
        copy(&root, &built, &tree).expect("it can be copied");

        let mut files = BTreeSet::new();
        collect(&tree, &built, Path::new(""), &mut files).expect("it can be read");
        let files: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
        assert_eq!(files, ["Cargo.toml", "a/src/lib.rs"]);
        let text = fs::read_to_string(tree.join("Cargo.toml"));
        assert_eq!(text.ok().as_deref(), Some("new"));
        let after = fs::metadata(&kept).and_then(|file| file.modified());
        assert_eq!(before.ok(), after.ok(), "what is the same is not written");
    }
}
