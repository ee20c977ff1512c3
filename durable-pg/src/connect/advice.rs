//! What to do where the first connection fails, by what the driver or the server said.

/// The advice for what the server refuses, by its SQLSTATE.
const BY_CODE: [(&str, &str); 6] = [
    (
        "53300",
        "the server has no connection left: make the pools of the processes that use it smaller (`pool_size`; a process takes \
         that many, one for each lane and three more), or raise `max_connections` of the server",
    ),
    (
        "28P01",
        "mend the role's password in the URL or in PGPASSWORD (in a URL `@`, `:`, `/` and `%` are written %40, %3A, %2F and %25), or set another by ALTER ROLE",
    ),
    (
        "28000",
        "make the role by CREATE ROLE … LOGIN if there is none of that name, or let it in from here by the server's pg_hba.conf",
    ),
    (
        "3D000",
        "make the database by CREATE DATABASE, or name another in the URL",
    ),
    (
        "42501",
        "GRANT CONNECT ON DATABASE … TO the role, or name another role in the URL",
    ),
    (
        "57P03",
        "wait until the server has started, or see its log for why it does not",
    ),
];

/// The advice for what the driver says, if that has one of these words in it.
const BY_WORDS: [(&[&str], &str); 8] = [
    (
        &["client certificate"],
        "give the certificate that the server wants by sslcert and sslkey",
    ),
    (
        &["peer certificate"],
        "the server's certificate must be signed by an authority in sslrootcert, be valid now and, with sslmode=verify-full, be for \
         this host",
    ),
    (
        &["not support TLS"],
        "turn `ssl` on in the server's settings, or use sslmode=prefer where the network can be trusted",
    ),
    (
        &["password missing"],
        "give the role's password in the URL, as in postgres://USER:PASSWORD@HOST/DATABASE, or in PGPASSWORD",
    ),
    (
        &["Connection refused", "No such file"],
        "no server listens there: have it run, or mend the host and the port in the URL",
    ),
    (
        &["lookup address"],
        "that host is not known here: mend it in the URL, or look at the DNS",
    ),
    (
        &["no answer within"],
        "mend the host and the port in the URL, or look for a firewall in between; `connect_timeout` in the URL says how long to wait",
    ),
    (
        &[
            "unexpected response from SSLRequest",
            "unknown message",
            "unknown authentication",
            "invalid message length",
            "unexpected message",
            "corrupt message",
            "EOF",
            "eof",
            "end of file",
            "connection closed",
            "Connection reset",
            "Broken pipe",
            "bytes remaining",
            "expected to read",
        ],
        "what listens there hung up or is not a Postgres server: mend the host and the port in the URL, or see the log of the server if it \
         is one",
    ),
];

const OTHERWISE: &str = "look at the URL's host, port, user, password, database and sslmode, and whether the server runs and lets this user in";

/// What to do about it.
pub(crate) fn of(code: Option<&str>, message: &str) -> &'static str {
    let by_code = BY_CODE.iter().find(|(known, _)| code == Some(known));
    by_code
        .map(|(_, advice)| *advice)
        .or_else(|| by_words(message))
        .unwrap_or(OTHERWISE)
}

/// What to do about it, if the words tell.
pub(crate) fn by_words(message: &str) -> Option<&'static str> {
    let mut known = BY_WORDS.iter();
    let (_, advice) = known.find(|(words, _)| words.iter().any(|word| message.contains(word)))?;
    Some(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_the_server_is_answered_by_its_code() {
        for (code, words) in [
            ("53300", "`pool_size`"),
            ("28P01", "password"),
            ("28000", "pg_hba.conf"),
            ("3D000", "CREATE DATABASE"),
            ("42501", "GRANT CONNECT"),
            ("57P03", "has started"),
            ("XX000", "look at the URL's host"),
        ] {
            let advice = of(Some(code), "the server's words, in its language");
            assert!(advice.contains(words), "{code}: {advice}");
        }
    }

    #[test]
    fn what_a_driver_says_is_answered_by_its_words() {
        for (message, words) in [
            ("invalid configuration: password missing", "PGPASSWORD"),
            ("Connection refused (os error 111)", "no server listens"),
            ("failed to lookup address information", "not known here"),
            ("no answer within 10s (connect_timeout)", "firewall"),
            ("unknown message type: 'X'", "not a Postgres server"),
            ("server does not support TLS", "sslmode=prefer"),
            ("something else", "look at the URL's host"),
        ] {
            let advice = of(None, message);
            assert!(advice.contains(words), "{message}: {advice}");
        }
    }
}
