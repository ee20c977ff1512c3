//! The commands, their options and their help.

use std::{ffi::OsString, fmt::Write as _};

use lexopt::{
    Arg::{Long, Short, Value},
    Parser, ValueExt as _,
};

use crate::{
    bench, ci,
    failure::Failure,
    migrate::{self, Mode},
    mutants, pg, test,
};

/// What `cargo xtask` was asked to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Print this text.
    Help(String),
    /// Run the tests.
    Test(test::Options),
    /// Run everything that must hold before a change is merged.
    Ci(ci::Options),
    /// Bring a database's schema up to date.
    Migrate(migrate::Options),
    /// Have a Postgres server run, or not.
    Pg(pg::Options),
    /// Measure.
    Bench(bench::Options),
    /// Try mutants.
    Mutants(mutants::Options),
    /// Simulate, with these arguments.
    Sim(Vec<OsString>),
}

/// Name, options, and what it does: the first line is shown in the list, all of them by `COMMAND --help`.
const COMMANDS: [(&str, &str, &str); 7] = [
    (
        "test",
        "[--full] [FILTER]",
        "Run all tests and documentation tests, with all set-up included
The quick run leaves out what takes long, and says at its end what that was; --full runs all of it.
With FILTER only the tests with that text in their name are run, and only the programs that can hold one are built.",
    ),
    (
        "ci",
        "[--skip-tests]",
        "Run all that must pass before a merge: format, lints, docs, house rules, tests, README
Stops at the first stage that fails. --skip-tests leaves out the stages that `cargo xtask test` runs.",
    ),
    (
        "migrate",
        "[OPTIONS]",
        "Bring a database's schema up to date: an empty one, an older one, or one of another DBOS SDK
--database-url URL   sqlite:PATH, sqlite://PATH, a plain path, or postgres://USER@HOST:PORT/DATABASE;
                     DATABASE_URL of the environment if not given. An SQLite file is created if there is none.
--data-source URL    instead of that: a database of the application that transactional steps write and that is not the system
                     database; makes the one table that they need there, in --schema, and grants it to --app-role
The others are for Postgres:
--schema SCHEMA      the schema that holds the system tables, dbos if not given; created if there is none
--app-role ROLE      grant this role all that an application needs, so that it runs without the right to create anything
--create-database    create the database if there is none
--dry-run            change nothing, and print the SQL that a run would run, with --create-database also that which makes the database
--check              change nothing, and fail if anything is missing, saying what
The database (unless it is to be created) and the role are there before. Run it as a role that may create and alter the tables. It may be run while the database is in use, more than once, and again
after it was interrupted.",
    ),
    (
        "pg",
        "up|down|url [--version N]",
        "Have a Postgres server run for the tests, on 127.0.0.1 with its data below target/pg
up starts it and prints its URL, url prints that URL again, down stops the server and removes its data.
Everybody on the machine may connect to it, as its superuser: it is for tests, and for trying things.
If DATABASE_URL names another Postgres server, that one is used as it is, and nothing is started or stopped.
Otherwise it is the server that is installed (on PATH or below /usr/lib/postgresql), or is installed by apt-get if
that can be done; with --version N (13 to 18) one of that version is downloaded instead.
`cargo xtask test` does all this by itself if there are tests that need a server.",
    ),
    (
        "bench",
        "inline [--peer]|raw",
        "Measure on Postgres: steps/s, latency, and client CPU for a workflow, through both drivers
inline runs workflows of five steps; with --peer also through crate `dbos`, built for that, and gives the ratios.
raw makes the same writes without the engine, and runs the engine beside it, so that the engine's own cost shows.
Medians of --rounds N (5) in turn, each of --seconds N (5), at concurrency 1, 50 and 200, or at --concurrency N only.
The server is the one that `cargo xtask pg up` would give. CPU time is read as Linux has it.",
    ),
    (
        "mutants",
        "[--shard K/N] [FILES]",
        "Try a sample of mutants of the state machine, the operations and the in-memory model
A mutant that no test catches fails it, unless xtask/src/mutants/accepted.txt lists it with the reason.
The sample is each N-th mutant from the K-th on (0/40, as in `cargo xtask test --full`); 0/1 is all of them.
With FILES, a glob as `durable-core/src/state/**`, only those of these files. cargo-mutants is installed below target.",
    ),
    (
        "sim",
        "[--seeds N] [--seed S] [OPTIONS]",
        "Simulate: executors, their database and the network between them under one seed, with faults
--seeds N        run so many (10000): half of them for `steps`, 40 % for `programs`, the rest for `poison`
--from S         the first of them (0)
--scenario NAME  only this one, with all seeds
--least RATE     fail if fewer runs of `steps` are made in a second of a processor
--jobs N         how many run beside each other (1)
--seed S         this one only, with its timeline
--choices LIST   one run with these decisions, as a failing run prints them
--bugs           plant known bugs, one at a time, and fail if one is not found within N seeds (20000)
--bug NAME       only this one, with the timeline of what it does
--twice          run each seed twice, forwards and backwards, and fail at the first difference",
    ),
];

