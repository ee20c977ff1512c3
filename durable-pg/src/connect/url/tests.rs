use super::*;

fn parse(text: &str) -> Result<Url> {
    Url::parse_in(text, &|name| (name == "USER").then(|| "me".to_owned()))
}

fn parsed(text: &str) -> Url {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    match parse(text) {
        Ok(url) => panic!("{text} is taken: {url:?}"),
        Err(error) => error.to_string(),
    }
}

fn places_of(url: &Url) -> Vec<String> {
    url.targets.iter().map(Target::to_string).collect()
}

#[test]
fn a_url_names_servers_login_and_database() {
    let url = parsed(
        "postgresql://ann%40x:p%3Aw%2F@db1:1,db2:2,[::1]/shop?application_name=till&connect_timeout=3",
    );
    assert_eq!(places_of(&url), ["db1:1", "db2:2", "[::1]:5432"]);
    let target = &url.targets[0];
    assert_eq!(target.user, "ann@x");
    assert_eq!(target.password.as_ref().map(Password::reveal), Some("p:w/"));
    assert_eq!(target.database, "shop");
    assert_eq!(target.application_name, "till");
    assert_eq!(url.timeout, Duration::from_secs(3));
}

#[test]
fn hosts_and_ports_may_be_keys() {
    let cases: [(&str, &[&str]); 4] = [
        ("postgres:///x?host=a,b&port=7", &["a:7", "b:7"]),
        ("postgres:///x?host=a,b&port=7,8", &["a:7", "b:8"]),
        ("postgres://%2Frun%2Fpg:7/x", &["/run/pg:7"]),
        ("postgres:///x?host=/run/pg", &["/run/pg:5432"]),
    ];
    for (text, places) in cases {
        assert_eq!(places_of(&parsed(text)), places, "{text}");
    }
    let text = refused("postgres:///x?host=a,b,c&port=7,8");
    assert!(text.contains("3 hosts and 2 ports"), "{text}");
}

#[test]
fn what_a_url_leaves_open_is_as_in_libpq() {
    let url = parsed("postgres://db");
    let target = &url.targets[0];
    assert_eq!(places_of(&url), ["db:5432"]);
    assert_eq!((&*target.user, &*target.database), ("me", "me"));
    assert_eq!(target.tls, Tls::Prefer(None));
    let environment = |name: &str| match name {
        "PGHOST" => Some("there".to_owned()),
        "PGPASSWORD" => Some("secret".to_owned()),
        "PGSSLMODE" => Some("disable".to_owned()),
        _ => None,
    };
    let url = Url::parse_in("postgres://ann@/x", &environment).unwrap();
    assert_eq!(places_of(&url), ["there:5432"]);
    assert_eq!(url.targets[0].tls, Tls::Off);
    let url = Url::parse_in("postgres://ann:own@db/x?sslmode=require", &environment).unwrap();
    assert_eq!(
        url.targets[0].password.as_ref().map(Password::reveal),
        Some("own")
    );
    assert_eq!(url.targets[0].tls, Tls::Require(None));
}

#[test]
fn each_sslmode_asks_for_what_it_does_in_libpq() {
    let root = || Roots::File("/ca".into());
    let verify = |roots, name| Tls::Verify {
        roots,
        name,
        certificate: None,
    };
    let cases = [
        ("sslmode=disable", Tls::Off),
        ("sslmode=require", Tls::Require(None)),
        ("ssl=true", Tls::Require(None)),
        ("sslmode=require&sslrootcert=/ca", verify(root(), false)),
        ("sslmode=verify-ca&sslrootcert=/ca", verify(root(), false)),
        ("sslmode=verify-full&sslrootcert=/ca", verify(root(), true)),
        ("sslmode=verify-full", verify(Roots::System, true)),
        ("sslrootcert=system", verify(Roots::System, true)),
    ];
    for (query, tls) in cases {
        assert_eq!(
            parsed(&format!("postgres://db/x?{query}")).targets[0].tls,
            tls,
            "{query}"
        );
    }
    assert!(parsed("postgres://db/x?sslmode=allow").allows);
    let with = parsed("postgres://db/x?sslmode=require&sslcert=/c&sslkey=/k");
    assert_eq!(
        with.targets[0]
            .tls
            .certificate()
            .map(|certificate| certificate.key.clone()),
        Some("/k".into())
    );
    // A socket is not encrypted, as in libpq.
    assert_eq!(
        parsed("postgres:///x?host=/run&sslmode=require").targets[0].tls,
        Tls::Off
    );
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    let cases = [
        ("mysql://db/x", "begin with postgres://"),
        (
            "postgres://db/x?sslmod=require",
            "\"sslmod\" is unknown; did you mean sslmode?",
        ),
        ("postgres://db/x?colour=blue", "\"colour\" is unknown"),
        ("postgres://db/x?sslcrl=/f", "sslcrl is not supported"),
        (
            "postgres://db/x?gssencmode=require",
            "gssencmode=require is not supported, only disable, prefer",
        ),
        (
            "postgres://db/x?sslmode=verify-ca",
            "needs sslrootcert=FILE",
        ),
        (
            "postgres://db/x?sslmode=verify-ca&sslrootcert=system",
            "use sslmode=verify-full",
        ),
        (
            "postgres://db/x?sslmode=on",
            "sslmode=on is none of its values: disable",
        ),
        (
            "postgres://db/x?sslcert=/c",
            "sslcert and sslkey are needed together",
        ),
        (
            "postgres://db/x?target_session_attrs=standby",
            "use read-write",
        ),
        (
            "postgres://db/x?connect_timeout=soon",
            "a number of seconds",
        ),
        (
            "postgres://db/x?options",
            "\"options\" after the question mark has no value",
        ),
        ("postgres://db:70000/x", "port=70000"),
        ("postgres://[::1/x", "no closing bracket"),
    ];
    for (text, words) in cases {
        let said = refused(text);
        assert!(said.contains(words), "{text}: {said}");
    }
    for text in [
        "postgres://db/x?keepalives_idle=5",
        "postgres://db/x?gssencmode=prefer&sslsni=1",
    ] {
        parsed(text);
    }
}

#[test]
fn no_password_is_shown() {
    let url = parsed("postgres://ann:tr0ub4dor@db/x");
    assert!(!format!("{url:?}").contains("tr0ub4dor"));
    for text in [
        "postgres://ann:tr0ub4dor%4@db/x",
        "postgres://ann:tr0ub4dor@db/x?sslmod=1",
        "postgres://ann:tr0ub4dor/x@db/x",
        "postgres://ann:pw?tr0ub4dor=1@db/x",
        "ann:tr0ub4dor@db",
    ] {
        let said = refused(text);
        assert!(!said.contains("tr0ub4dor"), "{said}");
    }
}

#[test]
fn settings_of_the_session_are_read_from_options() {
    let url =
        parsed(r"postgres://db/x?options=-c%20geqo=off%20--search_path=a,\ b%20-cwork_mem=8MB");
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        url.targets[0].options,
        [
            setting("geqo", "off"),
            setting("search_path", "a, b"),
            setting("work_mem", "8MB")
        ]
    );
    let said = refused("postgres://db/x?options=-d");
    assert!(said.contains("-c NAME=VALUE"), "{said}");
}
