//! Workflows that have ended, and code that has changed since.

use durable::{AppBuilder, Error, prelude::*};
use durable_testkit::replay::{History, Verdict};

use crate::{Bodies, Then, has, sqlite, verify};

/// A workflow `checkout` of this body, as it is at one time; its steps have names, and give what they are told.
macro_rules! checkout {
    ($time:ident, $input:ty, $output:ty, |$ctx:ident, $order:ident| $body:block) => {
        pub mod $time {
            #[allow(unused_imports)]
            use super::*;

            #[durable::workflow(name = "checkout")]
            pub async fn checkout($ctx: Ctx, $order: $input) -> Result<$output, AnyError> $body

            pub fn register(builder: AppBuilder) -> AppBuilder {
                builder
                    .workflow(checkout)
                    .workflow(ship)
                    .workflow(deliver)
            }
        }
    };
}

#[durable::workflow]
async fn ship(_ctx: Ctx, order: u64) -> Result<u64, Error> {
    Ok(order)
}

#[durable::workflow]
async fn deliver(_ctx: Ctx, order: u64) -> Result<u64, Error> {
    Ok(order)
}

/// A step of this name that gives this value.
macro_rules! step {
    ($ctx:ident, $name:literal, $value:expr) => {{
        let bodies = $ctx.state::<Bodies>()?;
        $ctx.step($name, || async {
            bodies.ran();
            Ok::<_, Error>($value)
        })
        .await?
    }};
}

checkout!(then, u64, String, |ctx, order| {
    let seats: u64 = step!(ctx, "reserve", order + 1);
    ctx.sleep(Duration::from_millis(1)).await?;
    let paid: String = step!(ctx, "charge", format!("paid {seats}"));
    ctx.start(ship, order).await?.result().await?;
    ctx.set_event("done", &true).await?;
    Ok(paid)
});

async fn run(then: &Then) {
    for (id, order) in [("order-1", 7), ("order-2", 8)] {
        let started = then.app.start(then::checkout, order).id(id);
        let handle = started.await.expect("it starts");
        handle.result().await.expect("it ends well");
    }
}

async fn histories() -> Vec<History> {
    let then = Then::in_memory(then::register).await;
    run(&then).await;
    then.histories().await
}

#[tokio::test]
async fn the_code_that_made_them_is_safe() {
    let report = verify(&histories().await, then::register).await;
    report.assert_safe();
    assert_eq!(report.total().safe, 4);
    has(
        &report,
        &[
            "4 histories: 4 safe, 0 safe so far",
            "checkout, version 1: 2 safe",
            "ship",
        ],
    );
}

#[tokio::test]
async fn a_database_on_sqlite_is_read_as_well() {
    let (_dir, db) = sqlite().await;
    let then = Then::launch(db, then::register).await;
    run(&then).await;
    let histories = then.histories().await;
    verify(&histories, then::register).await.assert_safe();
    let report = verify(&histories, renamed::register).await;
    assert_eq!((report.total().safe, report.total().differ), (2, 2));
}

checkout!(renamed, u64, String, |ctx, order| {
    let seats: u64 = step!(ctx, "reserve", order + 1);
    ctx.sleep(Duration::from_millis(1)).await?;
    let paid: String = step!(ctx, "pay", format!("paid {seats}"));
    ctx.start(ship, order).await?.result().await?;
    ctx.set_event("done", &true).await?;
    Ok(paid)
});

#[tokio::test]
async fn a_renamed_step_is_told_with_both_names_and_its_line() {
    let report = verify(&histories().await, renamed::register).await;
    assert!(!report.is_safe());
    has(
        &report,
        &[
            "2 safe, 0 safe so far, 2 differ",
            r#""order-1" (checkout, version 1) differs at operation 3"#,
            r#"1 "reserve" (at durable/tests/replay/changes.rs:"#,
            r#"2 "DBOS.sleep" (at durable/tests/replay/changes.rs:"#,
            r#"- recorded: "charge""#,
            r#"+ the code: calls "pay" (at durable/tests/replay/changes.rs:"#,
            r#"and 1 like it: "order-2""#,
        ],
    );
}

#[tokio::test]
#[should_panic(expected = "the code does not fit its histories")]
async fn an_assertion_panics_with_the_report() {
    verify(&histories().await, renamed::register)
        .await
        .assert_safe();
}

#[tokio::test]
#[should_panic(expected = "no history was checked, so nothing shows that the code is safe")]
async fn an_assertion_without_histories_panics() {
    verify(&[], renamed::register).await.assert_safe();
}

