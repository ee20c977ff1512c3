//! The URLs of servers.

/// How the URL of a Postgres server begins.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Whether it is the URL of a Postgres server, and not of another database.
pub(super) fn is_postgres(url: &str) -> bool {
    SCHEMES.iter().any(|scheme| starts_with(url, scheme))
}

/// The URL of a server of this workspace.
pub(super) fn of_port(port: u16) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/postgres")
}

/// The port of a server of this workspace, if the URL can be that of one: as [`of_port`] gives it, perhaps with another database.
pub(super) fn port_of(url: &str) -> Option<u16> {
    let rest = url.strip_prefix("postgres://postgres@127.0.0.1:")?;
    let port = rest.split('/').next()?;
    port.parse().ok()
}

/// The text as it may be shown: if it is the URL of a Postgres server, without its password.
pub(crate) fn without_password(text: &str) -> String {
    if !is_postgres(text) {
        return text.to_owned();
    }
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    // A password that should have been encoded may hold `@`, `/` or `?`: what could be one is hidden to its end.
    let rest = match rest.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{name}:***@{host}"),
            None => format!("{user}@{host}"),
        },
        None => rest.to_owned(),
    };
    let (place, options) = match rest.split_once('?') {
        Some((place, options)) => (place, Some(options)),
        None => (rest.as_str(), None),
    };
    let options = options.map_or_else(String::new, |options| format!("?{}", public(options)));
    format!("{scheme}://{place}{options}")
}

/// The options of a URL, those that are passwords hidden.
fn public(options: &str) -> String {
    let shown: Vec<String> = options
        .split('&')
        .map(|option| match option.split_once('=') {
            Some((name, _)) if name.to_ascii_lowercase().contains("password") => {
                format!("{name}=***")
            }
            _ => option.to_owned(),
        })
        .collect();
    shown.join("&")
}

/// Whether the text starts with this, in whatever case.
fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_url_of_a_postgres_server_is_one() {
        for url in [
            "postgres://db/shop",
            "postgresql://ann@db",
            "POSTGRES://db",
            &of_port(1),
        ] {
            assert!(is_postgres(url), "{url}");
        }
        for url in [
            "",
            "postgres",
            "sqlite:shop.db",
            "shop.db",
            "postgres:/db",
            "mysql://db",
            "é",
        ] {
            assert!(!is_postgres(url), "{url}");
        }
    }

    #[test]
    fn the_url_of_a_server_of_this_workspace_is_known_again() {
        assert_eq!(port_of(&of_port(38_249)), Some(38_249));
        assert_eq!(
            port_of("postgres://postgres@127.0.0.1:5433/shop?x=y"),
            Some(5433)
        );
        for url in [
            "postgres://postgres@db:5433/postgres",
            "postgres://ann@127.0.0.1:5433/postgres",
            "postgres://postgres@127.0.0.1/postgres",
        ] {
            assert_eq!(port_of(url), None, "{url}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let cases = [
            (
                "postgres://ann:hunter2@db:1/shop?a=b",
                "postgres://ann:***@db:1/shop?a=b",
            ),
            (
                "postgres://ann:hunter2/@x?y@db/shop",
                "postgres://ann:***@db/shop",
            ),
            ("postgresql://ann@db/shop", "postgresql://ann@db/shop"),
            (
                "postgres://db/shop?user=ann&Password=hunter2&sslpassword=hunter2",
                "postgres://db/shop?user=ann&Password=***&sslpassword=***",
            ),
            ("a:b@c", "a:b@c"),
        ];
        for (url, shown) in cases {
            assert_eq!(without_password(url), shown);
        }
    }
}
