//! The keys of a URL: libpq's.

/// What is done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// It is used. Where the URL does not have it, this variable of the environment is looked at, as by libpq.
    Used(Option<&'static str>),
    /// It is accepted with these values only, which ask for nothing.
    Idle(&'static [&'static str]),
    /// It is accepted with any value and has no effect: our calls are bounded in time by themselves.
    Bounded,
    /// It is libpq's, and not supported; why.
    Unsupported(&'static str),
}

use Key::{Bounded, Idle, Unsupported, Used};

/// All keys of libpq, by the names that it gives them.
const KEYS: &[(&str, Key)] = &[
    ("application_name", Used(Some("PGAPPNAME"))),
    ("channel_binding", Idle(&["disable", "prefer"])),
    (
        "client_encoding",
        Idle(&["utf8", "UTF8", "utf-8", "UTF-8", "auto"]),
    ),
    ("connect_timeout", Used(Some("PGCONNECT_TIMEOUT"))),
    ("dbname", Used(Some("PGDATABASE"))),
    ("fallback_application_name", Used(None)),
    ("gssdelegation", Idle(&["0"])),
    ("gssencmode", Idle(&["disable", "prefer"])),
    ("gsslib", Unsupported("GSSAPI is not built in")),
    ("host", Used(Some("PGHOST"))),
    ("hostaddr", Unsupported("give the address as the host")),
    ("keepalives", Bounded),
    ("keepalives_count", Bounded),
    ("keepalives_idle", Bounded),
    ("keepalives_interval", Bounded),
    ("krbsrvname", Unsupported("Kerberos is not built in")),
    ("load_balance_hosts", Used(Some("PGLOADBALANCEHOSTS"))),
    ("options", Used(Some("PGOPTIONS"))),
    (
        "passfile",
        Unsupported("give the password in the URL or in PGPASSWORD"),
    ),
    ("password", Used(Some("PGPASSWORD"))),
    ("port", Used(Some("PGPORT"))),
    ("replication", Idle(&["false", "off", "no", "0"])),
    (
        "require_auth",
        Unsupported("allow only the wanted method in the server's pg_hba.conf"),
    ),
    (
        "requirepeer",
        Unsupported("use sslmode=verify-full to know the server"),
    ),
    (
        "service",
        Unsupported("write out what the service file says"),
    ),
    (
        "servicefile",
        Unsupported("write out what the service file says"),
    ),
    ("sslcert", Used(Some("PGSSLCERT"))),
    ("sslcertmode", Idle(&["allow", "disable"])),
    ("sslcompression", Idle(&["0"])),
    ("sslcrl", Unsupported("revocation lists are not looked at")),
    (
        "sslcrldir",
        Unsupported("revocation lists are not looked at"),
    ),
    ("sslkey", Used(Some("PGSSLKEY"))),
    ("sslkeylogfile", Unsupported("keys are written nowhere")),
    ("sslmode", Used(Some("PGSSLMODE"))),
    ("sslnegotiation", Idle(&["postgres"])),
    (
        "sslpassword",
        Unsupported("keep the key unencrypted, readable by this process only"),
    ),
    ("sslrootcert", Used(Some("PGSSLROOTCERT"))),
    ("sslsni", Idle(&["1"])),
    ("ssl_max_protocol_version", Idle(&["TLSv1.3"])),
    (
        "ssl_min_protocol_version",
        Idle(&["TLSv1", "TLSv1.1", "TLSv1.2"]),
    ),
    ("target_session_attrs", Used(Some("PGTARGETSESSIONATTRS"))),
    ("tcp_user_timeout", Bounded),
    ("user", Used(Some("PGUSER"))),
];

/// The key with this name.
pub(super) fn find(name: &str) -> Option<Key> {
    KEYS.iter()
        .find(|(key, _)| *key == name)
        .map(|(_, key)| *key)
}

/// The keys that are used, each with its variable.
pub(super) fn used() -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
    KEYS.iter().filter_map(|(name, key)| match key {
        Used(variable) => Some((*name, *variable)),
        Idle(_) | Bounded | Unsupported(_) => None,
    })
}

/// The key that somebody may have meant.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    used()
        .map(|(key, _)| (distance(name, key), key))
        .min()
        .filter(|(distance, _)| *distance <= 2)
        .map(|(_, key)| key)
}

/// How many letters must be put in, taken out or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
