use durable_testkit::TestApp;

#[durable::test]
fn not_async(t: TestApp) {}

#[durable::test]
async fn without_a_world() {}

#[durable::test]
async fn with_more(t: TestApp, order: u64) {}

#[durable::test]
async fn generic<T: Default>(t: TestApp) {}

#[durable::test(seed = 3)]
async fn unknown_option(t: TestApp) {}

#[durable::test(seeds = 0)]
async fn no_seeds(t: TestApp) {}

#[durable::test(seeds = "many")]
async fn seeds_in_words(t: TestApp) {}

#[durable::test(real_time = true)]
async fn a_flag_with_a_value(t: TestApp) {}

#[durable::test(real_time, seeds = 3)]
async fn seeds_in_real_time(t: TestApp) {}

struct Shop;

impl Shop {
    #[durable::test]
    async fn method(&self) {}
}

fn main() {}