/// Reads the arguments that follow `cargo xtask`.
///
/// Errors: `Usage`, naming what was not understood and where to look.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Failure> {
    let mut parser = Parser::from_args(arguments);
    let name = match next(&mut parser, "")? {
        None | Some(Long("help") | Short('h')) => return Ok(Command::Help(overview())),
        Some(Value(name)) => name.to_string_lossy().into_owned(),
        Some(other) => return Err(misused(&other.unexpected(), "")),
    };
    match name.as_str() {
        "help" => Ok(Command::Help(overview())),
        "test" => parse_test(&mut parser),
        "ci" => parse_ci(&mut parser),
        "migrate" => parse_migrate(&mut parser),
        "pg" => parse_pg(&mut parser),
        "bench" => parse_bench(&mut parser),
        "mutants" => parse_mutants(&mut parser),
        "sim" => parse_sim(&mut parser),
        other => Err(Failure::usage(format!(
            "there is no command `{other}`\n\n{}",
            overview()
        ))),
    }
}

/// The options of `test`.
fn parse_test(parser: &mut Parser) -> Result<Command, Failure> {
    let mut options = test::Options::default();
    while let Some(argument) = next(parser, "test")? {
        match argument {
            Long("help") | Short('h') => return Ok(Command::Help(help("test"))),
            Long("full") => options.full = true,
            Value(filter) if options.filter.is_none() => {
                options.filter = Some(filter.string().map_err(|error| misused(&error, "test"))?);
            }
            other => return Err(misused(&other.unexpected(), "test")),
        }
    }
    Ok(Command::Test(options))
}

/// The options of `ci`.
fn parse_ci(parser: &mut Parser) -> Result<Command, Failure> {
    let mut options = ci::Options::default();
    while let Some(argument) = next(parser, "ci")? {
        match argument {
            Long("help") | Short('h') => return Ok(Command::Help(help("ci"))),
            Long("skip-tests") => options.skip_tests = true,
            other => return Err(misused(&other.unexpected(), "ci")),
        }
    }
    Ok(Command::Ci(options))
}

