//! What the call asks for.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use examples::database::Database;

const USAGE: &str = "\
quickstart: fulfils an order, durably

    --order ID           the order's id, which is its idempotency key [order-1001]
    --db FILE|URL        the SQLite file, or the URL of a Postgres database, if built with pg-sqlx or pg-diesel
                         [DATABASE_URL if that is set; else quickstart.db]
    --driver NAME        sqlx or diesel, if built with both [sqlx]
    --effects FILE       what the steps did to the world [quickstart.effects]
    --crash-after STEP   kill this process right after STEP is recorded, for example \"charge card\"
    --pace MS            how long each step takes, in milliseconds [700]
    --help               this text";

/// The steps, by their names.
const STEPS: [&str; 5] = [
    "reserve stock",
    "charge card",
    "pack parcel",
    "hand to carrier",
    "thank customer",
];

pub(super) struct Options {
    pub(super) order: String,
    pub(super) database: Database,
    pub(super) effects: PathBuf,
    pub(super) crash_after: Option<String>,
    pub(super) pace: Duration,
}

impl Options {
    /// What the call asks for. Errors: how to exit, as the usage has been printed.
    pub(super) fn parse() -> Result<Self, ExitCode> {
        match Self::read(std::env::args().skip(1)) {
            Ok(Some(options)) => Ok(options),
            Ok(None) => {
                println!("{USAGE}");
                Err(ExitCode::SUCCESS)
            }
            Err(wrong) => {
                eprintln!("quickstart: {wrong}\n\n{USAGE}");
                Err(ExitCode::from(2))
            }
        }
    }

    /// The options; `None` for `--help`. Errors: what is wrong with them.
    fn read(mut given: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let (mut db, mut driver) = (None, None);
        let mut options = Self {
            order: "order-1001".to_owned(),
            database: Database::File(PathBuf::new()),
            effects: "quickstart.effects".into(),
            crash_after: None,
            pace: Duration::from_millis(700),
        };
        while let Some(name) = given.next() {
            if name == "--help" || name == "-h" {
                return Ok(None);
            }
            let mut value = || given.next().ok_or_else(|| format!("{name} needs a value"));
            match name.as_str() {
                "--order" => options.order = value()?,
                "--db" => db = Some(value()?),
                "--driver" => driver = Some(one_of(&["sqlx", "diesel"], "driver", value()?)?),
                "--effects" => options.effects = value()?.into(),
                "--crash-after" => options.crash_after = Some(one_of(&STEPS, "step", value()?)?),
                "--pace" => {
                    let value = value()?;
                    let ms = value
                        .parse()
                        .map_err(|_| format!("--pace {value:?} is no number of milliseconds"))?;
                    options.pace = Duration::from_millis(ms);
                }
                _ => return Err(format!("{name} is unknown")),
            }
        }
        options.database = Database::choose("quickstart.db", db, driver.as_deref())?;
        Ok(Some(options))
    }
}

/// The value, if it is one of these.
fn one_of(known: &[&str], what: &str, value: String) -> Result<String, String> {
    if known.contains(&&*value) {
        return Ok(value);
    }
    let known: Vec<String> = known.iter().map(|name| format!("{name:?}")).collect();
    Err(format!(
        "there is no {what} {value:?}; there is {}",
        known.join(", ")
    ))
}
