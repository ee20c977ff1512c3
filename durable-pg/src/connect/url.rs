//! What a database URL says: `postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?KEY=VALUE`, with libpq's keys.

use std::{collections::BTreeMap, time::Duration};

use super::{
    defaults,
    keys::{self, Key},
    target::{Certificate, Host, Password, Roots, Target, Tls},
};
use crate::DriverError;

/// How long connecting to one server may take, unless the URL says.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What `pg_stat_activity` shows, unless the URL says.
const APPLICATION_NAME: &str = "durable";

/// What a URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    /// Its servers, in the order in which they are tried.
    pub(super) targets: Vec<Target>,
    /// Whether the order is drawn anew by each process.
    pub(super) shuffled: bool,
    /// Whether a server that refuses without encryption is asked again with it: `sslmode=allow`.
    pub(super) allows: bool,
    /// How long connecting to one of them may take.
    pub(super) timeout: Duration,
}

type Result<T> = std::result::Result<T, DriverError>;

impl Url {
    /// Reads a URL. Errors: what in it cannot be used, without the password.
    pub(super) fn parse(text: &str) -> Result<Self> {
        Self::parse_in(text, &|name| {
            std::env::var(name).ok().filter(|value| !value.is_empty())
        })
    }

    /// The same, in this environment.
    fn parse_in(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let mut values = split(text)?;
        for (name, variable) in keys::used() {
            if !values.contains_key(name)
                && let Some(value) = variable.and_then(environment)
            {
                values.insert(name, value);
            }
        }
        let user = match values
            .remove("user")
            .or_else(|| defaults::user(environment))
        {
            Some(user) => user,
            None => return Err(wrong("it names no user, and the environment none either")),
        };
        let (tls, allows) = tls(&mut values)?;
        session_attributes(values.remove("target_session_attrs"))?;
        let shuffled = match values.remove("load_balance_hosts").as_deref() {
            None | Some("disable") => false,
            Some("random") => true,
            Some(other) => return Err(unlike("load_balance_hosts", other, "disable or random")),
        };
        let application_name = values
            .remove("application_name")
            .or_else(|| values.remove("fallback_application_name"))
            .unwrap_or_else(|| APPLICATION_NAME.to_owned());
        let password = values.remove("password").map(Password::new);
        let database = values.remove("dbname").unwrap_or_else(|| user.clone());
        let options = options(&values.remove("options").unwrap_or_default())?;
        let timeout = timeout(values.remove("connect_timeout"))?;
        let target = |(host, port)| Target {
            tls: match &host {
                Host::Name(_) => tls.clone(),
                Host::Socket(_) => Tls::Off,
            },
            host,
            port,
            user: user.clone(),
            password: password.clone(),
            database: database.clone(),
            application_name: application_name.clone(),
            options: options.clone(),
        };
        Ok(Self {
            targets: hosts(values.remove("host"), values.remove("port"))?
                .into_iter()
                .map(target)
                .collect(),
            shuffled,
            allows,
            timeout,
        })
    }
}

fn wrong(what: impl Into<String>) -> DriverError {
    DriverError::settings(what)
}

fn unlike(key: &str, value: &str, wanted: &str) -> DriverError {
    wrong(format!("{key}={value} is none of its values: {wanted}"))
}

/// The values by their keys, decoded.
fn split(text: &str) -> Result<BTreeMap<&'static str, String>> {
    let rest = ["postgres://", "postgresql://"]
        .into_iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .ok_or_else(|| wrong("it does not begin with postgres://"))?;
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = place.split_once('/').unwrap_or((place, ""));
    // What stands before it may be part of a password, so nothing of it is shown.
    if rest[authority.len()..].contains('@') {
        return Err(wrong(
            "an @ stands behind a / or a ?; in a password, and elsewhere where they mean themselves, write @ as %40, / as %2F, ? as %3F",
        ));
    }
    let (login, servers) = match authority.rsplit_once('@') {
        Some((login, servers)) => (login, servers),
        None => ("", authority),
    };
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (login, None),
    };
    let mut values = BTreeMap::new();
    let mut put = |key, value: &str| -> Result<()> {
        if !value.is_empty() {
            values.insert(key, decoded(key, value)?);
        }
        Ok(())
    };
    put("user", user)?;
    put("password", password.unwrap_or_default())?;
    put("dbname", database)?;
    let (names, ports) = places(servers)?;
    put("host", &names)?;
    put("port", &ports)?;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| wrong(format!("{pair:?} after the question mark has no value")))?;
        let (name, value) = known(&decoded("a key", name)?, decoded(name, value)?)?;
        if let Some(name) = name {
            values.insert(name, value);
        }
    }
    Ok(values)
}

