//! Which test programs can hold a test with a given text in its name, so that no others are built for it.
//!
//! A test is named by modules and a function, so every word of the text stands in the sources of the program, or in their paths. What
//! is not understood is chosen: a program too many is built rather than a test missed.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{failure::Failure, workspace::Workspace};

/// What can hold the test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// The packages with such unit tests or integration tests.
    packages: Vec<String>,
    /// Whether unit tests of libraries, and of programs, are among them.
    lib: bool,
    bins: bool,
    /// The integration tests.
    tests: BTreeSet<String>,
    /// The packages with such documentation tests.
    docs: Vec<String>,
    /// What cannot hold it.
    left_out: Vec<String>,
}

impl Chosen {
    /// What can hold a test with this text in its name; `None` if that could be any program.
    pub(crate) fn of(workspace: &Workspace, filter: &str) -> Result<Option<Self>, Failure> {
        let mut chosen = Self::default();
        for (name, directory) in workspace.members()? {
            let Some(package) = Package::read(workspace.root(), name, &directory) else {
                return Ok(None);
            };
            chosen.add(&package, &Filter::new(filter));
        }
        Ok(Some(chosen))
    }

    fn add(&mut self, package: &Package, filter: &Filter) {
        let mut left_out = Vec::new();
        let mut is_chosen = false;
        if filter.may_be_in_a_path_of_items(&package.src) {
            self.lib |= package.has_lib;
            self.bins |= package.has_bins;
            is_chosen = true;
        } else {
            left_out.push("unit tests");
        }
        for test in &package.tests {
            if filter.may_be_in_a_path_of_items(&test.sources) {
                self.tests.insert(test.name.clone());
                is_chosen = true;
            } else {
                left_out.push(&test.name);
            }
        }
        if is_chosen {
            self.packages.push(package.name.clone());
        }
        if package.has_lib {
            if filter.may_be_in_a_doc_test(&package.src) {
                self.docs.push(package.name.clone());
            } else {
                left_out.push("doc tests");
            }
        }
        let is_whole = !is_chosen && self.docs.last() != Some(&package.name);
        self.left_out.extend(match &*left_out.join(", ") {
            "" => None,
            _ if is_whole => Some(package.name.clone()),
            some => Some(format!("{} ({some})", package.name)),
        });
    }

    /// Tells cargo to build and run the unit tests and integration tests; `None` if there are none.
    pub(crate) fn programs(&self) -> Option<Vec<String>> {
        let mut arguments = packages(&self.packages)?;
        arguments.extend(self.lib.then(|| "--lib".to_owned()));
        arguments.extend(self.bins.then(|| "--bins".to_owned()));
        for test in &self.tests {
            arguments.extend(["--test".to_owned(), test.clone()]);
        }
        Some(arguments)
    }

    /// Tells cargo to build and run the documentation tests; `None` if there are none.
    pub(crate) fn docs(&self) -> Option<Vec<String>> {
        let mut arguments = packages(&self.docs)?;
        arguments.push("--doc".to_owned());
        Some(arguments)
    }

    /// What cannot hold the test, in words; empty if everything can.
    pub(crate) fn left_out(&self) -> String {
        self.left_out.join("; ")
    }
}

fn packages(names: &[String]) -> Option<Vec<String>> {
    let arguments = names
        .iter()
        .flat_map(|name| ["--package".to_owned(), name.clone()]);
    (!names.is_empty()).then(|| arguments.collect())
}

/// The words of a text that is looked for in the names of tests.
struct Filter {
    words: Vec<String>,
    /// Whether it has something else in it than identifiers and `::`, as only names of documentation tests have.
    is_of_a_doc_test: bool,
}

impl Filter {
    fn new(text: &str) -> Self {
        let is_of_a_word = |c: char| c.is_alphanumeric() || c == '_';
        let words = text.split(|c| !is_of_a_word(c)).filter(|w| !w.is_empty());
        Self {
            words: words.map(str::to_owned).collect(),
            is_of_a_doc_test: text.chars().any(|c| !is_of_a_word(c) && c != ':'),
        }
    }

