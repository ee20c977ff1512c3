//! Fakes of services that steps call: they outlive crashes, and know a call that is made again.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt,
    future::{Future, IntoFuture},
    panic::Location,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::here;

/// A fake of a service. A clone is the same service; give it to the workflows as the application's state.
///
/// A call is a moment at which a crash may come: before its effect, or after it and before its answer.
#[derive(Clone)]
pub struct Service {
    name: Arc<str>,
    calls: Arc<Mutex<Vec<Call>>>,
}

/// A call that a service was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What was asked for, arguments included.
    pub request: String,
    /// The idempotency key that it came with.
    pub key: Option<String>,
    /// The line that made it.
    pub place: &'static Location<'static>,
    /// Whether it was a repeat of an earlier call with the same key, which had no effect.
    pub repeated: bool,
}

thread_local! {
    /// The services that were made on this thread, while somebody wants to know.
    static MADE: RefCell<Option<Vec<Service>>> = const { RefCell::new(None) };
}

/// Calls `make`, and gives the services that it makes.
pub(super) fn made_by(make: impl FnOnce()) -> Vec<Service> {
    MADE.set(Some(Vec::new()));
    make();
    MADE.take().unwrap_or_default()
}

impl Service {
    /// A service of this name that nobody has called.
    pub fn new(name: &str) -> Self {
        let service = Self {
            name: name.into(),
            calls: Arc::default(),
        };
        MADE.with_borrow_mut(|made| {
            if let Some(made) = made {
                made.push(service.clone());
            }
        });
        service
    }

    /// Builds a call; await it to make it. It gives whether it had an effect: a repeat with the same key has none.
    #[track_caller]
    pub fn call(&self, request: impl fmt::Display) -> Calling<'_> {
        Calling {
            service: self,
            call: Call {
                request: request.to_string(),
                key: None,
                place: Location::caller(),
                repeated: false,
            },
        }
    }

    /// All calls, in their order.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().clone()
    }

    /// The calls that had an effect, in their order.
    pub fn effects(&self) -> Vec<String> {
        let calls = self.lock();
        let effective = calls.iter().filter(|call| !call.repeated);
        effective.map(|call| call.request.clone()).collect()
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How often each call without a key was made.
    pub(super) fn unkeyed(&self) -> BTreeMap<String, (usize, &'static Location<'static>)> {
        let mut counts = BTreeMap::new();
        for call in self.lock().iter().filter(|call| call.key.is_none()) {
            let (count, _) = counts
                .entry(call.request.clone())
                .or_insert((0, call.place));
            *count += 1;
        }
        counts
    }

    fn receive(&self, mut call: Call) -> bool {
        let mut calls = self.lock();
        let known = |other: &Call| call.key.is_some() && other.key == call.key;
        call.repeated = calls.iter().any(known);
        let effect = !call.repeated;
        let key = call.key.as_ref();
        let key = key.map_or_else(String::new, |key| format!(", key {key:?}"));
        let again = if effect { "" } else { " again: no effect" };
        here::note(format!("{} gets {}{key}{again}", self.name, call.request));
        calls.push(call);
        effect
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service({})", self.name)
    }
}

/// A call about to be made.
#[must_use = "a call is made when it is awaited"]
#[derive(Debug)]
pub struct Calling<'a> {
    service: &'a Service,
    call: Call,
}

impl Calling<'_> {
    /// Gives it an idempotency key, for example of the workflow's id and the step's number.
    pub fn key(mut self, key: impl fmt::Display) -> Self {
        self.call.key = Some(key.to_string());
        self
    }
}

impl<'a> IntoFuture for Calling<'a> {
    type Output = bool;
    type IntoFuture = Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            here::pause().await;
            let effect = self.service.receive(self.call);
            here::pause().await;
            effect
        })
    }
}
