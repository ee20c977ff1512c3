//! The versions under which a server is published as an npm package: `18.4.0-beta.17`.

use std::{fmt, str::FromStr};

/// A major version of Postgres that can be had as a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Major(u32);

/// The first and the last of them.
const MAJORS: (u32, u32) = (13, 18);

impl FromStr for Major {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = MAJORS;
        text.parse()
            .ok()
            .filter(|major| (first..=last).contains(major))
            .map(Self)
            .ok_or_else(|| {
                format!(
                    "there is no version `{text}` to be had; N is a number from {first} to {last}"
                )
            })
    }
}

impl fmt::Display for Major {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Major> for u32 {
    fn from(Major(major): Major) -> Self {
        major
    }
}

/// A published version, in the order in which they follow one another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Release {
    numbers: [u32; 3],
    // None of them is final: a final one follows all those with a word.
    is_final: bool,
    word: String,
    count: u32,
}

impl Release {
    /// Reads one; a text that is none gives nothing.
    fn parse(text: &str) -> Option<Self> {
        let (numbers, rest) = match text.split_once('-') {
            Some((numbers, rest)) => (numbers, Some(rest)),
            None => (text, None),
        };
        let mut parts = numbers.split('.').map(|part| part.parse().ok());
        let numbers = [parts.next()??, parts.next()??, parts.next()??];
        if parts.next().is_some() {
            return None;
        }
        let (word, count) = match rest {
            Some(rest) => rest.split_once('.').unwrap_or((rest, "0")),
            None => ("", "0"),
        };
        Some(Self {
            numbers,
            is_final: rest.is_none(),
            word: word.to_owned(),
            count: count.parse().ok()?,
        })
    }
}

/// The newest of these versions that is of this major version.
pub(super) fn newest(versions: impl IntoIterator<Item = String>, major: Major) -> Option<String> {
    versions
        .into_iter()
        .filter_map(|text| Release::parse(&text).map(|release| (release, text)))
        .filter(|(release, _)| release.numbers[0] == major.0)
        .max()
        .map(|(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_that_can_be_had_are_taken() {
        for text in ["13", "15", "18"] {
            let major: Result<Major, String> = text.parse();
            assert_eq!(major.map(|major| major.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "12", "19", "15.4", "fifteen", "-15"] {
            let major: Result<Major, String> = text.parse();
            let error = major.expect_err(text);
            assert!(error.contains("13 to 18"), "{error}");
        }
    }

    #[test]
    fn the_newest_version_is_chosen_by_numbers_and_not_by_letters() {
        let versions = [
            "14.3.0-alpha.21",
            "14.3.0-beta.6",
            "14.9.0-beta.9",
            "14.20.0-beta.9",
            "14.20.0-beta.16",
            "15.1.0-beta.6",
            "14.x",
            "",
        ];
        let newest_of = |major| newest(versions.map(str::to_owned), Major(major));
        assert_eq!(newest_of(14).as_deref(), Some("14.20.0-beta.16"));
        assert_eq!(newest_of(15).as_deref(), Some("15.1.0-beta.6"));
        assert_eq!(newest_of(13), None);
        let final_too = ["14.3.0-beta.6", "14.3.0", "14.3.0-rc.1"].map(str::to_owned);
        assert_eq!(newest(final_too, Major(14)).as_deref(), Some("14.3.0"));
    }
}
