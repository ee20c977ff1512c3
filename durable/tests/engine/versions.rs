//! Application versions.

use durable::{Error, prelude::*, state::Status};

use crate::support::{on_every_backend, until_recorded};

#[durable::workflow]
async fn sleeper(ctx: Ctx) -> Result<(), Error> {
    ctx.sleep(Duration::from_secs(3600)).await
}

mod same {
    use super::{Ctx, Duration, Error};

    /// A comment more and another layout.
    #[durable::workflow]
    pub async fn sleeper(ctx: Ctx) -> Result<(), Error> {
        // Not code.
        ctx.sleep(Duration::from_secs(3600)).await
    }
}

mod edited {
    use super::{Ctx, Duration, Error};

    #[durable::workflow]
    pub async fn sleeper(ctx: Ctx) -> Result<(), Error> {
        ctx.sleep(Duration::from_secs(3601)).await
    }
}

mod given {
    use super::{Ctx, Duration, Error};

    #[durable::workflow(version = "v1")]
    pub async fn sleeper(ctx: Ctx) -> Result<(), Error> {
        ctx.sleep(Duration::from_secs(1)).await
    }
}

mod given_edited {
    use super::{Ctx, Duration, Error};

    #[durable::workflow(version = "v1")]
    pub async fn sleeper(ctx: Ctx) -> Result<(), Error> {
        ctx.sleep(Duration::from_secs(2)).await
    }
}

/// A workflow whose step and helper are these.
macro_rules! paying {
    ($module:ident, $cents:literal, $greeting:literal) => {
        mod $module {
            use super::{Ctx, Error};

            fn helper() -> &'static str {
                $greeting
            }

            #[durable::step]
            async fn charge() -> Result<u32, Error> {
                Ok($cents)
            }

            #[durable::workflow]
            pub async fn pay(ctx: Ctx) -> Result<String, Error> {
                let cents = charge(&ctx).await?;
                Ok(format!("{} {cents}", helper()))
            }
        }
    };
}
paying!(paying, 1, "thanks");
paying!(paying_more, 2, "thanks a lot");

#[durable::workflow]
async fn another(_ctx: Ctx) -> Result<(), Error> {
    Ok(())
}

/// The default version of an application with these workflows.
macro_rules! version_of {
    ($name:expr, $($workflow:path),*) => {{
        let memory = durable_testkit::Memory::new();
        let builder = App::builder($name).backend(memory)$(.workflow($workflow))*;
        let app = builder.launch().await.unwrap();
        let version = app.version().to_owned();
        app.shutdown(Duration::ZERO).await;
        version
    }};
}

#[tokio::test]
async fn the_default_version_changes_with_a_workflows_body_and_with_nothing_else() {
    let version = version_of!("a", sleeper, another);
    assert_eq!(version.len(), 32);
    assert_eq!(version, version_of!("a", another, same::sleeper));
    assert_ne!(version, version_of!("a", edited::sleeper, another));
    assert_ne!(version, version_of!("a", sleeper));
    assert_ne!(version, version_of!("b", sleeper, another));
    assert_eq!(
        version_of!("a", given::sleeper),
        version_of!("a", given_edited::sleeper)
    );
    assert_ne!(version_of!("a", given::sleeper), version_of!("a", sleeper));
    // What a workflow calls is not of its body.
    assert_eq!(
        version_of!("a", paying::pay),
        version_of!("a", paying_more::pay)
    );
}

on_every_backend! {
    async fn unfinished_workflows_of_other_versions_are_counted_and_reported_in_words(world) {
        let app = world.builder().await.version("old").workflow(sleeper).launch().await.unwrap();
        for id in ["a", "b"] {
            app.start(sleeper, ()).id(id).await.unwrap();
            until_recorded(&app, id, 1).await;
        }
        app.shutdown(Duration::ZERO).await;
        let app = world.builder().await.version("new").workflow(sleeper).launch().await.unwrap();
        let report = app.report();
        assert_eq!((report.recovered, report.stranded.len()), (0, 1));
        let text = report.to_string();
        assert!(text.contains("2 unfinished workflows of version old"), "{text}");
        assert!(text.contains(r#".version("old")"#) && text.contains("cancel them"), "{text}");
        assert_eq!(app.workflow("a").await.unwrap().status, Status::Pending);
        app.shutdown(Duration::ZERO).await;
        // The way out that the report names.
        let app = world.builder().await.version("old").workflow(sleeper).launch().await.unwrap();
        assert_eq!(app.report().recovered, 2);
    }
}
