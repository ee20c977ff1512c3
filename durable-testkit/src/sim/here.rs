//! What code inside a simulated process may say and do without being handed anything: fakes of services, decoders, step bodies.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use super::{fact::Fact, world::World};

thread_local! {
    /// The process that is being polled.
    static HERE: RefCell<Option<(Arc<World>, usize)>> = const { RefCell::new(None) };
}

/// Runs a poll of this process.
pub(super) fn at<T>(world: &Arc<World>, process: usize, poll: impl FnOnce() -> T) -> T {
    let outer = HERE.replace(Some((Arc::clone(world), process)));
    let polled = poll();
    HERE.set(outer);
    polled
}

fn with<T>(act: impl FnOnce(&Arc<World>, usize) -> T) -> Option<T> {
    let here = HERE.with_borrow(Clone::clone);
    here.map(|(world, process)| act(&world, process))
}

/// Whether this runs inside a simulation.
pub fn is_simulated() -> bool {
    with(|_, _| ()).is_some()
}

/// Says something in the timeline; does nothing outside a simulation.
pub fn note(text: impl Into<String>) {
    with(|world, process| world.tell(process, Fact::Note(text.into())));
}

/// Says that something happened in this process; does nothing outside a simulation.
pub fn tell(fact: Fact) {
    with(|world, process| world.tell(process, fact));
}

/// Says that something is wrong: the run ends here. Does nothing outside a simulation.
pub fn fail(invariant: &'static str, what: impl Into<String>) {
    with(|world, _| world.lock().record.fail(invariant, what));
}

/// Kills the process that this runs in, to be started again after `down`; does nothing outside a simulation.
///
/// Code that follows still runs, until the next time it waits, and nothing of what it does leaves the process.
pub fn crash(down: Duration) {
    with(|world, process| world.crash_from_inside(process, down));
}

/// Lets others go on first: between the two polls that this takes, a crash may come.
pub fn pause() -> impl Future<Output = ()> + Send {
    struct Pause(bool);

    impl Future for Pause {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            if std::mem::replace(&mut self.0, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }

    Pause(false)
}
