//! What an application has registered: its workflows, and the state that they are given.

use std::{
    any::{Any, TypeId},
    collections::BTreeMap,
    fmt,
    sync::Arc,
};

use crate::{
    Error,
    codec::{Codecs, decode_args, decode_own_error, encode_error},
    ctx::Ctx,
    ids::WorkflowKey,
    names,
    payload::{Encoded, Outcome},
    runtime::BoxFuture,
    workflow::{Invocation, MethodFn, WorkflowDef, WorkflowFn, key_of},
};

/// A registered workflow.
#[derive(Clone)]
pub(crate) struct Registered {
    /// How many executions beyond the first it may have.
    pub(crate) max_recovery_attempts: Option<u32>,
    /// Its part of the application version.
    pub(crate) version: String,
    run: Runner,
    /// Reads an outcome as its types.
    read: fn(&Codecs, &Outcome) -> Result<(), Error>,
}

type Runner =
    Arc<dyn Fn(Ctx, Option<&Encoded>) -> Result<BoxFuture<'static, Outcome>, Error> + Send + Sync>;

impl Registered {
    /// Calls it with stored arguments. Errors: they cannot be read.
    pub(crate) fn call(
        &self,
        ctx: Ctx,
        input: Option<&Encoded>,
    ) -> Result<BoxFuture<'static, Outcome>, Error> {
        (self.run)(ctx, input)
    }

    /// Reads a stored outcome as the workflow's types. Errors: it cannot be read.
    pub(crate) fn read(&self, codecs: &Codecs, outcome: &Outcome) -> Result<(), Error> {
        (self.read)(codecs, outcome)
    }

    fn new<D: WorkflowDef>(
        call: impl Fn(Ctx, D::Input) -> Invocation<D> + Send + Sync + 'static,
    ) -> Self {
        Self {
            max_recovery_attempts: D::MAX_RECOVERY_ATTEMPTS,
            version: D::VERSION.map_or_else(|| format!("{:032x}", D::BODY_HASH), str::to_owned),
            read: read_outcome::<D>,
            run: Arc::new(move |ctx, input| {
                let input = decode_args::<D>(&ctx.engine().codecs, input)?;
                let invocation = call(ctx.clone(), input).body();
                Ok(Box::pin(async move {
                    let result = invocation.await;
                    encode_outcome::<D>(&ctx, result)
                }))
            }),
        }
    }
}

/// Reads what a workflow of this kind came to.
fn read_outcome<D: WorkflowDef>(codecs: &Codecs, outcome: &Outcome) -> Result<(), Error> {
    match outcome {
        Outcome::Success(value) => codecs
            .decode::<D::Output>(&"the recorded result of the workflow", value)
            .map(drop),
        Outcome::Failure(error) => {
            decode_own_error::<D::Error>(codecs, &"the recorded error of the workflow", error)
                .map(drop)
        }
    }
}

/// What a workflow returned, as it is stored. A value that cannot be stored is the workflow's error.
fn encode_outcome<D: WorkflowDef>(ctx: &Ctx, result: Result<D::Output, D::Error>) -> Outcome {
    let codecs = &ctx.engine().codecs;
    let what = format_args!("the outcome of workflow {:?}", ctx.workflow_id().as_str());
    let encoded = match result {
        Ok(value) => (codecs.store(&what, &value)).map(|(_, stored)| Outcome::Success(stored)),
        Err(error) => encode_error(codecs, &what, &error, Vec::new()).map(Outcome::Failure),
    };
    encoded
        .or_else(|error| encode_error(codecs, &what, &error, Vec::new()).map(Outcome::Failure))
        .unwrap_or_else(|error| Outcome::Failure(unencodable(&error)))
}

/// The last resort, where even the codec of the application fails: the message alone, in plain JSON.
pub(crate) fn unencodable(error: &Error) -> Encoded {
    let text = serde_json::json!({
        "name": "Encode", "message": error.to_string(), "code": null, "data": null,
    });
    Encoded::new(text.to_string(), crate::codec::PORTABLE_JSON)
}

