//! The README's commands: what it tells a newcomer to type is typed here, and must work.
//!
//! In a fenced block tagged `console` or `sh`, a line that starts with `$ ` is a command; other lines are what it
//! prints. Each command is run by a shell of its own, from the workspace's root. A block below the comment
//! `<!-- ci: skip REASON -->` is listed, not run.

use std::{fs, process::Stdio};

use crate::{failure::Failure, process, screen, workspace::Workspace};

/// The file, below the workspace's root.
const FILE: &str = "README.md";

/// What to do with a part of the README; `line` is counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Run this command.
    Run { line: usize, command: String },
    /// This command is the one that runs us, or is run beside us.
    Stage { line: usize, command: String },
    /// The block that begins here is not run, for this reason.
    Skip { line: usize, reason: String },
    /// The block that begins here is tagged as commands, and has none.
    Empty { line: usize },
}

/// Runs the README's commands, up to the first that fails.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    let path = workspace.root().join(FILE);
    let text = fs::read_to_string(&path)
        .map_err(|error| Failure::failed(format!("cannot read {}: {error}", path.display())))?;
    let mut ran = 0;
    for step in plan(&text)? {
        match step {
            Step::Run { line, command } => {
                screen::line(format_args!("{FILE}:{line}: $ {command}"));
                let mut shell = workspace.shell(&command);
                if is_for_no_database(&command) {
                    shell.env_remove("DATABASE_URL");
                }
                process::finish(&command, shell.stdin(Stdio::null()))
                    .map_err(|failure| Failure::failed(format!("{FILE}:{line}: {failure}")))?;
                ran += 1;
            }
            Step::Stage { line, command } => screen::line(format_args!(
                "{FILE}:{line}: not repeated here, it is a run of its own: {command}"
            )),
            Step::Skip { line, reason } => {
                screen::line(format_args!("{FILE}:{line}: skipped: {reason}"));
            }
            Step::Empty { line } => screen::line(format_args!(
                "{FILE}:{line}: nothing to run, as no line starts with `$ `"
            )),
        }
    }
    screen::line(format_args!("{ran} commands of {FILE} were run."));
    Ok(())
}

/// What to do with the README, from top to bottom.
///
/// Errors: a `ci:` comment that is not understood, or stands above no block of commands.
fn plan(text: &str) -> Result<Vec<Step>, Failure> {
    let mut steps = Vec::new();
    let mut skip: Option<(usize, String)> = None;
    let mut lines = text.lines().zip(1..);
    while let Some((text, line)) = lines.next() {
        if let Some(fence) = Fence::opened_by(text) {
            let block: Vec<(&str, usize)> = lines
                .by_ref()
                .take_while(|(text, _)| !fence.is_closed_by(text))
                .collect();
            if !fence.holds_commands() {
                refuse_unused(skip.take())?;
            } else if let Some((_, reason)) = skip.take() {
                steps.push(Step::Skip { line, reason });
            } else {
                steps.extend(commands(line, &block));
            }
        } else if let Some(reason) = skip_comment(text, line)? {
            refuse_unused(skip.replace((line, reason)))?;
        } else if !text.trim().is_empty() {
            refuse_unused(skip.take())?;
        }
    }
    refuse_unused(skip)?;
    Ok(steps)
}

/// A comment that skips nothing is a mistake: perhaps the block below it was moved, and is no longer skipped.
fn refuse_unused(skip: Option<(usize, String)>) -> Result<(), Failure> {
    skip.map_or(Ok(()), |(line, _)| {
        Err(Failure::failed(format!(
            "{FILE}:{line}: `ci: skip` stands above no ```console or ```sh block; move it to one or remove it"
        )))
    })
}

/// The reason in `<!-- ci: skip REASON -->`, if the line is a comment for us.
fn skip_comment(text: &str, line: usize) -> Result<Option<String>, Failure> {
    let directive = text
        .trim()
        .strip_prefix("<!--")
        .and_then(|rest| rest.strip_suffix("-->"))
        .and_then(|rest| rest.trim().strip_prefix("ci:"));
    let Some(directive) = directive else {
        return Ok(None);
    };
    match directive.trim().split_once(char::is_whitespace) {
        Some(("skip", reason)) => Ok(Some(reason.trim().to_owned())),
        _ => Err(Failure::failed(format!(
            "{FILE}:{line}: not understood; the form is <!-- ci: skip REASON -->, with the reason"
        ))),
    }
}

/// The commands of a block that opens at `line`.
fn commands(line: usize, block: &[(&str, usize)]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = block.iter();
    while let Some((text, line)) = lines.next() {
        let Some(first) = text.trim_start().strip_prefix("$ ") else {
            continue;
        };
        let mut command = first.trim().to_owned();
        // A backslash at the end goes on in the next line, which a shell shows behind `> `.
        while let Some(open) = command.strip_suffix('\\') {
            let next = lines.next().map_or("", |(text, _)| text.trim());
            let next = next.strip_prefix("> ").unwrap_or(next).trim_start();
            command = format!("{} {next}", open.trim_end());
        }
        let line = *line;
        steps.push(if is_stage(&command) {
            Step::Stage { line, command }
        } else {
            Step::Run { line, command }
        });
    }
    if steps.is_empty() {
        steps.push(Step::Empty { line });
    }
    steps
}

