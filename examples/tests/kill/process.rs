//! Starting and killing the examples.

use std::{
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// The example of this name: cargo has built it before this test.
fn example(name: &str) -> &'static str {
    match name {
        "queue" => env!("CARGO_BIN_EXE_queue"),
        "quickstart" => env!("CARGO_BIN_EXE_quickstart"),
        "saga" => env!("CARGO_BIN_EXE_saga"),
        "transfer" => env!("CARGO_BIN_EXE_transfer"),
        #[cfg(feature = "pg-sqlx")]
        "pause" => env!("CARGO_BIN_EXE_pause"),
        #[cfg(feature = "pooler")]
        "pooler" => env!("CARGO_BIN_EXE_pooler"),
        _ => panic!("there is no example {name}, or this is built without it"),
    }
}

/// An example with these arguments, its output kept; it reads what is written to it. The environment names no database.
pub fn start(name: &str, args: &[&str]) -> Child {
    let mut command = Command::new(example(name));
    command.args(args).env_remove("DATABASE_URL");
    spawn(command.stdin(Stdio::piped()))
}

/// An example without arguments, with these variables in its environment.
pub fn start_with(name: &str, variables: &[(&str, &str)]) -> Child {
    spawn(Command::new(example(name)).envs(variables.iter().copied()))
}

fn spawn(command: &mut Command) -> Child {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the example starts")
}

/// Kills a process as the operating system does, and gives what it had printed.
pub fn kill(mut child: Child) -> String {
    // It may have ended by itself meanwhile.
    let _ = child.kill();
    text(&child.wait_with_output().expect("its output"))
}

/// Waits for a process to end well, and gives what it printed.
pub fn finish(mut child: Child, patience: Duration) -> String {
    let begin = Instant::now();
    while child.try_wait().expect("its status").is_none() {
        assert!(
            begin.elapsed() < patience,
            "it hangs; it had printed:\n{}",
            kill(child)
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().expect("its output");
    let printed = text(&output);
    assert!(output.status.success(), "{}:\n{printed}", output.status);
    printed
}

fn text(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&both).into_owned()
}
