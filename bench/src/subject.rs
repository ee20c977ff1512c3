//! What is measured.

use std::{env, io, path::PathBuf, str::FromStr};

use tokio::process::Command;

use crate::load::Trouble;

/// The command that this program calls itself with.
pub(crate) const MEASURE: &str = "measure";

/// What this program measures by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driven {
    InlineSqlx,
    InlineDiesel,
    RawSqlx,
    RawDiesel,
}

impl Driven {
    const ALL: [Self; 4] = [
        Self::InlineSqlx,
        Self::InlineDiesel,
        Self::RawSqlx,
        Self::RawDiesel,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::InlineSqlx => "durable, sqlx",
            Self::InlineDiesel => "durable, diesel",
            Self::RawSqlx => "lane alone, sqlx",
            Self::RawDiesel => "lane alone, diesel",
        }
    }
}

impl FromStr for Driven {
    type Err = Trouble;

    fn from_str(name: &str) -> Result<Self, Trouble> {
        let known = Self::ALL.into_iter().find(|driven| driven.name() == name);
        known.ok_or_else(|| format!("{name:?} cannot be measured").into())
    }
}

/// Something to measure.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    program: Program,
    /// The place, among all that is measured, of what this is compared with.
    pub(crate) base: Option<usize>,
}

#[derive(Clone, Debug)]
enum Program {
    Own(Driven),
    Peer(PathBuf),
}

impl Subject {
    /// The engine through both drivers, compared with the peer, if its program is given.
    pub(crate) fn inline(peer: Option<PathBuf>) -> Vec<Self> {
        let base = peer.is_some().then_some(0);
        let peer = peer.map(|program| Self {
            program: Program::Peer(program),
            base: None,
        });
        let own = [Driven::InlineSqlx, Driven::InlineDiesel];
        let own = own.map(|driven| Self {
            program: Program::Own(driven),
            base,
        });
        peer.into_iter().chain(own).collect()
    }

    /// The lane alone on both drivers, and the engine compared with it.
    pub(crate) fn raw() -> Vec<Self> {
        let subject = |driven, base| Self {
            program: Program::Own(driven),
            base,
        };
        vec![
            subject(Driven::RawSqlx, None),
            subject(Driven::InlineSqlx, Some(0)),
            subject(Driven::RawDiesel, None),
            subject(Driven::InlineDiesel, Some(2)),
        ]
    }

    pub(crate) fn name(&self) -> &'static str {
        match self.program {
            Program::Own(driven) => driven.name(),
            Program::Peer(_) => "dbos 0.5.0",
        }
    }

    /// The program that measures it, to be told the load.
    pub(crate) fn command(&self) -> io::Result<Command> {
        Ok(match &self.program {
            Program::Own(driven) => {
                let mut command = Command::new(env::current_exe()?);
                command.args([MEASURE, driven.name()]);
                command
            }
            Program::Peer(program) => Command::new(program),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_found_by_its_name() {
        for driven in Driven::ALL {
            assert_eq!(driven.name().parse::<Driven>().unwrap(), driven);
        }
        assert!("durable".parse::<Driven>().is_err());
    }

    #[test]
    fn what_something_is_compared_with_is_measured_too() {
        let peer = || Some(PathBuf::from("peer"));
        for subjects in [
            Subject::inline(peer()),
            Subject::inline(None),
            Subject::raw(),
        ] {
            for subject in &subjects {
                let base = subject.base.map(|base| &subjects[base]);
                assert!(base.is_none_or(|base| base.base.is_none()), "{subject:?}");
            }
        }
    }
}
