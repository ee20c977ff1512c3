//! What is to be done to a database, as statements in their order: found by comparing catalogs, before anything is changed.

use crate::text::{SchemaName, quote};

use super::{
    alter::{self, retire},
    catalog::Catalog,
    target::{self, MIGRATIONS, Made, VERSION},
};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The statement, for the schema in use, without a semicolon at its end.
    pub(super) sql: String,
    pub(super) how: How,
}

/// How a step is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// In one transaction with its neighbours of this kind.
    Together,
    /// By itself, outside a transaction: the table stays in use meanwhile.
    Alone,
    /// [`FILL`], in portions.
    Filling,
}

/// Ends the rows of SDKs that did not write when a workflow ended yet: the time of their last change is it.
pub(super) const FILL: &str = "UPDATE dbos.workflow_status
SET completed_at = updated_at
WHERE completed_at IS NULL
  AND status IN ('SUCCESS', 'ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED')";

/// What the database was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FoundSchema {
    /// There were no system tables.
    Nothing,
    /// The system tables of an SDK that does not number them as DBOS does.
    Unnumbered,
    /// The system tables of this version.
    Version(i64),
}

impl FoundSchema {
    /// Whether nothing but our own objects may be added.
    pub(super) fn is_newer(self) -> bool {
        matches!(self, Self::Version(version) if version > VERSION)
    }

    /// Whether it is to become [`VERSION`].
    pub(super) fn is_older(self) -> bool {
        !matches!(self, Self::Version(version) if version >= VERSION)
    }
}

/// What is to be done to what was found, in the order of the fields.
pub(super) struct Plan {
    pub(super) found: FoundSchema,
    pub(super) changes: Vec<Step>,
    pub(super) grants: Vec<Step>,
    /// The row that says that all is done.
    pub(super) version: Vec<Step>,
}

impl Plan {
    pub(super) fn steps(&self) -> impl Iterator<Item = &Step> {
        let ends = self.grants.iter().chain(&self.version);
        self.changes.iter().chain(ends)
    }

    /// Whether anything but a role's rights is missing.
    pub(super) fn changes_tables(&self) -> bool {
        !self.changes.is_empty() || !self.version.is_empty()
    }
}

/// What the plan is made for.
pub(super) struct Planner<'a> {
    pub(super) schema: &'a SchemaName,
    pub(super) listen_notify: bool,
    /// Whether the schema is there.
    pub(super) schema_exists: bool,
    pub(super) state: FoundSchema,
    pub(super) found: &'a Catalog,
}