/// The options of `migrate`. No message repeats a value: a URL may hold a password.
fn parse_migrate(parser: &mut Parser) -> Result<Command, Failure> {
    let mut options = migrate::Options::default();
    while let Some(argument) = next(parser, "migrate")? {
        match argument {
            Long("help") | Short('h') => return Ok(Command::Help(help("migrate"))),
            Long("database-url") => {
                let value = parser.value().map_err(|error| misused(&error, "migrate"))?;
                options.database_url = Some(value);
                options.data_source = false;
            }
            Long("data-source") => {
                let value = parser.value().map_err(|error| misused(&error, "migrate"))?;
                options.database_url = Some(value);
                options.data_source = true;
            }
            Long("schema") => options.schema = Some(text(parser, "--schema")?),
            Long("app-role") => options.app_role = Some(text(parser, "--app-role")?),
            Long("create-database") => options.create_database = true,
            Long("dry-run") if options.mode != Mode::Check => options.mode = Mode::DryRun,
            Long("check") if options.mode != Mode::DryRun => options.mode = Mode::Check,
            Long("dry-run" | "check") => {
                return Err(Failure::usage(
                    "--dry-run and --check do not go together; `cargo xtask migrate --help` says what each does",
                ));
            }
            Value(_) => {
                return Err(Failure::usage(
                    "`migrate` takes the database as an option: cargo xtask migrate --database-url URL",
                ));
            }
            other => return Err(misused(&other.unexpected(), "migrate")),
        }
    }
    Ok(Command::Migrate(options))
}

/// The value of an option of `migrate`, which is not repeated if it cannot be read.
fn text(parser: &mut Parser, option: &str) -> Result<String, Failure> {
    let value = parser.value().map_err(|error| misused(&error, "migrate"))?;
    match value.into_string() {
        Ok(text) if !text.is_empty() => Ok(text),
        _ => Err(Failure::usage(format!(
            "{option} takes a name; `cargo xtask migrate --help` shows how it is called"
        ))),
    }
}

/// The action and the options of `pg`. `guard` is not for people: `pg` calls it itself.
fn parse_pg(parser: &mut Parser) -> Result<Command, Failure> {
    let (mut action, mut version) = (None, None);
    while let Some(argument) = next(parser, "pg")? {
        match argument {
            Long("help") | Short('h') => return Ok(Command::Help(help("pg"))),
            Long("version") => {
                let value = parser.value().map_err(|error| misused(&error, "pg"))?;
                let major = value.to_string_lossy().parse().map_err(|error| {
                    Failure::usage(format!("{error}, as in `cargo xtask pg up --version 18`"))
                })?;
                version = Some(major);
            }
            Value(word) if action.is_none() => {
                action = Some(match word.to_str() {
                    Some("up") => pg::Action::Up,
                    Some("down") => pg::Action::Down,
                    Some("url") => pg::Action::Url,
                    Some("guard") => pg::Action::Guard,
                    _ => return Err(misused(&Value(word).unexpected(), "pg")),
                });
            }
            other => return Err(misused(&other.unexpected(), "pg")),
        }
    }
    let action = action.ok_or_else(|| {
        Failure::usage(
            "`pg` is called as `cargo xtask pg up`, `cargo xtask pg down` or `cargo xtask pg url`",
        )
    })?;
    Ok(Command::Pg(pg::Options { action, version }))
}

/// The options of `mutants`.
fn parse_mutants(parser: &mut Parser) -> Result<Command, Failure> {
    let mut options = mutants::Options::default();
    while let Some(argument) = next(parser, "mutants")? {
        match argument {
            Long("help") | Short('h') => return Ok(Command::Help(help("mutants"))),
            Long("shard") => {
                let value = parser
                    .value()
                    .and_then(lexopt::ValueExt::string)
                    .map_err(|error| misused(&error, "mutants"))?;
                options.shard = Some(value);
            }
            Value(files) if options.files.is_none() => {
                let files = files.string().map_err(|error| misused(&error, "mutants"))?;
                options.files = Some(files);
            }
            other => return Err(misused(&other.unexpected(), "mutants")),
        }
    }
    Ok(Command::Mutants(options))
}

/// The options of `sim`, which reads them itself.
fn parse_sim(parser: &mut Parser) -> Result<Command, Failure> {
    let arguments: Vec<_> = match parser.raw_args() {
        Ok(arguments) => arguments.collect(),
        Err(error) => return Err(misused(&error, "sim")),
    };
    if arguments
        .iter()
        .any(|argument| argument == "--help" || argument == "-h")
    {
        return Ok(Command::Help(help("sim")));
    }
    Ok(Command::Sim(arguments))
}

