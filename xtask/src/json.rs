//! The little that is read of what cargo and npm answer: a JSON parser would be a dependency of the first build.

use std::str::Chars;

/// All strings of a JSON text in their order, names and values alike; other values are passed over.
pub(crate) fn strings(json: &str) -> Strings<'_> {
    Strings { rest: json.chars() }
}

/// What [`strings`] gives.
pub(crate) struct Strings<'a> {
    rest: Chars<'a>,
}

impl Iterator for Strings<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.rest.find(|c| *c == '"')?;
        let mut text = String::new();
        loop {
            match self.rest.next()? {
                '"' => return Some(text),
                '\\' => text.push(escaped(&mut self.rest)?),
                plain => text.push(plain),
            }
        }
    }
}

/// The character that the rest of an escape stands for. One half of a surrogate pair is shown as unknown.
fn escaped(rest: &mut Chars<'_>) -> Option<char> {
    Some(match rest.next()? {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'u' => {
            let digits: String = rest.by_ref().take(4).collect();
            let code = u32::from_str_radix(&digits, 16).ok()?;
            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        itself => itself,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_read_in_their_order_with_their_escapes() {
        let json = r#"{"a": ["b\"c", 1, null, "d\\"], "\u00e9\n": {"\/": true}}"#;
        let read: Vec<String> = strings(json).collect();
        assert_eq!(read, ["a", "b\"c", "d\\", "é\n", "/"]);
    }

    #[test]
    fn a_text_that_ends_too_early_ends_the_strings() {
        for json in ["", "[1, 2]", "[", r#"["a"#, r#"["a\"#, r#"["a\u00"#] {
            assert_eq!(strings(json).next(), None, "{json}");
        }
    }
}
