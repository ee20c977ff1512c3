//! The warnings about workflows on queues that no living executor serves.

use durable::{Error, prelude::*, state::Status};

use crate::{
    capture::Captured,
    support::{crash, on_every_backend, until, until_status},
};

#[durable::workflow]
async fn mail(_ctx: Ctx, to: String) -> Result<String, Error> {
    Ok(to)
}

#[durable::workflow]
async fn parent(ctx: Ctx) -> Result<(), Error> {
    ctx.start(mail, "child".to_owned()).queue("mail").await?;
    Ok(())
}

fn warnings(captured: &Captured) -> Vec<String> {
    let mut lines = captured.lines();
    lines.retain(|line| line.contains("on queue"));
    lines
}

/// Waits until so many are there: a start looks in a task of its own.
async fn until_warned(captured: &Captured, count: usize) -> Vec<String> {
    until("a warning", || async {
        let lines = warnings(captured);
        (lines.len() >= count).then_some(lines)
    })
    .await
}

on_every_backend! {
    async fn a_start_onto_a_queue_that_nobody_serves_is_a_warning(world) {
        let captured = Captured::here();
        let app = world.builder().await.workflow(mail).launch().await.unwrap();
        app.start(mail, "a".to_owned()).id("a").queue("mail").await.unwrap();
        let lines = until_warned(&captured, 1).await;
        for part in [
            r#"workflow "a" waits on queue "mail""#,
            "no living executor",
            r#"`.queue("mail")`"#,
        ] {
            assert!(lines[0].contains(part), "{part} is not in {}", lines[0]);
        }
        // Within the minute the same queue is not looked at again; another one is.
        app.start(mail, "b".to_owned()).queue("mail").await.unwrap();
        app.start(mail, "c".to_owned()).id("c").queue("print").await.unwrap();
        let lines = until_warned(&captured, 2).await;
        assert!(lines.len() == 2 && lines[1].contains(r#""c""#), "{lines:#?}");
        app.shutdown(Duration::ZERO).await;

        // A launch of that version tells it too, until somebody serves the queue.
        captured.clear();
        let builder = world.builder().await.workflow(mail).queue("print");
        let app = builder.launch().await.unwrap();
        let lines = warnings(&captured);
        assert!(
            lines.len() == 1
                && lines[0].contains(r#"2 workflows of version 1 wait on queue "mail""#),
            "{lines:#?}"
        );
        assert_eq!(app.report().unserved.len(), 1);
        until_status(&app, "c", Status::Success).await;
        let builder = world.builder().await.workflow(mail).queue("mail");
        let worker = builder.launch().await.unwrap();
        assert_eq!(worker.report().unserved, []);
        until_status(&app, "a", Status::Success).await;
    }

    async fn a_producer_of_another_version_is_told_which_one_is_served(world) {
        let captured = Captured::here();
        let builder = world.builder().await.version("whole").workflow(mail);
        let worker = builder.queue("mail").launch().await.unwrap();
        let builder = world.builder().await.version("part").workflow(mail);
        let producer = builder.launch().await.unwrap();
        producer.start(mail, "a".to_owned()).id("a").queue("mail").await.unwrap();
        let lines = until_warned(&captured, 1).await;
        for part in [
            r#"workflow "a" waits on queue "mail" for an executor of version part"#,
            "now run version whole",
            "`.version(…)`",
        ] {
            assert!(lines[0].contains(part), "{part} is not in {}", lines[0]);
        }
        crash(producer).await;
        // The other side tells it as well.
        crash(worker).await;
        let builder = world.builder().await.version("whole").workflow(mail);
        let worker = builder.queue("mail").launch().await.unwrap();
        assert_eq!(worker.report().stranded[0].version, "part");
        assert_eq!(worker.report().unserved, [], "it is of no version that runs here");
    }

    async fn what_is_served_anywhere_is_no_warning(world) {
        let captured = Captured::here();
        let builder = world.builder().await.workflow(mail).workflow(parent);
        let worker = builder.queue("mail").launch().await.unwrap();
        let builder = world.builder().await.workflow(mail).workflow(parent);
        let producer = builder.launch().await.unwrap();
        let started = producer.start(mail, "a".to_owned()).queue("mail").await.unwrap();
        assert_eq!(started.result().await.unwrap(), "a");
        // Another application has executors of its own, of which nothing is known here.
        let there = producer.start(mail, "a".to_owned()).queue("elsewhere");
        there.application("bank").await.unwrap();
        // The look of the third is the last that was begun.
        producer.start(mail, "a".to_owned()).id("c").queue("print").await.unwrap();
        let lines = until_warned(&captured, 1).await;
        assert!(lines.len() == 1 && lines[0].contains(r#""c""#), "{lines:#?}");
        worker.shutdown(Duration::ZERO).await;

        // A child is a start like others.
        let builder = world.builder().await.workflow(mail).workflow(parent);
        let app = builder.launch().await.unwrap();
        captured.clear();
        app.start(parent, ()).await.unwrap().result().await.unwrap();
        let lines = until_warned(&captured, 1).await;
        assert!(lines[0].contains(r#"on queue "mail""#), "{lines:#?}");
    }
}