/// Whether the command is `cargo xtask test` or `cargo xtask ci`, and nothing but that.
fn is_stage(command: &str) -> bool {
    // What follows ` #` is a comment of the shell.
    let command = command.split(" #").next().unwrap_or(command);
    let words: Vec<&str> = command.split_whitespace().collect();
    matches!(words.as_slice(), ["cargo", "xtask", "test" | "ci", ..])
        && !command.contains(['&', '|', ';'])
}

/// Whether the command is one of a newcomer who has named no database: what the environment of `ci` names would change what it does.
fn is_for_no_database(command: &str) -> bool {
    !command.contains("DATABASE_URL") && !command.contains("xtask pg")
}

/// The line that opens a fenced block.
struct Fence<'a> {
    mark: char,
    length: usize,
    language: &'a str,
}

impl<'a> Fence<'a> {
    /// The fence, if the line opens one.
    fn opened_by(text: &'a str) -> Option<Self> {
        let text = text.trim_start();
        let mark = text.chars().next().filter(|mark| "`~".contains(*mark))?;
        let info = text.trim_start_matches(mark);
        let length = text.len() - info.len();
        let opens = length >= 3 && !(mark == '`' && info.contains('`'));
        opens.then(|| Self {
            mark,
            length,
            language: info.split_whitespace().next().unwrap_or_default(),
        })
    }

    /// Whether the line closes it: the same mark at least as often, and nothing else.
    fn is_closed_by(&self, text: &str) -> bool {
        let text = text.trim();
        text.len() >= self.length && text.chars().all(|c| c == self.mark)
    }

    /// Whether what it fences is typed into a shell.
    fn holds_commands(&self) -> bool {
        matches!(self.language, "console" | "sh")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_step(line: usize, command: &str) -> Step {
        let command = command.to_owned();
        Step::Run { line, command }
    }

    #[test]
    fn commands_are_taken_from_console_and_sh_blocks_only() {
        let text = "\
# Title
$ not in a block
```console
$ cargo run -p examples
$5 is what it prints
done
```
```toml
$ not a command
```
```rust
// $ not a command
```
- in a list:
  ```sh
  $ cargo doc
  ```
";
        let expected = [
            run_step(4, "cargo run -p examples"),
            run_step(16, "cargo doc"),
        ];
        assert_eq!(plan(text).as_deref(), Ok(&expected[..]));
    }

    #[test]
    fn a_fence_inside_a_longer_fence_is_text() {
        let text = "````md\n```sh\n$ rm -r x\n```\n````\n~~~sh\n$ true\n```\n$ false\n~~~\n";
        let expected = [run_step(7, "true"), run_step(9, "false")];
        assert_eq!(plan(text).as_deref(), Ok(&expected[..]));
    }

    #[test]
    fn a_command_may_go_on_in_the_next_line() {
        let text = "```console\n$ cargo run \\\n>   --bin saga \\\n    -- --fast\nout\n```\n";
        let expected = [run_step(2, "cargo run --bin saga -- --fast")];
        assert_eq!(plan(text).as_deref(), Ok(&expected[..]));
    }

    #[test]
    fn commands_that_are_stages_are_not_run_again() {
        for (command, stage) in [
            ("cargo xtask test", true),
            ("cargo xtask test --full", true),
            ("cargo xtask ci   # all of it & more", true),
            ("cargo xtask test && cargo run", false),
            ("cargo xtask migrate", false),
            ("cargo test", false),
        ] {
            assert_eq!(is_stage(command), stage, "{command}");
        }
        let text = "```sh\n$ cargo xtask test\n```\n";
        let command = "cargo xtask test".to_owned();
        assert_eq!(plan(text), Ok(vec![Step::Stage { line: 2, command }]));
    }

    #[test]
    fn only_a_command_that_is_about_a_database_sees_which_is_named() {
        for (command, blind) in [
            ("cargo run -p examples", true),
            ("DATABASE_URL=$(cargo xtask pg up) cargo run", false),
            ("cargo xtask pg down", false),
        ] {
            assert_eq!(is_for_no_database(command), blind, "{command}");
        }
    }

    #[test]
    fn a_block_below_a_skip_comment_is_listed_with_its_reason() {
        let text = "<!-- ci: skip needs a Postgres -->\n\n```sh\n$ psql\n```\n```sh\n$ true\n```\n";
        let reason = "needs a Postgres".to_owned();
        let expected = [Step::Skip { line: 3, reason }, run_step(7, "true")];
        assert_eq!(plan(text).as_deref(), Ok(&expected[..]));
    }

    #[test]
    fn a_skip_comment_that_does_nothing_is_refused() {
        let texts = [
            "text\n<!-- ci: skip why -->\ntext\n```sh\n$ true\n```\n",
            "text\n<!-- ci: skip why -->\n```toml\na = 1\n```\n",
            "text\n<!-- ci: skip why -->\n",
            "text\n<!-- ci: skip -->\n```sh\n$ true\n```\n",
            "text\n<!-- ci: ignore this -->\n```sh\n$ true\n```\n",
        ];
        for text in texts {
            let Err(Failure::Failed(told)) = plan(text) else {
                panic!("accepted: {text}");
            };
            assert!(told.starts_with("README.md:2: "), "{told}");
        }
    }

    #[test]
    fn other_comments_and_blocks_without_commands_do_no_harm() {
        let text = "<!-- a comment -->\n```sh\ncargo add durable\n```\n";
        assert_eq!(plan(text), Ok(vec![Step::Empty { line: 2 }]));
        assert_eq!(plan("```sh\n$ true"), Ok(vec![run_step(2, "true")]));
    }
}