/// The key, if it has an effect.
fn known(name: &str, value: String) -> Result<(Option<&'static str>, String)> {
    // Written so for JDBC, and taken by libpq.
    if name == "ssl" || name == "requiressl" {
        return match value.as_str() {
            "true" | "1" => Ok((Some("sslmode"), "require".to_owned())),
            "false" | "0" => Ok((None, value)),
            _ => Err(unlike(name, &value, "true or false")),
        };
    }
    match keys::find(name) {
        Some(Key::Used(_)) => {
            let name = keys::used().map(|(key, _)| key).find(|key| *key == name);
            Ok((name, value))
        }
        Some(Key::Bounded) => Ok((None, value)),
        Some(Key::Idle(values)) if values.contains(&value.as_str()) => Ok((None, value)),
        Some(Key::Idle(values)) => Err(wrong(format!(
            "{name}={value} is not supported, only {}; leave it out",
            values.join(", ")
        ))),
        Some(Key::Unsupported(why)) => {
            Err(wrong(format!("its key {name} is not supported: {why}")))
        }
        None => {
            let meant = keys::nearest(name);
            let meant = meant.map_or_else(String::new, |key| format!("; did you mean {key}?"));
            Err(wrong(format!("its key {name:?} is unknown{meant}")))
        }
    }
}

/// The names and the ports of `a:1,[::1]:2,c`, each as a list.
fn places(servers: &str) -> Result<(String, String)> {
    let mut names = Vec::new();
    let mut ports = Vec::new();
    for server in servers.split(',') {
        let (name, port) = match server.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some((address, rest))) => (address, rest.strip_prefix(':').unwrap_or(rest)),
            Some(None) => {
                return Err(wrong(format!(
                    "the address {server:?} has no closing bracket"
                )));
            }
            None => server.split_once(':').unwrap_or((server, "")),
        };
        names.push(name);
        ports.push(port);
    }
    let list = |parts: &[&str]| {
        if parts.iter().all(|part| part.is_empty()) {
            String::new()
        } else {
            parts.join(",")
        }
    };
    Ok((list(&names), list(&ports)))
}

/// The servers. One port is that of all.
fn hosts(names: Option<String>, ports: Option<String>) -> Result<Vec<(Host, u16)>> {
    let ports: Vec<u16> = ports
        .unwrap_or_default()
        .split(',')
        .map(|port| match port {
            "" => Ok(5432),
            port => port
                .parse()
                .map_err(|_| unlike("port", port, "a number from 1 to 65535")),
        })
        .collect::<Result<_>>()?;
    let names = names.unwrap_or_default();
    let names: Vec<&str> = names.split(',').collect();
    let of = |n: usize, name: &str| {
        let port = match ports.as_slice() {
            [port] => *port,
            ports => *ports.get(n)?,
        };
        let name = if name.is_empty() {
            defaults::host(port)
        } else {
            name.to_owned()
        };
        let host = if name.starts_with(['/', '@']) {
            Host::Socket(name.into())
        } else {
            Host::Name(name)
        };
        Some((host, port))
    };
    let found: Option<Vec<_>> = names
        .iter()
        .enumerate()
        .map(|(n, name)| of(n, name))
        .collect();
    match found {
        Some(found) if ports.len() <= 1 || ports.len() == found.len() => Ok(found),
        _ => Err(wrong(format!(
            "it has {} hosts and {} ports; give one port for all, or one for each",
            names.len(),
            ports.len()
        ))),
    }
}

