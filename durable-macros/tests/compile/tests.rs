//! Shapes of tests.

use durable::prelude::*;
use durable::test;
use durable_testkit::TestApp;

#[test]
async fn returns_nothing(t: TestApp) {
    t.advance(Duration::from_secs(1)).await;
}

#[durable::test(seeds = 200)]
#[should_panic(expected = "no")]
async fn returns_a_result(_: TestApp) -> Result<(), AnyError> {
    Ok(())
}

#[durable::test(real_time, crate = "::durable_testkit")]
async fn takes_it_mutably(mut t: TestApp) -> Result<(), std::io::Error> {
    t = t.clone();
    drop(t);
    Ok(())
}

fn main() {}
