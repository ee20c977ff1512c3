//! Rows whose payloads live in the status row's old columns: read, claimed and completed like any other.

use durable_core::{
    payload::{Encoded, Ended, Outcome},
    state::Status,
};

use super::{
    Context,
    context::given,
    make::{self, failure, json, owner, success},
};
use crate::raw::{Payloads, RawWorkflow};

cases! { "legacy":
    an_input_in_the_status_row_is_read,
    an_outcome_in_the_status_row_is_read,
    an_outcome_in_another_format_is_read,
    a_payload_table_goes_before_the_status_row,
    the_outcome_of_an_old_row_is_read_back,
}

async fn put_old(t: &Context, id: &str, status: Status, outcome: Option<Outcome>) {
    let mut raw = RawWorkflow::new(t.raw_row(id).await);
    raw.row.status = status;
    raw.input = Some("\"old input\"".into());
    raw.outcome = outcome;
    raw.payloads = Payloads::Columns;
    t.database.put_workflow(&raw).await;
}

async fn an_input_in_the_status_row_is_read(t: Context) {
    put_old(&t, "w", Status::Enqueued, None).await;
    let claimed = t.worker("worker").await.claim(&["t"]).await;
    let input = Some(json("\"old input\""));
    assert_eq!(claimed[0].input, input);
    let found = given(t.db.claimed_by(&["t".into()]).await);
    assert_eq!(found[0].input, input);
    let adopted = t
        .worker("survivor")
        .await
        .adopt("w", Some("t"), "new")
        .await;
    assert_eq!(adopted[0].input, input);
}

async fn an_outcome_in_the_status_row_is_read(t: Context) {
    for (id, status, outcome) in [
        ("good", Status::Success, success("\"old\"")),
        ("bad", Status::Error, failure("\"old\"")),
    ] {
        put_old(&t, id, status, Some(outcome.clone())).await;
        assert_eq!(t.ended(id).await, Some(Ended::Outcome(outcome)));
    }
}

async fn an_outcome_in_another_format_is_read(t: Context) {
    for payloads in [Payloads::Columns, Payloads::Tables] {
        for format in [Some("py_pickle"), None] {
            let id = format!("{payloads:?} {format:?}");
            let mut raw = RawWorkflow::new(t.raw_row(&id).await);
            raw.row.status = Status::Success;
            raw.row.format = format.map(Into::into);
            let value = Encoded {
                text: "gAROLg==".into(),
                format: raw.row.format.clone(),
            };
            raw.outcome = Some(Outcome::Success(value.clone()));
            raw.payloads = payloads;
            t.database.put_workflow(&raw).await;
            let ended = Ended::Outcome(Outcome::Success(value));
            assert_eq!(t.ended(&id).await, Some(ended));
            assert_eq!(t.row(&id).await, raw.row);
        }
    }
}

async fn a_payload_table_goes_before_the_status_row(t: Context) {
    put_old(&t, "w", Status::Enqueued, None).await;
    let mut newer = RawWorkflow::new(t.raw_row("w").await);
    newer.input = Some("\"new input\"".into());
    t.database.put_workflow(&newer).await;
    let mut older = newer.clone();
    older.input = Some("\"old input\"".into());
    older.payloads = Payloads::Columns;
    t.database.put_workflow(&older).await;
    let claimed = t.worker("worker").await.claim(&["t"]).await;
    assert_eq!(claimed[0].input, Some(json("\"new input\"")));
}

async fn the_outcome_of_an_old_row_is_read_back(t: Context) {
    put_old(&t, "w", Status::Enqueued, None).await;
    t.worker("worker").await.claim_one("t").await;
    t.finish(&owner("w", "t"), &success("\"new\"")).await;
    let row = t.row("w").await;
    assert_eq!(row.format, Some(make::FORMAT.into()));
    assert_eq!(t.ended("w").await, Some(Ended::Outcome(success("\"new\""))));
}
