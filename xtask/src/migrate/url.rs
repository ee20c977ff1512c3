//! Which database a URL means.

use std::{ffi::OsStr, fmt, path::PathBuf};

/// A database that can be migrated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Database {
    /// An `SQLite` database in this file.
    Sqlite(PathBuf),
    /// A Postgres database, by its URL.
    Postgres(String),
}

/// Why a URL cannot be used. No variant holds the URL itself: it may have a password in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum UrlError {
    /// It names no file.
    NoPath,
    /// It names a database that is gone with the process.
    InMemory,
    /// It has `?key=value` at its end.
    Options,
    /// It has a user or a password in it.
    Credentials,
    /// It is the form of libpq that is no URL.
    Keywords,
    /// It is a Postgres URL that names no database.
    NoDatabase,
    /// It is for something that is not known at all.
    UnknownScheme {
        /// What stands before the colon.
        scheme: String,
    },
}

/// How a URL is written.
const FORMS: &str =
    "the forms are sqlite:PATH, sqlite://PATH, a plain path, or postgres://USER@HOST:PORT/DATABASE";

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPath => write!(f, "the database URL names no file; {FORMS}"),
            Self::InMemory => write!(
                f,
                "an in-memory database is gone when this command ends; name a file: {FORMS}"
            ),
            Self::Options => write!(
                f,
                "options after `?` in a sqlite URL are not read here; give the file alone: {FORMS}"
            ),
            Self::Credentials => write!(
                f,
                "an SQLite database is a file and has no user or password; {FORMS}"
            ),
            Self::Keywords => write!(
                f,
                "a Postgres database is named by a URL here, not by `key=value` words; {FORMS}"
            ),
            Self::NoDatabase => write!(f, "the Postgres URL names no database; {FORMS}"),
            Self::UnknownScheme { scheme } => write!(
                f,
                "there is no backend for `{scheme}:` URLs; {FORMS} (./{scheme}:… for a file of that name)"
            ),
        }
    }
}

/// Which database the text means.
///
/// What follows `sqlite:` is the path as it stands, not percent-decoded: it is what `Sqlite::open` is given.
pub(super) fn parse(url: &OsStr) -> Result<Database, UrlError> {
    let Some(text) = url.to_str() else {
        // Not UTF-8, so it can only be a path.
        return Ok(Database::Sqlite(url.into()));
    };
    if is_keyword_form(text) {
        return Err(UrlError::Keywords);
    }
    let Some((scheme, rest)) = split_scheme(text) else {
        return sqlite(text);
    };
    match scheme.to_ascii_lowercase().as_str() {
        "sqlite" => {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            if path.contains('?') {
                return Err(UrlError::Options);
            }
            sqlite(path)
        }
        "postgres" | "postgresql" => postgres(text, rest),
        _ => Err(UrlError::UnknownScheme {
            scheme: scheme.to_owned(),
        }),
    }
}

/// The database in the file of that path.
fn sqlite(path: &str) -> Result<Database, UrlError> {
    if path.is_empty() {
        return Err(UrlError::NoPath);
    }
    if path == ":memory:" {
        return Err(UrlError::InMemory);
    }
    let first = path.trim_start_matches('/').split('/').next();
    let credentials = first
        .and_then(|first| first.split_once('@'))
        .is_some_and(|(user, _)| user.contains(':'));
    if credentials {
        return Err(UrlError::Credentials);
    }
    Ok(Database::Sqlite(path.into()))
}

/// The database on a server. `rest`: what follows the scheme.
fn postgres(url: &str, rest: &str) -> Result<Database, UrlError> {
    let place = rest.strip_prefix("//").unwrap_or(rest);
    let place = place.split('?').next().unwrap_or(place);
    // A password may have a slash in it that should have been encoded.
    let host = place.rsplit('@').next().unwrap_or(place);
    match host.split_once('/') {
        Some((_, database)) if !database.is_empty() => Ok(Database::Postgres(url.to_owned())),
        _ => Err(UrlError::NoDatabase),
    }
}