/// All registered workflows.
#[derive(Clone, Default)]
pub(crate) struct Registry(BTreeMap<WorkflowKey, Registered>);

impl Registry {
    /// Adds a workflow function. Errors: its name is taken.
    pub(crate) fn add_function<D: WorkflowDef, Args>(
        &mut self,
        function: impl WorkflowFn<D, Args>,
    ) -> Result<(), Error> {
        let registered = Registered::new::<D>(move |ctx, input| function.call(ctx, input));
        self.add(key_of::<D>(None), registered)
    }

    fn add(&mut self, key: WorkflowKey, workflow: Registered) -> Result<(), Error> {
        names::check_key(&key)?;
        if self.0.contains_key(&key) {
            return Err(Error::Invalid(format!(
                "workflow {key} is registered twice; give one of them another name: #[workflow(name = \"…\")]"
            )));
        }
        self.0.insert(key, workflow);
        Ok(())
    }

    pub(crate) fn get(&self, key: &WorkflowKey) -> Option<&Registered> {
        self.0.get(key)
    }

    pub(crate) fn keys(&self) -> Arc<[WorkflowKey]> {
        self.0.keys().cloned().collect()
    }

    /// Name and version of each workflow, sorted by name; a method counts once however many instances it has.
    pub(crate) fn versions(&self) -> BTreeMap<String, &str> {
        self.0
            .iter()
            .map(|(key, registered)| {
                let class = key.class.as_deref().unwrap_or_default();
                (
                    format!("{class}::{}", key.name),
                    registered.version.as_str(),
                )
            })
            .collect()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A type whose methods are workflows: what `#[durable::workflows]` implements.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no workflow methods",
    note = "put `#[durable::workflows]` on its impl block and `#[workflow]` on the methods"
)]
pub trait MethodSet: Send + Sync + Sized + 'static {
    /// The class that its workflows are stored under.
    const CLASS: &'static str;

    /// Names each workflow method to the registrar.
    fn register(registrar: &mut Registrar<Self>);
}

/// Takes the workflow methods of one instance.
#[derive(Debug)]
pub struct Registrar<T> {
    instance: Arc<T>,
    config: String,
    registry: Registry,
    failed: Option<Error>,
}

impl<T: MethodSet> Registrar<T> {
    /// Adds a workflow method.
    pub fn method<D: WorkflowDef, Args>(&mut self, method: impl MethodFn<T, D, Args>) {
        let instance = Arc::clone(&self.instance);
        let registered =
            Registered::new::<D>(move |ctx, input| method.call(Arc::clone(&instance), ctx, input));
        if let Err(error) = self
            .registry
            .add(key_of::<D>(Some(&self.config)), registered)
        {
            self.failed.get_or_insert(error);
        }
    }

    /// Adds all workflow methods of `instance` to `registry`. Errors: a name is taken.
    pub(crate) fn add_all(
        registry: &mut Registry,
        config: String,
        instance: Arc<T>,
    ) -> Result<(), Error> {
        let mut registrar = Self {
            instance,
            config,
            registry: std::mem::take(registry),
            failed: None,
        };
        T::register(&mut registrar);
        *registry = registrar.registry;
        registrar.failed.map_or(Ok(()), Err)
    }
}

/// The application's state, one value of each type.
#[derive(Clone, Default)]
pub(crate) struct States(BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl States {
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.0.insert(TypeId::of::<T>(), Arc::new(value));
    }

    pub(crate) fn get<T: Send + Sync + 'static>(&self) -> Result<Arc<T>, Error> {
        self.0
            .get(&TypeId::of::<T>())
            .and_then(|state| Arc::clone(state).downcast().ok())
            .ok_or_else(|| Error::MissingState {
                type_name: std::any::type_name::<T>().to_owned(),
            })
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "States({})", self.0.len())
    }
}
