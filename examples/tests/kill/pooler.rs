//! The example `pooler`: what is met behind each mode.

use durable_testkit::pg::TestDb;

use crate::process;

#[tokio::test(flavor = "multi_thread")]
async fn what_to_change_is_told_behind_every_pooler_that_does_not_fit() {
    let database = TestDb::<durable::pg_sqlx::SqlxDriver>::empty().await;
    let child = process::start_with("pooler", &[("DATABASE_URL", database.url())]);
    let printed = process::finish(child, std::time::Duration::from_secs(60));
    let paragraphs: Vec<&str> = printed.trim().split("\n\n").collect();
    let wanted = [
        ("directly:", "a workflow ran: hello, world"),
        (
            "pool_mode = session, default_pool_size = 20:",
            "a workflow ran: hello, world",
        ),
        (
            "pool_mode = session, default_pool_size = 1:",
            "DURABLE_POOL_TOO_SMALL",
        ),
        ("pool_mode = transaction", "Set `pool_mode = session`"),
        ("pool_mode = statement", "a pooler in statement mode"),
    ];
    assert_eq!(paragraphs.len(), wanted.len(), "{printed}");
    for (paragraph, (begins, words)) in paragraphs.iter().zip(wanted) {
        assert!(
            paragraph.starts_with(begins) && paragraph.contains(words),
            "{printed}"
        );
    }
}