/// The name of the database of a Postgres URL, as the server has it.
#[cfg_attr(not(feature = "migrate"), allow(dead_code))]
pub(super) fn database_name(url: &str) -> String {
    let (_, name, _) = parts(url);
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = (byte == b'%').then(|| after.get(..2)).flatten();
        let code = code.and_then(|code| u8::from_str_radix(str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(byte));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The URL of another database of the same server.
#[cfg_attr(not(feature = "migrate"), allow(dead_code))]
pub(super) fn with_database(url: &str, name: &str) -> String {
    let (before, _, after) = parts(url);
    format!("{before}{name}{after}")
}

/// What stands before, in and after the name of the database.
fn parts(url: &str) -> (&str, &str, &str) {
    let end = url.find('?').unwrap_or(url.len());
    let start = url[..end].rfind('/').map_or(end, |slash| slash + 1);
    (&url[..start], &url[start..end], &url[end..])
}

/// What stands before and after the first colon, if the first can be a scheme. One letter is a drive, not a scheme.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let starts = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    let fits = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    (scheme.len() > 1 && starts && scheme.chars().all(fits)).then_some((scheme, rest))
}

/// Whether this is `host=… dbname=…`, as libpq takes it, and would else become a file of that name.
fn is_keyword_form(text: &str) -> bool {
    text.split_whitespace().any(|word| {
        let keys = [
            "host=",
            "hostaddr=",
            "dbname=",
            "user=",
            "password=",
            "service=",
        ];
        keys.iter().any(|key| word.starts_with(key))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Database, UrlError> {
        parse(OsStr::new(text))
    }

    #[test]
    fn a_sqlite_database_is_named_by_a_url_or_a_path() {
        let cases = [
            ("sqlite:shop.db", "shop.db"),
            ("sqlite://shop.db", "shop.db"),
            ("sqlite://data/shop.db", "data/shop.db"),
            ("sqlite:/var/lib/shop.db", "/var/lib/shop.db"),
            ("sqlite:///var/lib/shop.db", "/var/lib/shop.db"),
            ("SQLite:shop.db", "shop.db"),
            ("shop.db", "shop.db"),
            ("./odd:name.db", "./odd:name.db"),
            ("/var/lib/shop.db", "/var/lib/shop.db"),
            (r"C:\shop.db", r"C:\shop.db"),
            ("a b=c.db", "a b=c.db"),
            ("ann@home.db", "ann@home.db"),
        ];
        for (text, path) in cases {
            assert_eq!(parsed(text), Ok(Database::Sqlite(path.into())), "{text}");
        }
    }

    #[test]
    fn what_names_no_lasting_file_is_refused() {
        let cases = [
            ("", UrlError::NoPath),
            ("sqlite:", UrlError::NoPath),
            ("sqlite://", UrlError::NoPath),
            ("sqlite::memory:", UrlError::InMemory),
            ("sqlite://:memory:", UrlError::InMemory),
            (":memory:", UrlError::InMemory),
            ("sqlite://shop.db?mode=ro", UrlError::Options),
        ];
        for (text, error) in cases {
            assert_eq!(parsed(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_postgres_database_is_named_by_a_url() {
        let cases = [
            "postgres://db/shop",
            "postgresql://ann:hunter2@db:5433/shop?sslmode=require",
            "POSTGRES://db/shop",
            "postgres:///shop?host=/run/postgresql",
        ];
        for text in cases {
            assert_eq!(parsed(text), Ok(Database::Postgres(text.into())), "{text}");
        }
    }

    #[test]
    fn a_postgres_database_that_is_not_named_so_is_told_how() {
        let cases = [
            ("postgres://db", UrlError::NoDatabase),
            ("postgres://db/", UrlError::NoDatabase),
            ("postgres://ann@db/?sslmode=require", UrlError::NoDatabase),
            ("host=db user=ann password=hunter2", UrlError::Keywords),
            ("dbname=shop", UrlError::Keywords),
            ("password=hunter2 port=5433", UrlError::Keywords),
        ];
        for (text, error) in cases {
            assert_eq!(parsed(text), Err(error), "{text}");
        }
    }

    #[test]
    fn another_database_of_the_same_server_is_named() {
        let cases = [
            (
                "postgres://ann:a%2Fb@db:1/shop",
                "shop",
                "postgres://ann:a%2Fb@db:1/x",
            ),
            (
                "postgres:///my%20shop?host=/run/pg",
                "my shop",
                "postgres:///x?host=/run/pg",
            ),
            ("postgres://db/100%", "100%", "postgres://db/x"),
        ];
        for (url, name, other) in cases {
            assert_eq!(database_name(url), name);
            assert_eq!(with_database(url, "x"), other);
        }
    }

    #[test]
    fn no_message_repeats_a_password() {
        let cases = [
            "postgres://ann:hunter2@db",
            "host=db password=hunter2",
            "mysql://ann:hunter2@db/shop",
            "ann:hunter2@db/shop",
            "sqlite://ann:hunter2@db/shop",
            "//ann:hunter2@db/shop",
            "sqlite:shop.db?key=hunter2",
        ];
        for text in cases {
            let error = parsed(text).expect_err("none of these is a file");
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2"), "{text} gave: {shown}");
            assert!(shown.contains("sqlite:PATH"), "{text} gave: {shown}");
        }
    }
}