impl Planner<'_> {
    /// Everything, in a schema that has none of it.
    pub(super) fn make_all(&self) -> Vec<Step> {
        let mut steps = Steps::new(self.schema);
        if !self.schema_exists {
            let schema = self.schema.quoted();
            steps.exact(How::Together, format!("CREATE SCHEMA {schema}"));
        }
        for made in target::tables()
            .chain(target::indexes())
            .chain(target::functions())
        {
            steps.together(made.sql);
        }
        self.notify(&mut steps);
        steps.0
    }

    /// What is missing of our own.
    pub(super) fn make_own(&self, wanted: &Catalog) -> Vec<Step> {
        let mut steps = Steps::new(self.schema);
        for table in target::tables().filter(|made| target::OWN_TABLES.contains(&made.name)) {
            match self.found.tables.get(table.name) {
                None => steps.together(table.sql),
                Some(found) => {
                    alter::columns(&mut steps, table.name, found, &wanted.tables[table.name]);
                }
            }
        }
        steps.0
    }

    /// All that makes what was found into what is wanted. First what takes no longer than a moment, then what takes its time.
    pub(super) fn converge(&self, wanted: &Catalog) -> Vec<Step> {
        let mut steps = Steps::new(self.schema);
        if self.state.is_older() {
            self.retire_tables(&mut steps);
            self.retire_triggers(&mut steps);
        }
        for made in target::tables() {
            match self.found.tables.get(made.name) {
                None => make_table(&mut steps, made),
                Some(found) => {
                    let wanted = &wanted.tables[made.name];
                    alter::columns(&mut steps, made.name, found, wanted);
                    alter::foreign_keys(&mut steps, made.name, found, wanted);
                }
            }
        }
        self.functions(&mut steps, wanted);
        self.notify(&mut steps);
        if self.state.is_older() && self.found.tables.contains_key("workflow_status") {
            steps.push(How::Filling, FILL);
        }
        for index in target::indexes() {
            self.index(&mut steps, wanted, index);
        }
        for (table, found) in &self.found.tables {
            if let Some(wanted) = wanted.tables.get(table) {
                alter::keys(&mut steps, table, found, wanted);
            }
        }
        if self.state.is_older() {
            self.retire_indexes(&mut steps);
        }
        steps.0
    }

    /// The row that says that all is done.
    pub(super) fn version(&self) -> Vec<Step> {
        let mut steps = Steps::new(self.schema);
        if self.state.is_older() {
            steps.together(format!("DELETE FROM dbos.{MIGRATIONS}"));
            steps.together(format!(
                "INSERT INTO dbos.{MIGRATIONS} (version) VALUES ({VERSION})"
            ));
        }
        steps.0
    }

    fn functions(&self, steps: &mut Steps<'_>, wanted: &Catalog) {
        for (name, arguments) in &self.found.functions {
            let ours = target::CALLED.contains(&name.as_str());
            if ours
                && !wanted
                    .functions
                    .contains(&(name.clone(), arguments.clone()))
            {
                let (schema, name) = (self.schema.rendered(), quote(name));
                steps.exact(
                    How::Together,
                    format!("DROP FUNCTION {schema}.{name}({arguments})"),
                );
            }
        }
        for made in target::functions() {
            let mut forms = wanted
                .functions
                .iter()
                .filter(|(name, _)| name == made.name);
            if self.state.is_older() || !forms.all(|form| self.found.functions.contains(form)) {
                steps.together(made.sql);
            }
        }
    }

    fn notify(&self, steps: &mut Steps<'_>) {
        let trigger = (
            "notifications".to_owned(),
            target::NOTIFY_TRIGGER.to_owned(),
        );
        let there = self.found.triggers.contains(&trigger);
        let function = (target::NOTIFY_FUNCTION.to_owned(), String::new());
        let known = self.found.functions.contains(&function);
        // Where another process has them it may rely on them: they are never taken away.
        let wanted = self.listen_notify && !there;
        if wanted || (known && self.state.is_older()) {
            for (number, sql) in target::notify().enumerate() {
                if number == 0 || wanted {
                    steps.together(sql);
                }
            }
        }
    }

    fn index(&self, steps: &mut Steps<'_>, wanted: &Catalog, index: Made) {
        let table = target::table_of(index);
        let Some(there) = self.found.tables.get(table) else {
            return;
        };
        let wanted = &wanted.tables[table].indexes[index.name];
        let name = quote(index.name);
        match there.indexes.get(index.name) {
            Some(found) if found.valid && found.definition == wanted.definition => return,
            Some(found) if found.of_constraint => {
                steps.together(format!("ALTER TABLE dbos.{table} DROP CONSTRAINT {name}"));
            }
            Some(_) => steps.push(
                How::Alone,
                format!("DROP INDEX CONCURRENTLY IF EXISTS dbos.{name}"),
            ),
            None => {}
        }
        steps.exact(How::Alone, target::concurrently(index, self.schema));
    }

    /// Tables that nothing reads any more: without rows they go, with rows they are kept under a name of ours.
    fn retire_tables(&self, steps: &mut Steps<'_>) {
        for (table, column) in target::OLD_TABLES {
            let theirs = self
                .found
                .tables
                .get(table)
                .is_some_and(|found| found.kind == "r" && found.columns.contains_key(column));
            let kept = table == target::SQLX_LEDGER && self.found.tables.contains_key(MIGRATIONS);
            if theirs && !kept {
                steps.together(retire(table));
            }
        }
    }

    fn retire_triggers(&self, steps: &mut Steps<'_>) {
        for (trigger, table, function) in target::OLD_TRIGGERS {
            if self
                .found
                .triggers
                .contains(&(table.to_owned(), trigger.to_owned()))
            {
                steps.together(format!("DROP TRIGGER {trigger} ON dbos.{table}"));
            }
            if self
                .found
                .functions
                .contains(&(function.to_owned(), String::new()))
            {
                steps.together(format!("DROP FUNCTION dbos.{function}()"));
            }
        }
    }

    /// After the indexes that replace them: a constraint is never without one that keeps it.
    fn retire_indexes(&self, steps: &mut Steps<'_>) {
        for name in target::OLD_INDEXES {
            for (table, found) in &self.found.tables {
                match found.indexes.get(name) {
                    Some(index) if index.of_constraint => {
                        let (schema, table) = (self.schema.rendered(), quote(table));
                        steps.exact(
                            How::Together,
                            format!("ALTER TABLE {schema}.{table} DROP CONSTRAINT {name}"),
                        );
                    }
                    Some(_) => steps.push(
                        How::Alone,
                        format!("DROP INDEX CONCURRENTLY IF EXISTS dbos.{name}"),
                    ),
                    None => {}
                }
            }
        }
    }
}

/// A new table has no rows: its indexes are made at once.
fn make_table(steps: &mut Steps<'_>, table: Made) {
    steps.together(table.sql);
    for index in target::indexes().filter(|index| target::table_of(*index) == table.name) {
        steps.together(index.sql);
    }
}

/// Steps in the making, each rendered for the schema.
pub(super) struct Steps<'a>(Vec<Step>, &'a SchemaName);

impl<'a> Steps<'a> {
    fn new(schema: &'a SchemaName) -> Self {
        Self(Vec::new(), schema)
    }

    pub(super) fn together(&mut self, sql: impl AsRef<str>) {
        self.push(How::Together, sql);
    }

    /// A statement that is written for the schema `dbos`, and has nothing in it that a database gave.
    pub(super) fn push(&mut self, how: How, sql: impl AsRef<str>) {
        self.exact(how, self.1.render(sql.as_ref()));
    }

    /// A statement as it is to be run.
    pub(super) fn exact(&mut self, how: How, sql: String) {
        self.0.push(Step { sql, how });
    }

    /// The schema, as such a statement takes it.
    pub(super) fn schema(&self) -> String {
        self.1.rendered()
    }
}
