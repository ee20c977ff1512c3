//! How a server is set up.

use std::path::Path;

/// How long the path of a socket may be where it is shortest, on macOS, with the byte that ends it.
const SOCKET_PATH: usize = 104;

/// The longest name of a socket, with the slash before it.
const SOCKET_NAME: &str = "/.s.PGSQL.65535";

/// Who may connect: everybody on this machine, as whatever role. Only what may be lost belongs into such a server.
pub(super) const ACCESS: &str = "\
# type  database  user  address       method
local   all       all                 trust
host    all       all   127.0.0.1/32  trust
";

/// The server's settings. `access` is the file with [`ACCESS`].
pub(super) fn text(port: u16, socket: &Path, access: &Path, data: &Path) -> String {
    let sockets = if fits_a_socket(socket) {
        quoted(socket)
    } else {
        "''".to_owned()
    };
    format!(
        "# Written at each start.
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = {sockets}
max_connections = 300
fsync = on
hba_file = {}
ident_file = {}
",
        quoted(access),
        quoted(&data.join("pg_ident.conf")),
    )
}

/// Whether a socket can stand in this directory: its path is short, and nothing in it means something to the server.
fn fits_a_socket(directory: &Path) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.+@".contains(c);
    directory
        .to_str()
        .is_some_and(|path| path.len() + SOCKET_NAME.len() < SOCKET_PATH && path.chars().all(plain))
}

/// The path as a value in the settings.
fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    format!("'{}'", path.replace('\\', r"\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_directory(directory: &str) -> String {
        let at = Path::new(directory);
        text(
            5433,
            &at.join("socket"),
            &at.join("access"),
            &at.join("data"),
        )
    }

    #[test]
    fn a_server_is_safe_on_disk_open_to_many_and_reached_from_this_machine_only() {
        let text = in_directory("/shop/target/pg/15");
        for line in [
            "listen_addresses = '127.0.0.1'",
            "port = 5433",
            "max_connections = 300",
            "fsync = on",
            "unix_socket_directories = '/shop/target/pg/15/socket'",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
        let addresses = ACCESS.lines().filter(|line| line.starts_with("host"));
        assert!(
            addresses
                .into_iter()
                .all(|line| line.contains("127.0.0.1/32"))
        );
    }

    #[test]
    fn a_path_that_is_too_long_or_odd_has_no_socket() {
        let longest = "a".repeat(SOCKET_PATH - "//socket".len() - SOCKET_NAME.len() - 1);
        let fitting = in_directory(&format!("/{longest}"));
        assert!(fitting.contains("a/socket'"), "{fitting}");
        for directory in [&format!("/a{longest}"), "/it's, odd"] {
            let text = in_directory(directory);
            assert!(text.contains("unix_socket_directories = ''"), "{text}");
        }
    }

    #[test]
    fn a_quote_in_a_path_does_not_end_it() {
        let text = in_directory("/it's");
        assert!(text.contains("hba_file = '/it''s/access'"), "{text}");
    }
}