/// How the connection is encrypted, and whether only where the server refuses otherwise.
fn tls(values: &mut BTreeMap<&'static str, String>) -> Result<(Tls, bool)> {
    const SYSTEM: &str = "system";
    let root = values.remove("sslrootcert");
    let certificate = match (values.remove("sslcert"), values.remove("sslkey")) {
        (Some(chain), Some(key)) => Some(Certificate {
            chain: chain.into(),
            key: key.into(),
        }),
        (None, None) => None,
        _ => return Err(wrong("sslcert and sslkey are needed together")),
    };
    let system = root.as_deref() == Some(SYSTEM);
    let mode = values.remove("sslmode");
    // As in libpq: what is trusted by everybody says nothing without the name.
    let mode = mode
        .as_deref()
        .unwrap_or(if system { "verify-full" } else { "prefer" });
    let roots = match root {
        Some(file) if !system => Some(Roots::File(file.into())),
        Some(_) => Some(Roots::System),
        None => None,
    };
    let verify = |roots, name| Tls::Verify {
        roots,
        name,
        certificate: certificate.clone(),
    };
    let tls = match (mode, roots) {
        ("disable", _) => Tls::Off,
        ("allow", _) => return Ok((Tls::Off, true)),
        ("prefer", _) => Tls::Prefer(certificate),
        ("verify-full", roots) => verify(roots.unwrap_or(Roots::System), true),
        ("require" | "verify-ca", Some(Roots::System)) => {
            return Err(wrong(format!(
                "sslmode={mode} is too weak for sslrootcert=system, as anybody can have a certificate that the system trusts; use \
                 sslmode=verify-full"
            )));
        }
        // As in libpq: who names a root wants it checked.
        ("require", Some(roots)) => verify(roots, false),
        ("require", None) => Tls::Require(certificate),
        ("verify-ca", Some(roots)) => verify(roots, false),
        ("verify-ca", None) => {
            return Err(wrong(
                "sslmode=verify-ca needs sslrootcert=FILE, the certificate of the authority; or use sslmode=verify-full with the \
                 authorities that the system trusts",
            ));
        }
        (other, _) => {
            return Err(unlike(
                "sslmode",
                other,
                "disable, allow, prefer, require, verify-ca, verify-full",
            ));
        }
    };
    Ok((tls, false))
}

/// A system database is written to, so a server that takes writes is looked for in any case.
fn session_attributes(value: Option<String>) -> Result<()> {
    match value.as_deref() {
        None | Some("any" | "read-write" | "primary") => Ok(()),
        Some(other @ ("read-only" | "standby" | "prefer-standby")) => Err(wrong(format!(
            "target_session_attrs={other} asks for a server that only reads, and the system tables are written to; use read-write"
        ))),
        Some(other) => Err(unlike(
            "target_session_attrs",
            other,
            "any, read-write, primary",
        )),
    }
}

/// The settings of `-c a=b --c=d`.
fn options(text: &str) -> Result<Vec<(String, String)>> {
    let odd = || wrong("its options are not all written as -c NAME=VALUE or --NAME=VALUE");
    let mut settings = Vec::new();
    let mut words = words(text).into_iter();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--") {
            Some(setting) => setting.to_owned(),
            None => match word.strip_prefix("-c") {
                Some("") => words.next().ok_or_else(odd)?,
                Some(setting) => setting.to_owned(),
                None => return Err(odd()),
            },
        };
        let (name, value) = setting.split_once('=').ok_or_else(odd)?;
        settings.push((name.to_owned(), value.to_owned()));
    }
    Ok(settings)
}

/// The words of a text; a backslash makes a space part of one.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let last = words.len() - 1;
        match letter {
            '\\' => words[last].extend(letters.next()),
            letter if letter.is_whitespace() => words.push(String::new()),
            letter => words[last].push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn timeout(value: Option<String>) -> Result<Duration> {
    let Some(value) = value else {
        return Ok(CONNECT_TIMEOUT);
    };
    match value.trim().parse::<u64>() {
        // As in libpq, 0 is as long as it takes; nothing here waits longer than this.
        Ok(0) => Ok(Duration::from_secs(600)),
        Ok(seconds) => Ok(Duration::from_secs(seconds.min(600))),
        Err(_) => Err(unlike("connect_timeout", &value, "a number of seconds")),
    }
}

/// What `%2F` and the like stand for. `of` names what is decoded.
fn decoded(of: &str, text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digit = |n: usize| {
            after
                .get(n)
                .and_then(|digit| char::from(*digit).to_digit(16))
        };
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return Err(wrong(format!(
                "a per cent sign in its {of} is not followed by two hexadecimal digits; write %25 for the sign itself"
            )));
        };
        // Two hexadecimal digits are a byte.
        bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
        rest = &after[2..];
    }
    String::from_utf8(bytes).map_err(|_| wrong(format!("its {of} is no UTF-8")))
}

#[cfg(test)]
mod tests;
