//! Tables whose columns change under the connections of a data source.

use durable::prelude::*;

use crate::{
    bank::{Acts, perform},
    place::on_every_bank,
    support::Tally,
};

/// How often a connection is used before and after: more often than a pool has connections.
const OFTEN: usize = 12;

async fn perform_all(app: &App, when: &str) {
    let runs = (0..OFTEN).map(|n| async move {
        let id = format!("{when}-{n}");
        let handle = app.start(perform, "act".to_owned()).id(id).await.unwrap();
        handle.result().await
    });
    for result in futures_util::future::join_all(runs).await {
        assert_eq!(result, Ok(1));
    }
}

on_every_bank! {
    async fn a_column_that_has_another_type_now_fails_no_step(place) {
        if !place.is_postgres() {
            // SQLite's statements are prepared anew by themselves.
            return;
        }
        let tally = Tally::default();
        let acts = Acts::default().with("act", |mut tx| Box::pin(async move {
            tx.number("SELECT 1::bigint AS number, entry FROM ledger").await
        }));
        place.write("INSERT INTO ledger VALUES ('x', 1)").await;
        let app = place.app(&tally, &acts).await;
        perform_all(&app, "before").await;
        place.write("ALTER TABLE ledger ALTER COLUMN entry TYPE varchar").await;
        let (table, column) = match place.layout {
            Layout::System => ("workflow_status", "owner_xid"),
            Layout::Other => ("durable_transactions", "output"),
        };
        let ours = format!("ALTER TABLE dbos.{table} ALTER COLUMN {column} TYPE varchar");
        place.write(&ours).await;
        perform_all(&app, "after").await;
    }
}
