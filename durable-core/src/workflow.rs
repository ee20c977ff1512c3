//! What a workflow is to the engine: its definition, and a call of it.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{any_error::WorkflowError, ctx::Ctx, ids::WorkflowKey, runtime::BoxFuture};

/// A value that can be stored: an argument or a result.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the argument or the result of a workflow or step",
    label = "this type cannot be stored",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it; it must own what it holds (`String` for `&str`) and be `Send`"
)]
pub trait Payload: Serialize + DeserializeOwned + Send + 'static {}

// So that a type that misses something is told all that it needs, and not the first bound alone.
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Payload for T {}

/// What `#[durable::workflow]` says of a workflow.
pub trait WorkflowDef: Send + Sync + 'static {
    /// Its name, under which it is stored.
    const NAME: &'static str;
    /// The type whose method it is.
    const CLASS: Option<&'static str>;
    /// The names of its parameters after the context.
    const PARAMS: &'static [&'static str];
    /// A digest of its body, the same however the body is laid out.
    const BODY_HASH: u128;
    /// The version it was given instead of the digest.
    const VERSION: Option<&'static str>;
    /// How many executions beyond the first may count as crashes: see
    /// [`Attempts`](crate::state::Attempts).
    const MAX_RECOVERY_ATTEMPTS: Option<u32>;
    /// Its argument; a tuple of several, `()` for none.
    type Input: Payload;
    /// What it returns.
    type Output: Payload;
    /// What it fails with.
    type Error: WorkflowError;
}

/// The key that a workflow function is stored under; `config` names the instance of a method.
pub(crate) fn key_of<D: WorkflowDef>(config: Option<&str>) -> WorkflowKey {
    WorkflowKey {
        name: D::NAME.to_owned(),
        class: D::CLASS.map(str::to_owned),
        config: config.map(str::to_owned),
    }
}

/// A call of a workflow that has not run yet: what a workflow function returns.
///
/// Only the engine runs it; hand the function itself to `app.start(checkout, order)`, `ctx.start(checkout, order)` or
/// `ctx.call(checkout, order)`.
#[must_use = "a workflow runs only when it is started: app.start(workflow, input), ctx.start(workflow, input) or ctx.call(workflow, input)"]
pub struct Invocation<D: WorkflowDef> {
    future: BoxFuture<'static, Result<D::Output, D::Error>>,
    definition: PhantomData<fn() -> D>,
}

impl<D: WorkflowDef> Invocation<D> {
    /// Wraps the body's future.
    #[doc(hidden)]
    pub fn new(body: impl Future<Output = Result<D::Output, D::Error>> + Send + 'static) -> Self {
        Self {
            future: Box::pin(body),
            definition: PhantomData,
        }
    }

    pub(crate) fn body(self) -> BoxFuture<'static, Result<D::Output, D::Error>> {
        self.future
    }
}

/// A workflow that may be awaited where it is called: there is none.
#[diagnostic::on_unimplemented(
    message = "a workflow is started, not called: only the engine runs its body, so that it is recorded and recovered",
    label = "this call runs nothing",
    note = "in a workflow write `ctx.call(workflow, input).await`, or `ctx.start(workflow, input).await?` for a handle; elsewhere \
            `app.start(workflow, input).await?.result().await`",
    note = "what needs no record of its own is a plain `async fn`, without `#[durable::workflow]`"
)]
pub trait Callable {}

/// Never applies: [`Callable`] says what to write instead.
impl<D: WorkflowDef + Callable> Future for Invocation<D> {
    type Output = Result<D::Output, D::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.future.as_mut().poll(cx)
    }
}

impl<D: WorkflowDef> fmt::Debug for Invocation<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invocation({})", D::NAME)
    }
}

/// A workflow function: what `#[durable::workflow]` leaves of an `async fn`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a workflow function, or its arguments are others",
    note = "a workflow is an `async fn(ctx: Ctx, …) -> Result<_, _>` with `#[durable::workflow]` on it; a method is started with `start_on`"
)]
pub trait WorkflowFn<D: WorkflowDef, Args>: Send + Sync + 'static {
    /// Calls it.
    #[doc(hidden)]
    fn call(&self, ctx: Ctx, input: D::Input) -> Invocation<D>;
}

/// A workflow method: what `#[durable::workflows]` leaves of an `async fn` on an instance.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a workflow method, or its arguments are others",
    note = "put `#[durable::workflows]` on the impl block and `#[workflow]` on the method; a plain function is started with `start`"
)]
pub trait MethodFn<T, D: WorkflowDef, Args>: Send + Sync + 'static {
    /// Calls it.
    #[doc(hidden)]
    fn call(&self, instance: Arc<T>, ctx: Ctx, input: D::Input) -> Invocation<D>;
}

macro_rules! callable {
    ($args:ty, $input:ty, $pattern:pat, [$($name:ident: $type:ident),*]) => {
        impl<F, D, $($type),*> WorkflowFn<D, $args> for F
        where
            F: Fn(Ctx, $($type),*) -> Invocation<D> + Send + Sync + 'static,
            D: WorkflowDef<Input = $input>,
        {
            fn call(&self, ctx: Ctx, input: D::Input) -> Invocation<D> {
                let $pattern = input;
                self(ctx, $($name),*)
            }
        }

        impl<F, This, D, $($type),*> MethodFn<This, D, $args> for F
        where
            F: Fn(Arc<This>, Ctx, $($type),*) -> Invocation<D> + Send + Sync + 'static,
            D: WorkflowDef<Input = $input>,
        {
            fn call(&self, instance: Arc<This>, ctx: Ctx, input: D::Input) -> Invocation<D> {
                let $pattern = input;
                self(instance, ctx, $($name),*)
            }
        }
    };
}

callable!((), (), (), []);
callable!((A,), A, a, [a: A]);
callable!((A, B), (A, B), (a, b), [a: A, b: B]);
callable!((A, B, C), (A, B, C), (a, b, c), [a: A, b: B, c: C]);
callable!((A, B, C, E), (A, B, C, E), (a, b, c, e), [a: A, b: B, c: C, e: E]);

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Error;

    macro_rules! definition {
        ($name:ident, $input:ty, $params:expr) => {
            pub(crate) struct $name;

            impl WorkflowDef for $name {
                const NAME: &'static str = stringify!($name);
                const CLASS: Option<&'static str> = None;
                const PARAMS: &'static [&'static str] = $params;
                const BODY_HASH: u128 = 0;
                const VERSION: Option<&'static str> = None;
                const MAX_RECOVERY_ATTEMPTS: Option<u32> = Some(100);
                type Input = $input;
                type Output = ();
                type Error = Error;
            }
        };
    }

    definition!(Unit, (), &[]);
    definition!(Single, String, &["text"]);
    definition!(Pair, (i32, String), &["number", "text"]);
}
