//! Listing workflows for exports.

use durable_core::{
    db::{Listed, NewWorkflow},
    ids::WorkflowId,
    payload::Encoded,
};

use super::{
    Context,
    context::given,
    make::{self, here, queued},
};

cases! { "listing":
    all_workflows_are_listed_once_in_pages,
    a_listed_workflow_is_its_row_and_its_input,
    workflows_of_other_applications_are_not_listed,
}

async fn page(t: &Context, after: Option<&WorkflowId>, limit: usize) -> Vec<Listed> {
    given(t.db.list(make::APPLICATION, after, limit).await)
}

async fn all_workflows_are_listed_once_in_pages(t: Context) {
    assert_eq!(page(&t, None, 3).await, []);
    t.one_of_each_status().await;
    for id in ["a", "B", "c-1", "c 2", "\u{e9}"] {
        t.insert(queued(id)).await;
    }
    let whole = page(&t, None, 100).await;
    assert_eq!(whole.len(), 12, "{whole:?}");
    let mut paged = Vec::new();
    loop {
        let after = paged.last().map(|listed: &Listed| &listed.row.id);
        let next = page(&t, after, 5).await;
        let last = next.len() < 5;
        paged.extend(next);
        if last {
            break;
        }
    }
    assert_eq!(paged, whole);
}

async fn a_listed_workflow_is_its_row_and_its_input(t: Context) {
    let new = here("w");
    let input: Encoded = new.input.clone();
    t.insert(new).await;
    let expected = Listed {
        row: t.row("w").await,
        input: Some(input),
    };
    assert_eq!(page(&t, None, 1).await, [expected]);
}

async fn workflows_of_other_applications_are_not_listed(t: Context) {
    let application = "bank".to_owned();
    t.insert(NewWorkflow {
        application,
        ..here("theirs")
    })
    .await;
    t.insert(here("ours")).await;
    t.raw("nobody's", |row| row.application = None).await;
    let listed = page(&t, None, 9).await;
    let mut ids: Vec<_> = listed.iter().map(|listed| listed.row.id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["nobody's", "ours"]);
    assert_eq!(
        listed
            .iter()
            .filter(|listed| listed.input.is_none())
            .count(),
        1
    );
}
