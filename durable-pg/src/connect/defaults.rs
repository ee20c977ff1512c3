//! What a URL leaves open.

use std::path::Path;

/// Where packaged servers put their sockets.
const SOCKETS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// Where a server is looked for when nothing says where: at its socket, or on this machine.
pub(super) fn host(port: u16) -> String {
    let socket = SOCKETS.into_iter().find(|directory| {
        Path::new(directory)
            .join(format!(".s.PGSQL.{port}"))
            .exists()
    });
    socket.unwrap_or("localhost").to_owned()
}

/// The name of who runs this process, as the shell has it.
pub(super) fn user(environment: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    environment("USER").or_else(|| environment("LOGNAME"))
}