/// What `bench` measures, and its options.
fn parse_bench(parser: &mut Parser) -> Result<Command, Failure> {
    const NUMBERS: [&str; 3] = ["seconds", "rounds", "concurrency"];
    let (mut what, mut peer, mut numbers) = (None, false, Vec::new());
    while let Some(argument) = next(parser, "bench")? {
        if let Long(name) = argument
            && let Some(name) = NUMBERS.into_iter().find(|known| *known == name)
        {
            let number = parser.value().and_then(|value| value.parse());
            numbers.push((name, number.map_err(|error| misused(&error, "bench"))?));
            continue;
        }
        match argument {
            Long("help") | Short('h') => return Ok(Command::Help(help("bench"))),
            Long("peer") => peer = true,
            Value(word) if what.is_none() && (word == "inline" || word == "raw") => {
                what = Some(word);
            }
            other => return Err(misused(&other.unexpected(), "bench")),
        }
    }
    let what = match what {
        Some(word) if word == "inline" => bench::What::Inline { peer },
        Some(_) if !peer => bench::What::Raw,
        _ => {
            return Err(Failure::usage(
                "`bench` is called as `cargo xtask bench inline`, `cargo xtask bench inline --peer` or `cargo xtask bench raw`",
            ));
        }
    };
    Ok(Command::Bench(bench::Options { what, numbers }))
}

/// The next argument of `command`.
fn next<'a>(parser: &'a mut Parser, command: &str) -> Result<Option<lexopt::Arg<'a>>, Failure> {
    parser.next().map_err(|error| misused(&error, command))
}

/// A wrong call, with the command that shows the right one.
fn misused(error: &lexopt::Error, command: &str) -> Failure {
    // A value given to an option that takes none may be a mistyped URL: lexopt's own text would repeat it.
    let what = match error {
        lexopt::Error::UnexpectedValue { option, .. } => format!("`{option}` takes no value"),
        other => other.to_string(),
    };
    let space = if command.is_empty() { "" } else { " " };
    Failure::usage(format!(
        "{what}; `cargo xtask{space}{command} --help` shows how it is called"
    ))
}

/// The list of commands.
fn overview() -> String {
    let mut text = String::from("Usage: cargo xtask COMMAND [OPTIONS]\n\nCommands:\n");
    for (name, options, about) in COMMANDS {
        let call = format!("{name} {options}");
        let line = about.lines().next().unwrap_or_default();
        let _ = writeln!(text, "  {call:<30} {line}");
    }
    text.push_str("\n`cargo xtask COMMAND --help` says more.");
    text
}