checkout!(swapped, u64, String, |ctx, order| {
    let paid: String = step!(ctx, "charge", "paid".to_owned());
    ctx.sleep(Duration::from_millis(1)).await?;
    let _: u64 = step!(ctx, "reserve", order + 1);
    ctx.start(ship, order).await?.result().await?;
    ctx.set_event("done", &true).await?;
    Ok(paid)
});

#[tokio::test]
async fn swapped_steps_differ_at_the_first_of_them() {
    let report = verify(&histories().await, swapped::register).await;
    has(
        &report,
        &["operation 1", r#"recorded: "reserve""#, r#"calls "charge""#],
    );
}

checkout!(removed, u64, String, |ctx, order| {
    let seats: u64 = step!(ctx, "reserve", order + 1);
    ctx.sleep(Duration::from_millis(1)).await?;
    ctx.start(ship, order).await?.result().await?;
    ctx.set_event("done", &true).await?;
    Ok(format!("paid {seats}"))
});

#[tokio::test]
async fn a_removed_step_differs_at_what_comes_in_its_place() {
    let report = verify(&histories().await, removed::register).await;
    has(
        &report,
        &[
            "operation 3",
            r#"recorded: "charge""#,
            r#"calls child workflow "ship""#,
        ],
    );
}

checkout!(cut, u64, String, |ctx, order| {
    let seats: u64 = step!(ctx, "reserve", order + 1);
    ctx.sleep(Duration::from_millis(1)).await?;
    let paid: String = step!(ctx, "charge", format!("paid {seats}"));
    ctx.start(ship, order).await?;
    Ok(paid)
});

#[tokio::test]
async fn operations_that_are_never_asked_for_are_told() {
    let report = verify(&histories().await, cut::register).await;
    has(
        &report,
        &[
            "leave out what is recorded",
            "leaves out 2 recorded operations",
            r#"3 "charge" (at"#,
            r#"4 "ship" (at"#,
            r#"recorded: "DBOS.getResult" as operation 5"#,
            r#"recorded: "DBOS.setEvent" as operation 6"#,
            r#"the code: returns "paid 8" after 4 operations; 6 recorded"#,
        ],
    );
}

checkout!(longer, u64, String, |ctx, order| {
    let seats: u64 = step!(ctx, "reserve", order + 1);
    ctx.sleep(Duration::from_millis(1)).await?;
    let paid: String = step!(ctx, "charge", format!("paid {seats}"));
    ctx.start(ship, order).await?.result().await?;
    ctx.set_event("done", &true).await?;
    step!(ctx, "mail", ());
    Ok(paid)
});

#[tokio::test]
async fn a_step_added_behind_the_end_is_told() {
    let report = verify(&histories().await, longer::register).await;
    has(
        &report,
        &[
            "differs at operation 7",
            r#"6 "DBOS.setEvent" (at"#,
            r#"recorded: returns "paid 8" after 6 operations, and nothing more"#,
            r#"calls "mail" (at"#,
        ],
    );
}

checkout!(inserted, u64, String, |ctx, order| {
    step!(ctx, "check", ());
    let seats: u64 = step!(ctx, "reserve", order + 1);
    Ok(seats.to_string())
});

#[tokio::test]
async fn a_step_added_in_front_differs_there() {
    let report = verify(&histories().await, inserted::register).await;
    has(
        &report,
        &["operation 1", r#"recorded: "reserve""#, r#"calls "check""#],
    );
}

checkout!(retyped, u64, String, |ctx, order| {
    let seats: u64 = step!(ctx, "reserve", order + 1);
    ctx.sleep(Duration::from_millis(1)).await?;
    let paid: u64 = step!(ctx, "charge", seats);
    ctx.start(ship, order).await?.result().await?;
    ctx.set_event("done", &true).await?;
    Ok(paid.to_string())
});

#[tokio::test]
async fn a_changed_type_cannot_be_decoded() {
    let report = verify(&histories().await, retyped::register).await;
    assert_eq!(report.total().cannot_decode, 2);
    has(
        &report,
        &[
            r#""order-1" (checkout, version 1) cannot be decoded"#,
            r#"the recorded result of "charge" (operation 3 of workflow "order-1") cannot be read as u64"#,
            "and 1 like it: \"order-2\"",
        ],
    );
}

checkout!(other_input, String, String, |_ctx, order| { Ok(order) });

#[tokio::test]
async fn a_changed_input_cannot_be_decoded() {
    let report = verify(&histories().await, other_input::register).await;
    has(
        &report,
        &[
            "cannot be decoded",
            r#"the input of workflow "checkout" cannot be read as alloc::string::String"#,
            "and 1 like it",
        ],
    );
}

checkout!(other_output, u64, u64, |ctx, order| {
    let seats: u64 = step!(ctx, "reserve", order + 1);
    ctx.sleep(Duration::from_millis(1)).await?;
    let _: String = step!(ctx, "charge", format!("paid {seats}"));
    ctx.start(ship, order).await?.result().await?;
    ctx.set_event("done", &true).await?;
    Ok(seats)
});

#[tokio::test]
async fn a_changed_type_of_the_outcome_cannot_be_decoded() {
    let report = verify(&histories().await, other_output::register).await;
    has(
        &report,
        &[
            "cannot be decoded",
            "the recorded result of the workflow cannot be read as u64",
            "and 1 like it",
        ],
    );
}

checkout!(other_child, u64, String, |ctx, order| {
    let seats: u64 = step!(ctx, "reserve", order + 1);
    ctx.sleep(Duration::from_millis(1)).await?;
    let paid: String = step!(ctx, "charge", format!("paid {seats}"));
    ctx.start(deliver, order).await?.result().await?;
    ctx.set_event("done", &true).await?;
    Ok(paid)
});

#[tokio::test]
async fn another_child_differs() {
    let report = verify(&histories().await, other_child::register).await;
    has(
        &report,
        &[
            "operation 4",
            r#"recorded: child workflow "ship""#,
            r#"calls child workflow "deliver""#,
        ],
    );
}

checkout!(other_words, u64, String, |ctx, order| {
    let seats: u64 = step!(ctx, "reserve", order + 1);
    ctx.sleep(Duration::from_millis(1)).await?;
    let paid: String = step!(ctx, "charge", format!("paid {seats}"));
    ctx.start(ship, order).await?.result().await?;
    ctx.set_event("done", &true).await?;
    Ok(paid.to_uppercase())
});

#[tokio::test]
async fn another_outcome_differs() {
    let report = verify(&histories().await, other_words::register).await;
    has(
        &report,
        &[
            "differs in its outcome",
            r#"recorded: returns "paid 8""#,
            r#"the code: returns "PAID 8""#,
        ],
    );
}

checkout!(panicking, u64, String, |ctx, order| {
    let seats: u64 = step!(ctx, "reserve", order + 1);
    assert!(seats > 100, "too few seats");
    Ok(String::new())
});

#[tokio::test]
async fn a_panic_is_told_with_what_it_says() {
    let report = verify(&histories().await, panicking::register).await;
    has(
        &report,
        &[
            r#"recorded: "DBOS.sleep" as operation 2"#,
            r#"fails with WorkflowPanicked: workflow "order-1" panicked: too few seats after 1 operation; 6 recorded"#,
            "and 1 like it",
        ],
    );
}

checkout!(never_awaited, u64, String, |ctx, order| {
    let seats: u64 = step!(ctx, "reserve", order + 1);
    drop(ctx.sleep(Duration::from_millis(1)));
    drop(ctx.step("pay", async || Ok::<_, Error>(())));
    ctx.start(ship, order).await?.result().await?;
    ctx.set_event("done", &true).await?;
    Ok(format!("paid {seats}"))
});

#[tokio::test]
async fn an_operation_that_is_built_under_another_name_and_never_awaited_differs() {
    let report = verify(&histories().await, never_awaited::register).await;
    has(
        &report,
        &["operation 3", r#"recorded: "charge""#, r#"builds "pay""#],
    );
}

#[tokio::test]
async fn what_is_not_registered_is_counted_and_named() {
    let report = verify(&histories().await, |builder| builder.workflow(ship)).await;
    let total = report.total();
    assert_eq!((total.safe, total.not_registered), (2, 2));
    has(
        &report,
        &[
            "2 not registered",
            "checkout",
            "is not registered; add `.workflow(…)`",
        ],
    );
}

#[tokio::test]
async fn missing_state_is_no_verdict_on_the_code() {
    let report = durable_testkit::replay::verify(&histories().await, then::register)
        .await
        .unwrap();
    assert_eq!(report.total().cannot_run, 2);
    assert!(matches!(report.findings[0].verdict, Verdict::CannotRun(_)));
    has(
        &report,
        &[
            "cannot be replayed",
            "no state of type replay::Bodies",
            "and 1 like it",
        ],
    );
}

#[tokio::test]
async fn nothing_checked_is_not_safe() {
    let report = verify(&[], then::register).await;
    assert!(!report.is_safe());
    has(&report, &["no history was checked"]);
}

#[tokio::test]
async fn a_wrong_builder_is_an_error() {
    let twice = |builder: AppBuilder| builder.workflow(ship).workflow(ship);
    let error = durable_testkit::replay::verify(&[], twice).await;
    assert!(matches!(error, Err(Error::Invalid(_))), "{error:?}");
}
