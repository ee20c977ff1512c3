//! The mutants that may survive, and the comparison of a run with them.
//!
//! An entry of the list is the file and the mutation as cargo-mutants names them, without the
//! position, which moves; then, indented, the line of the source that is mutated, and below it the
//! reason. Empty lines and lines that start with `#` say nothing.

use std::{fmt, fs, io, path::Path};

use crate::{failure::Failure, files};

/// A mutant that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mutant {
    position: String,
    name: Name,
}

/// The name of a mutant, wherever in its file its line has moved to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    file: String,
    mutation: String,
    source: String,
}

/// An entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    name: Name,
    reason: String,
}

/// The difference between a run and the list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict<'a> {
    /// Mutants that survived and are not listed.
    pub(crate) survivors: Vec<&'a Mutant>,
    /// Entries of which all mutants that were tried were caught.
    pub(crate) caught: Vec<&'a Accepted>,
}

impl Mutant {
    /// Reads `FILE:LINE:COLUMN: MUTATION`; `source` gives the line of a file by its number.
    pub(crate) fn parse(
        line: &str,
        source: &mut impl FnMut(&str, usize) -> io::Result<String>,
    ) -> Result<Self, Failure> {
        let unknown = || Failure::failed(format!("cargo-mutants names a mutant as {line:?}"));
        let (place, mutation) = line.trim().split_once(": ").ok_or_else(unknown)?;
        let mut parts = place.splitn(3, ':');
        let (file, number) = parts.next().zip(parts.next()).ok_or_else(unknown)?;
        let source = number.parse().map_err(|_| unknown()).and_then(|number| {
            source(file, number).map_err(|error| files::cannot("read", file.as_ref(), &error))
        })?;
        Ok(Self {
            position: place.to_owned(),
            name: Name {
                file: file.to_owned(),
                mutation: mutation.to_owned(),
                source,
            },
        })
    }

    /// The line that is mutated.
    pub(crate) fn source(&self) -> &str {
        &self.name.source
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.name.mutation)
    }
}

impl Accepted {
    /// Returns `true` if one of these mutants is the entry's.
    pub(crate) fn is_of_any(&self, mutants: &[Mutant]) -> bool {
        mutants.iter().any(|mutant| mutant.name == self.name)
    }
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Name {
            file,
            mutation,
            source,
        } = &self.name;
        write!(f, "{file}: {mutation} (`{source}`)")
    }
}

/// Reads the list.
pub(crate) fn read(file: &Path) -> Result<Vec<Accepted>, Failure> {
    let text = fs::read_to_string(file).map_err(|error| files::cannot("read", file, &error))?;
    parse(&text).map_err(|line| {
        Failure::failed(format!(
            "{}:{line}: an entry is `FILE: MUTATION`, then two indented lines or more: the source \
             and the reason",
            file.display()
        ))
    })
}

/// The entries of a list. Errors: the number of the line at which an entry is not whole.
fn parse(text: &str) -> Result<Vec<Accepted>, usize> {
    let mut entries: Vec<(usize, Accepted)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let said = line.trim();
        if said.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with(' ') {
            let (_, entry) = entries.last_mut().ok_or(number)?;
            entry.add(said);
            continue;
        }
        let (file, mutation) = said.split_once(": ").ok_or(number)?;
        let name = Name {
            file: file.to_owned(),
            mutation: mutation.to_owned(),
            source: String::new(),
        };
        let reason = String::new();
        entries.push((number, Accepted { name, reason }));
    }
    entries
        .into_iter()
        .map(|(number, entry)| {
            if entry.reason.is_empty() {
                Err(number)
            } else {
                Ok(entry)
            }
        })
        .collect()
}

impl Accepted {
    /// Adds an indented line: the first is the source, the others are the reason.
    fn add(&mut self, line: &str) {
        if self.name.source.is_empty() {
            line.clone_into(&mut self.name.source);
            return;
        }
        if !self.reason.is_empty() {
            self.reason.push(' ');
        }
        self.reason.push_str(line);
    }
}

/// Compares what survived, and what was caught, with the list.
pub(crate) fn compare<'a>(
    accepted: &'a [Accepted],
    missed: &'a [Mutant],
    caught: &[Mutant],
) -> Verdict<'a> {
    let is_listed = |mutant: &Mutant| accepted.iter().any(|entry| entry.name == mutant.name);
    Verdict {
        survivors: missed.iter().filter(|mutant| !is_listed(mutant)).collect(),
        // Two mutants of one line may have one name; that one of them survives is reason enough.
        caught: accepted
            .iter()
            .filter(|entry| entry.is_of_any(caught) && !entry.is_of_any(missed))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
# Why they survive.

a.rs: replace - with + in f
    x - zero
    because zero is 0,
    and stays so
b.rs: replace g -> bool with true
    a == b
    nobody asks
";

    fn mutant(text: &str, line: &str) -> Mutant {
        let mut source = |_: &str, _| Ok(line.to_owned());
        Mutant::parse(text, &mut source).expect("it is whole")
    }

    #[test]
    fn an_entry_has_a_mutation_a_line_and_a_reason() {
        let entries = parse(LIST).expect("it is whole");
        let shown: Vec<_> = entries.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "a.rs: replace - with + in f (`x - zero`)",
                "b.rs: replace g -> bool with true (`a == b`)"
            ]
        );
        assert_eq!(entries[0].reason, "because zero is 0, and stays so");
    }

    #[test]
    fn an_entry_that_is_not_whole_is_refused_with_its_line() {
        assert_eq!(parse("    x - zero\n"), Err(1));
        assert_eq!(parse("# list\na.rs replace\n"), Err(2));
        assert_eq!(parse("a.rs: replace - with +\n    x - y\n"), Err(1));
        assert_eq!(parse("\na.rs: replace - with +\nb.rs: c\n x\n y"), Err(2));
    }

    #[test]
    fn a_mutant_is_read_with_its_position() {
        let mutant = mutant("a/b.rs:79:37: replace :: with . in f: g", "source");
        assert_eq!(
            mutant.to_string(),
            "a/b.rs:79:37: replace :: with . in f: g"
        );
        assert_eq!(mutant.name.file, "a/b.rs");
        let mut source = |_: &str, _| Ok(String::new());
        for wrong in ["a.rs", "a.rs: replace", "a.rs:x:1: replace"] {
            assert!(Mutant::parse(wrong, &mut source).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_survivor_is_listed_wherever_its_line_has_moved_to_and_only_in_that_line() {
        let entries = parse(LIST).expect("it is whole");
        let listed = mutant("a.rs:7:1: replace - with + in f", "x - zero");
        let other_line = mutant("a.rs:9:1: replace - with + in f", "x - y");
        let other_file = mutant("c.rs:7:1: replace - with + in f", "x - zero");
        let missed = [listed, other_line, other_file];
        let verdict = compare(&entries, &missed, &[]);
        assert_eq!(verdict.survivors, [&missed[1], &missed[2]]);
        assert_eq!(verdict.caught, [&entries[0]; 0]);
    }

    #[test]
    fn an_entry_whose_mutants_are_caught_is_reported_and_one_that_was_not_tried_is_not() {
        let entries = parse(LIST).expect("it is whole");
        let caught = [mutant("a.rs:7:1: replace - with + in f", "x - zero")];
        assert_eq!(compare(&entries, &[], &caught).caught, [&entries[0]]);
        let missed = [mutant("a.rs:7:9: replace - with + in f", "x - zero")];
        assert_eq!(compare(&entries, &missed, &caught).caught, [&entries[0]; 0]);
    }
}