/// The help of one command.
fn help(command: &str) -> String {
    let known = COMMANDS.iter().find(|(name, ..)| *name == command);
    known.map_or_else(overview, |(name, options, about)| {
        format!("Usage: cargo xtask {name} {options}\n\n{about}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, Failure> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn without_a_command_the_list_of_commands_is_shown() {
        for line in ["", "--help", "-h", "help"] {
            let Ok(Command::Help(text)) = parsed(line) else {
                panic!("`{line}` did not give the help");
            };
            for (name, _, about) in COMMANDS {
                let first = about.lines().next().expect("every command has a line");
                assert!(text.contains(name) && text.contains(first), "{text}");
            }
        }
    }

    #[test]
    fn every_command_has_a_help_of_its_own() {
        for (name, options, _) in COMMANDS {
            let usage = format!("Usage: cargo xtask {name} {options}");
            let Ok(Command::Help(text)) = parsed(&format!("{name} --help")) else {
                panic!("`{name} --help` did not give the help");
            };
            assert!(text.starts_with(&usage), "{text}");
        }
    }

    #[test]
    fn options_are_read_in_any_order() {
        let expected = Command::Test(test::Options {
            full: true,
            filter: Some("queue".to_owned()),
        });
        assert_eq!(parsed("test --full queue").as_ref(), Ok(&expected));
        assert_eq!(parsed("test queue --full").as_ref(), Ok(&expected));
        assert_eq!(
            parsed("ci --skip-tests"),
            Ok(Command::Ci(ci::Options { skip_tests: true }))
        );
        assert_eq!(
            parsed("migrate --database-url=sqlite:shop.db"),
            Ok(Command::Migrate(migrate::Options {
                database_url: Some("sqlite:shop.db".into()),
                ..migrate::Options::default()
            }))
        );
        assert_eq!(
            parsed("migrate --data-source sqlite:shop.db"),
            Ok(Command::Migrate(migrate::Options {
                database_url: Some("sqlite:shop.db".into()),
                data_source: true,
                ..migrate::Options::default()
            }))
        );
        assert_eq!(
            parsed("migrate --app-role shop --dry-run --schema=orders --create-database"),
            Ok(Command::Migrate(migrate::Options {
                database_url: None,
                schema: Some("orders".to_owned()),
                app_role: Some("shop".to_owned()),
                data_source: false,
                create_database: true,
                mode: Mode::DryRun,
            }))
        );
        assert_eq!(
            parsed("mutants --shard 3/9 a/**"),
            Ok(Command::Mutants(mutants::Options {
                shard: Some("3/9".to_owned()),
                files: Some("a/**".to_owned()),
            }))
        );
        let expected = Command::Pg(pg::Options {
            action: pg::Action::Up,
            version: "17".parse().ok(),
        });
        assert_eq!(parsed("pg up --version 17").as_ref(), Ok(&expected));
        assert_eq!(parsed("pg --version=17 up").as_ref(), Ok(&expected));
        assert_eq!(
            parsed("pg down"),
            Ok(Command::Pg(pg::Options {
                action: pg::Action::Down,
                version: None
            }))
        );
        assert_eq!(
            parsed("bench --rounds 3 inline --peer --seconds=2"),
            Ok(Command::Bench(bench::Options {
                what: bench::What::Inline { peer: true },
                numbers: vec![("rounds", 3), ("seconds", 2)],
            }))
        );
    }

    #[test]
    fn a_wrong_call_is_a_usage_error_that_says_where_to_look() {
        let calls = [
            "tset",
            "--full",
            "test one two",
            "test --ful",
            "ci now",
            "migrate --database-url",
            "migrate --schema",
            "migrate --schema=",
            "migrate --check --dry-run",
            "migrate --dry-run --check",
            "pg",
            "pg --version 17",
            "pg up down",
            "pg start",
            "pg up --version",
            "pg up --version 12",
            "pg url --version new",
            "mutants --shard",
            "mutants a b",
            "bench",
            "bench --peer",
            "bench raw --peer",
            "bench inline raw",
            "bench inline --rounds",
            "bench inline --rounds many",
        ];
        for call in calls {
            let Err(Failure::Usage(text)) = parsed(call) else {
                panic!("`{call}` was accepted");
            };
            assert!(text.contains("cargo xtask"), "{text}");
        }
    }

    #[test]
    fn a_url_in_the_wrong_place_is_not_repeated() {
        let calls = [
            "migrate postgres://ann:hunter2@db/shop",
            "migrate --help=postgres://ann:hunter2@db/shop",
            "ci --skip-tests=postgres://ann:hunter2@db/shop",
            "migrate --databaseurl=postgres://ann:hunter2@db/shop",
            "migrate --database-url sqlite:a --full=postgres://ann:hunter2@db/shop",
        ];
        for call in calls {
            let text = match parsed(call) {
                Err(failure) => failure.to_string(),
                Ok(Command::Help(text)) => text,
                Ok(other) => panic!("`{call}` was accepted as {other:?}"),
            };
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}
