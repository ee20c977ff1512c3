//! The macros of `durable`. Use them through that crate, whose documentation says what they are for.
//!
//! `#[workflow]` and `#[workflows]` expand in `workflow` and `methods`, `#[step]` in `step`, `#[test]` in `test`. `options` reads what
//! stands in the attribute, `signature` what they all ask of a function, `hash` digests a body and `lint` looks for what makes it nondeterministic.
//! Expanded code names the library only by `durable::__private`, and that of a test `durable_testkit::testing`.

mod attributes;
mod hash;
mod lint;
mod methods;
mod options;
mod signature;
mod step;
mod test;
mod workflow;

use proc_macro::TokenStream;

/// Makes an `async fn(ctx: Ctx, …) -> Result<_, _>` a workflow.
///
/// The function stays a function of its name, to be registered with `.workflow(checkout)` and started with
/// `app.start(checkout, order)`; it takes up to four arguments after the context, which are stored.
///
/// Options: `name = "…"` (by default the function's), `version = "…"` instead of the digest of its body,
/// `max_recovery_attempts = 100` or `none`, `allow(clock, random, sleep, spawn, env, io, race, app)` for what the determinism lint refuses, and
/// `crate = "::my_durable"` where the library has another name.
///
/// `max_recovery_attempts` is how many executions beyond the first may end in a crash before the
/// workflow is put away (dead-lettered), so that it does not kill one process after the other. An
/// execution counts unless an operation was recorded during it, or a shutdown ended it while it
/// waited; one that a shutdown had to interrupt in a step's body counts. A body that neither ends
/// within the grace of any shutdown nor records anything is so put away after that many restarts:
/// give it checkpoints, a longer grace, or `none`.
#[proc_macro_attribute]
pub fn workflow(attribute: TokenStream, item: TokenStream) -> TokenStream {
    answer(workflow::expand(attribute.into(), item.into()))
}

/// Makes the methods of an `impl` block that carry `#[workflow]` workflows of its type's registered instances.
///
/// They take `&self` or `self: Arc<Self>` before the context. Options: `class = "…"` (by default the type's name) and `crate = "…"`.
#[proc_macro_attribute]
pub fn workflows(attribute: TokenStream, item: TokenStream) -> TokenStream {
    answer(methods::expand(attribute.into(), item.into()))
}

/// Makes an `async fn(…) -> Result<_, _>` a step: a function that takes the context first and gives a `Step` to await.
///
/// It takes references, and values that are `Clone` (cloned for an attempt only if another may follow). A parameter of type `StepCtx` is
/// filled in and is no parameter of the generated function.
///
/// Options: `name = "…"`, `max_attempts = 5` (the first included), `backoff = "200ms..30s"`, `factor = 2.0`, `jitter = 0.2`, `timeout = "10s"`, `crate = "…"`.
#[proc_macro_attribute]
pub fn step(attribute: TokenStream, item: TokenStream) -> TokenStream {
    answer(step::expand(attribute.into(), item.into()))
}

/// Makes an `async fn(t: TestApp)` a test of workflows, on a database in memory and in virtual time.
///
/// It may return nothing or a `Result<(), E>`, and needs `durable-testkit` among the dev-dependencies, where `TestApp` and all else about
/// such tests stands.
///
/// Options: `seeds = 200` runs it in so many orders (1 unless given), `real_time` on an ordinary runtime of tokio's, for tests with real
/// sockets, which virtual time does not mix with; `crate = "::my_testkit"` where durable-testkit has another name.
#[proc_macro_attribute]
pub fn test(attribute: TokenStream, item: TokenStream) -> TokenStream {
    answer(test::expand(attribute.into(), item.into()))
}

fn answer(expanded: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    expanded
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

#[cfg(test)]
mod tests {
    use quote::quote;

    // One by one, as `#[test]` is the standard library's here.
    use super::{methods, step, workflow};

    #[test]
    fn under_another_name_of_the_library_its_own_is_not_used() {
        let name = || quote!(crate = "::other");
        let workflow = quote!(
            async fn checkout(ctx: Ctx, order: Order) -> Result<u8, E> {
                charge(&ctx, &order).await
            }
        );
        let step = quote!(
            async fn charge<T: Clone>(step: StepCtx, order: &Order, t: T) -> Result<u8, E> {
                x
            }
        );
        let methods = quote!(
            impl Shop {
                #[workflow]
                async fn refund(&self, ctx: Ctx, order: Order) -> Result<u8, E> {
                    x
                }
            }
        );
        for expanded in [
            workflow::expand(name(), workflow),
            step::expand(name(), step),
            methods::expand(name(), methods),
        ] {
            let text = expanded.unwrap().to_string();
            assert!(text.contains(":: other ::"), "{text}");
            assert!(!text.contains("durable ::"), "{text}");
        }
    }
}
