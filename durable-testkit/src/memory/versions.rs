//! Application versions.

use std::{cmp::Reverse, collections::BTreeMap};

use async_trait::async_trait;
use durable_core::{
    db::{DbError, Result, Unrunnable, VersionCount, Versions},
    ids::{Format, WorkflowKey},
    state::claim::Claimant,
};

use super::{Memory, store::Store};

#[async_trait]
impl Versions for Memory {
    async fn register_version(&self, application: &str, version: &str) -> Result<()> {
        self.commit(|store, _| {
            let known = store.versions.iter().find(|(_, name)| name == version);
            match known {
                Some((owner, _)) if owner == application => {}
                Some((owner, _)) => return Err(taken(version, owner, application)),
                None => store
                    .versions
                    .push((application.to_owned(), version.to_owned())),
            }
            Ok(())
        })
    }

    async fn stranded(&self, application: &str, version: &str) -> Result<Vec<VersionCount>> {
        Ok(self.commit(|store, _| {
            let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
            store
                .rows()
                .filter(|row| row.application.as_deref() == Some(application))
                .filter(|row| !row.status.is_terminal())
                .filter_map(|row| row.version.as_deref())
                .filter(|of_row| *of_row != version)
                .for_each(|of_row| *counts.entry(of_row).or_default() += 1);
            let mut counts: Vec<_> = counts
                .into_iter()
                .map(|(version, count)| VersionCount {
                    version: version.to_owned(),
                    count,
                })
                .collect();
            counts.sort_by_key(|entry| Reverse(entry.count));
            counts
        }))
    }

    async fn unrunnable(&self, claimant: &Claimant) -> Result<Vec<Unrunnable>> {
        Ok(self.commit(|store, _| {
            let mut counts: BTreeMap<(&WorkflowKey, Option<&Format>), u64> = BTreeMap::new();
            store
                .rows()
                .filter(|row| row.application.as_deref() == Some(&claimant.application))
                .filter(|row| !row.status.is_terminal())
                .filter(|row| {
                    row.version
                        .as_ref()
                        .is_none_or(|of_row| *of_row == claimant.version)
                })
                .filter(|row| !claimant.can_run(row))
                .for_each(|row| *counts.entry((&row.key, row.format.as_ref())).or_default() += 1);
            let mut counts: Vec<_> = counts
                .into_iter()
                .map(|((key, format), count)| Unrunnable {
                    key: key.clone(),
                    format: format.cloned(),
                    count,
                })
                .collect();
            counts.sort_by_key(|entry| Reverse(entry.count));
            counts
        }))
    }
}

fn taken(version: &str, owner: &str, application: &str) -> DbError {
    DbError::Refused(format!(
        "version {version:?} is registered by application {owner:?} and cannot be by {application:?}: version names are \
         shared by all applications of a database; put the application's name into the version's, or use another database"
    ))
}

impl Store {
    /// Whether this version is the newest registered one of its application, or none is registered.
    pub(super) fn is_latest(&self, application: &str, version: &str) -> bool {
        let newest = self.versions.iter().rev().find(|(of, _)| of == application);
        newest.is_none_or(|(_, newest)| newest == version)
    }
}
