//! The process of a server, as the file `postmaster.pid` in its data directory tells of it.

use std::{fs, path::Path, process::Command};

use crate::process;

/// The file's name.
pub(super) const FILE: &str = "postmaster.pid";

/// What a server that was started from this program is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// There is none; what the file says, if there is one, is of a server that is gone.
    Stopped,
    /// It does not take connections, yet or any more.
    Busy,
    /// It takes connections at this port.
    Running {
        /// The port, on 127.0.0.1.
        port: u16,
    },
}

/// What the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    pid: u32,
    port: Option<u16>,
    ready: bool,
}

/// Looks at the server of this data directory.
pub(super) fn state(data: &Path) -> State {
    match live(data) {
        None => State::Stopped,
        Some(Record {
            port: Some(port),
            ready: true,
            ..
        }) => State::Running { port },
        Some(_) => State::Busy,
    }
}

/// The server's process, if it lives.
pub(super) fn pid(data: &Path) -> Option<u32> {
    live(data).map(|record| record.pid)
}

/// What the file says, if it is of a server that lives.
fn live(data: &Path) -> Option<Record> {
    let record = parse(&fs::read_to_string(data.join(FILE)).ok()?)?;
    // After a crash of the machine the number may be that of another process.
    names(&command_line(record.pid)?, data).then_some(record)
}

/// Reads the file: the process, the data directory, the time of start, the port, …, and last how far it is.
fn parse(text: &str) -> Option<Record> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    Some(Record {
        pid: lines.first()?.parse().ok()?,
        port: lines.get(3).and_then(|port| port.parse().ok()),
        ready: lines.get(7) == Some(&"ready"),
    })
}

/// How the process was called, its words parted by zeros or, where only `ps` can tell, by spaces.
fn command_line(pid: u32) -> Option<String> {
    if Path::new("/proc/self/cmdline").exists() {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        return Some(String::from_utf8_lossy(&line).into_owned());
    }
    process::capture(Command::new("ps").args(["-o", "args=", "-p", &pid.to_string()])).ok()
}

/// Whether this is the call of a server with that data directory.
fn names(line: &str, data: &Path) -> bool {
    let data = data.to_string_lossy();
    let mut words = line.split('\0');
    words.any(|word| word == data) || line.contains(&format!("-D {data} "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    /// What a server writes that takes connections.
    fn written(pid: u32, status: &str) -> String {
        format!("{pid}\n/x/data\n1764000000\n40123\n/x/socket\n127.0.0.1\n 123 4\n{status}\n")
    }

    #[test]
    fn a_server_is_ready_only_when_it_says_so() {
        let parsed = |text: &str| parse(text).map(|record| (record.port, record.ready));
        assert_eq!(parsed(&written(7, "ready   ")), Some((Some(40123), true)));
        assert_eq!(parsed(&written(7, "starting")), Some((Some(40123), false)));
        assert_eq!(parsed("7\n/x/data\n"), Some((None, false)));
        assert_eq!(parsed(""), None);
        assert_eq!(parsed("-1\n"), None);
    }

    #[test]
    fn a_number_that_is_now_of_another_process_is_no_server() {
        let scratch = Scratch::new("pg-stale");
        assert_eq!(state(scratch.path()), State::Stopped);
        scratch.file(FILE, &written(std::process::id(), "ready"));
        assert_eq!(state(scratch.path()), State::Stopped);
    }

    #[test]
    fn a_server_is_known_by_its_data_directory() {
        let data = Path::new("/x/15/data");
        assert!(names("/bin/postgres\0-D\0/x/15/data\0-c\0a=b\0", data));
        assert!(names("/bin/postgres -D /x/15/data -c a=b\n", data));
        assert!(!names("/bin/postgres\0-D\0/x/15/data2\0", data));
        assert!(!names("/bin/postgres -D /x/15/data2 -c a=b\n", data));
        assert!(!names("", data));
    }
}
