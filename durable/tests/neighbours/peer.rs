//! The program on the real dbos, started and asked.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout},
    sync::Mutex,
};

use durable_testkit::Dbos;
use serde_json::{Value, json};

/// A running program; it ends with this.
pub(crate) struct Peer {
    child: Child,
    lines: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Peer {
    /// Starts it on a database, and waits until it serves.
    pub(crate) fn start(url: &str) -> Self {
        // SQLAlchemy is told which driver it has.
        let url = url.replacen("postgres://", "postgresql://", 1);
        let mut child = Dbos::new().spawn(include_str!("peer.py"), &[&url]);
        let input = child.stdin.take().expect("its standard input");
        let output = BufReader::new(child.stdout.take().expect("its standard output"));
        let peer = Self {
            child,
            lines: Mutex::new((input, output)),
        };
        let ready = peer.line();
        assert_eq!(ready, json!({"ready": true}));
        peer
    }

    /// What it answers to a command. Blocks: call it from a thread that may be blocked.
    pub(crate) fn ask(&self, command: &Value) -> Value {
        {
            let (input, _) = &mut *self.lines.lock().unwrap();
            writeln!(input, "{command}").expect("it reads");
        }
        self.line()["answer"].take()
    }

    fn line(&self) -> Value {
        let (_, output) = &mut *self.lines.lock().unwrap();
        let mut line = String::new();
        output.read_line(&mut line).expect("it writes");
        serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("it ended or printed {line:?}: {error}"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