    fn may_be_in_a_path_of_items(&self, sources: &str) -> bool {
        !self.is_of_a_doc_test && self.words.iter().all(|word| sources.contains(word))
    }

    /// Such a test is called `durable-core/src/ids.rs - ids::WorkflowId (line 12) - compile fail`.
    fn may_be_in_a_doc_test(&self, sources: &str) -> bool {
        self.words.iter().all(|word| {
            let is_number = word.chars().all(|c| c.is_ascii_digit());
            let is_mark = ["line", "compile", "fail"]
                .iter()
                .any(|mark| mark.contains(&**word));
            is_number || is_mark || sources.contains(word)
        })
    }
}

/// The sources of a package, with the paths of the files.
struct Package {
    name: String,
    has_lib: bool,
    has_bins: bool,
    src: String,
    tests: Vec<Test>,
}

/// An integration test, with all that it may have in it.
struct Test {
    name: String,
    sources: String,
}

impl Package {
    /// Reads it; `None` if its targets are not where cargo looks for them, or it cannot be read.
    fn read(root: &Path, name: String, directory: &Path) -> Option<Self> {
        let manifest = fs::read_to_string(directory.join("Cargo.toml")).ok()?;
        let is_elsewhere = |line: &str| {
            let key = line.split('=').next().unwrap_or_default().trim();
            ["path", "autotests", "autobins", "build"].contains(&key)
        };
        if manifest.lines().any(is_elsewhere) {
            return None;
        }
        let src = directory.join("src");
        let mut sources = String::new();
        add(root, &src, &mut sources).ok()?;
        Some(Self {
            name,
            has_lib: src.join("lib.rs").is_file(),
            has_bins: src.join("main.rs").is_file() || src.join("bin").is_dir(),
            src: sources,
            tests: tests(root, &directory.join("tests")).ok()?,
        })
    }
}

/// The integration tests in that directory, if there is one.
fn tests(root: &Path, directory: &Path) -> io::Result<Vec<Test>> {
    let mut tests = Vec::new();
    // Directories without a `main.rs` are modules of any of them.
    let mut shared = String::new();
    if !directory.is_dir() {
        return Ok(tests);
    }
    for path in entries(directory)? {
        let is_program = if path.is_dir() {
            path.join("main.rs").is_file()
        } else {
            path.extension().is_some_and(|extension| extension == "rs")
        };
        if !is_program {
            add(root, &path, &mut shared)?;
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let mut sources = String::new();
        add(root, &path, &mut sources)?;
        tests.push(Test {
            name: name.into_owned(),
            sources,
        });
    }
    for test in &mut tests {
        test.sources.push_str(&shared);
    }
    Ok(tests)
}

/// Adds the text of the file, or of all files below the directory, each with its path, and those that they name by `#[path]`.
fn add(root: &Path, path: &Path, sources: &mut String) -> io::Result<()> {
    if path.is_dir() {
        return entries(path)?
            .iter()
            .try_for_each(|entry| add(root, entry, sources));
    }
    let text = String::from_utf8_lossy(&fs::read(path)?).into_owned();
    let shown = path.strip_prefix(root).unwrap_or(path);
    sources.push_str(&shown.to_string_lossy());
    sources.push('\n');
    sources.push_str(&text);
    sources.push('\n');
    let parent = path.parent().unwrap_or(root);
    for line in text.lines() {
        let named = line.trim().strip_prefix("#[path = \"");
        if let Some(named) = named.and_then(|rest| rest.strip_suffix("\"]")) {
            add_with_its_modules(root, &parent.join(named), sources)?;
        }
    }
    Ok(())
}

/// Adds a file that another names, and the directory with its modules.
fn add_with_its_modules(root: &Path, file: &Path, sources: &mut String) -> io::Result<()> {
    add(root, file, sources)?;
    let modules = file.with_extension("");
    if modules.is_dir() {
        add(root, &modules, sources)?;
    }
    Ok(())
}

fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?.map(|entry| Ok(entry?.path()));
    let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    /// Two packages: a library with unit tests and two integration tests, and one of programs only.
    fn written(scratch: &Scratch) -> [Package; 2] {
        scratch.file("a/Cargo.toml", "[package]\nname = \"a\"\n");
        scratch.file(
            "a/src/lib.rs",
            "//! ```\n//! shop::buy()\n//! ```\nmod cart;",
        );
        scratch.file("a/src/cart.rs", "#[test]\nfn a_cart_is_empty() {}");
        scratch.file("a/tests/one.rs", "mod common;\n#[test]\nfn it_pays() {}");
        scratch.file("a/tests/two/main.rs", "mod refunds;");
        let refunds = "#[path = \"../../../b/src/helper.rs\"]\nmod helper;\nfn it_pays_back() {}";
        scratch.file("a/tests/two/refunds.rs", refunds);
        scratch.file("a/tests/common/mod.rs", "#[test]\nfn shared_by_all() {}");
        scratch.file("b/Cargo.toml", "[package]\nname = \"b\"\n");
        scratch.file("b/src/main.rs", "mod helper;");
        scratch.file("b/src/helper.rs", "#[test]\nfn it_helps() {}");
        ["a", "b"].map(|name| {
            let directory = scratch.path().join(name);
            Package::read(scratch.path(), name.to_owned(), &directory).expect("as cargo has it")
        })
    }

    fn chosen(packages: &[Package], filter: &str) -> Chosen {
        let mut chosen = Chosen::default();
        for package in packages {
            chosen.add(package, &Filter::new(filter));
        }
        chosen
    }

    fn calls(chosen: &Chosen) -> (String, String) {
        let programs = chosen.programs().unwrap_or_default().join(" ");
        (programs, chosen.docs().unwrap_or_default().join(" "))
    }

    #[test]
    fn only_the_programs_that_can_hold_the_test_are_built() {
        let scratch = Scratch::new("chosen-programs");
        let packages = written(&scratch);
        for (filter, programs, docs) in [
            ("a_cart_is", "--package a --lib", "--package a --doc"),
            ("cart::a_cart", "--package a --lib", "--package a --doc"),
            ("it_pays", "--package a --test one --test two", ""),
            ("refunds::it_pays_back", "--package a --test two", ""),
            ("shared_by", "--package a --test one --test two", ""),
            ("it_helps", "--package a --package b --bins --test two", ""),
            ("nowhere", "", ""),
            ("shop", "--package a --lib", "--package a --doc"),
            ("a/src/lib.rs - (line 2)", "", "--package a --doc"),
        ] {
            let calls = calls(&chosen(&packages, filter));
            assert_eq!(calls, (programs.to_owned(), docs.to_owned()), "{filter}");
        }
    }

    #[test]
    fn what_is_left_out_is_named() {
        let scratch = Scratch::new("chosen-left-out");
        let packages = written(&scratch);
        let left_out = chosen(&packages, "it_pays_back").left_out();
        assert_eq!(left_out, "a (unit tests, one, doc tests); b");
    }

    #[test]
    fn every_program_is_chosen_if_targets_may_stand_elsewhere() {
        let scratch = Scratch::new("chosen-elsewhere");
        written(&scratch);
        scratch.file("a/Cargo.toml", "[[test]]\nname = \"x\"\npath = \"x.rs\"\n");
        let directory = scratch.path().join("a");
        assert!(Package::read(scratch.path(), "a".to_owned(), &directory).is_none());
    }

    #[test]
    fn each_test_of_this_workspace_is_found_where_it_is() {
        let workspace = Workspace::find().expect("cargo test runs inside the workspace");
        let choose = |filter| {
            let chosen = Chosen::of(&workspace, filter).expect("the workspace can be read");
            calls(&chosen.expect("its targets are where cargo looks for them")).0
        };
        let this = concat!("each_test_of_this_workspace", "_is_found");
        assert_eq!(choose(this), "--package xtask --bins");
        let killed = choose(concat!("killed_at_50", "_random_moments"));
        assert!(
            killed.contains("--package examples --test kill"),
            "{killed}"
        );
    }
}
