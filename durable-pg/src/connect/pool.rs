//! A pool of our own: bb8 around sessions that a driver makes.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::{Instant, timeout};

use super::{Servers, Target, servers::MUST_WRITE};
use crate::{DriverError, PoolSettings};

/// How long a session may lie in the pool before it is asked whether it is still there; longer than the time between two polls, or each
/// statement of an idle process had a question before it.
const FRESH: Duration = Duration::from_secs(5);

/// How long it may take to say so; then a new one is made, while its caller still waits (10 s, unless the settings say otherwise).
const SAYS_SO: Duration = Duration::from_secs(3);

/// How a driver makes a session of its own.
#[async_trait]
pub trait Connect: Send + Sync + 'static {
    /// A session.
    type Session: Send + 'static;

    /// Logs in to one server.
    async fn connect(target: &Target) -> Result<Self::Session, DriverError>;

    /// Runs statements without parameters.
    async fn batch(session: &mut Self::Session, script: &str) -> Result<(), DriverError>;
}

/// A pool of our own. Clones share it.
pub struct OwnPool<C: Connect> {
    pool: bb8::Pool<Maker<C>>,
    maker: Maker<C>,
    settings: PoolSettings,
}

impl<C: Connect> OwnPool<C> {
    /// A pool on these servers; connects to nothing yet.
    pub fn new(servers: Servers, settings: &PoolSettings) -> Self {
        let maker = Maker {
            servers,
            script: format!("{MUST_WRITE}{}", settings.prepare).into(),
            generation: Arc::default(),
            lost: Lost::default(),
            driver: PhantomData,
        };
        let pool = bb8::Pool::builder()
            .max_size(settings.size)
            // The one that was used last: it stays fresh, and what an idle process does not need is closed in time.
            .queue_strategy(bb8::QueueStrategy::Lifo)
            .connection_timeout(settings.acquire_timeout)
            .retry_connection(false)
            .build_unchecked(maker.clone());
        Self {
            pool,
            maker,
            settings: settings.clone(),
        }
    }

    /// A session of the pool, given back when it is dropped.
    pub async fn acquire(&self) -> Result<Checkout<C>, DriverError> {
        let taken = self.pool.get_owned().await.map_err(|error| match error {
            bb8::RunError::User(never) => match never {},
            bb8::RunError::TimedOut => DriverError::lost(format!(
                "all {} connections of the pool were in use for {:?}; raise `pool_size`, or look for what holds them",
                self.settings.size, self.settings.acquire_timeout
            )),
        })?;
        let mut checkout = Checkout {
            taken,
            generation: Arc::clone(&self.maker.generation),
        };
        checkout.session()?;
        Ok(checkout)
    }

    /// A session outside the pool, in which nothing is set.
    pub async fn dedicated(&self) -> Result<C::Session, DriverError> {
        session::<C>(&self.maker.servers, MUST_WRITE).await
    }

    /// Where the server is that is asked first.
    pub fn place(&self) -> String {
        self.maker.servers.first().to_string()
    }

    /// Has `connect` make something else than a session on the server that answers.
    pub async fn any<T, F, Fut>(&self, connect: F) -> Result<T, DriverError>
    where
        F: Fn(Target) -> Fut,
        Fut: Future<Output = Result<T, DriverError>>,
    {
        self.maker.servers.any(connect).await
    }

    /// How many sessions it has now.
    pub fn size(&self) -> u32 {
        self.pool.state().connections
    }
}

impl<C: Connect> Clone for OwnPool<C> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            maker: self.maker.clone(),
            settings: self.settings.clone(),
        }
    }
}

impl<C: Connect> fmt::Debug for OwnPool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnPool")
            .field("servers", &self.maker.servers)
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

/// A session of the pool, for as long as it is borrowed.
pub struct Checkout<C: Connect> {
    taken: bb8::PooledConnection<'static, Maker<C>>,
    generation: Arc<AtomicU64>,
}

impl<C: Connect> Checkout<C> {
    /// The session. Errors: none, as it was there when it was taken out.
    pub fn session(&mut self) -> Result<&mut C::Session, DriverError> {
        match &mut self.taken.session {
            Ok(session) => Ok(session),
            Err(error) => Err(error.clone()),
        }
    }

    /// Says that the session's state is unknown: it does not go back.
    pub fn discard(&mut self) {
        self.taken.broken = true;
        self.taken.lost.tell();
    }

    /// Says the same of all sessions that the pool has: what they have prepared is of tables that
    /// have changed.
    pub fn discard_all(&mut self) {
        self.discard();
        // If it was made before the last time, others have said so already.
        let made = self.taken.generation;
        let _ = self
            .generation
            .compare_exchange(made, made.wrapping_add(1), Relaxed, Relaxed);
    }
}

/// When a session was given up last: those that were used before that may be gone as well.
#[derive(Clone, Default)]
struct Lost(Arc<Mutex<Option<Instant>>>);

impl Lost {
    fn tell(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Returns `true` if none was given up since then.
    fn none_since(&self, then: Instant) -> bool {
        let lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lost.is_none_or(|lost| lost < then)
    }
}

struct Maker<C> {
    servers: Servers,
    script: Arc<str>,
    /// Sessions that were made in an earlier one are not used again.
    generation: Arc<AtomicU64>,
    lost: Lost,
    driver: PhantomData<fn() -> C>,
}

impl<C> Clone for Maker<C> {
    fn clone(&self) -> Self {
        Self {
            servers: self.servers.clone(),
            script: self.script.clone(),
            generation: Arc::clone(&self.generation),
            lost: self.lost.clone(),
            driver: PhantomData,
        }
    }
}

/// A session with the first of the servers that takes writes.
async fn session<C: Connect>(servers: &Servers, script: &str) -> Result<C::Session, DriverError> {
    let connect = |target: Target| async move {
        let mut session = C::connect(&target).await?;
        C::batch(&mut session, script).await?;
        Ok(session)
    };
    servers.any(connect).await
}

/// What the pool holds. A failure to connect is held too, for bb8 would keep it to itself, and its caller would only hear, much later,
/// that nothing was free.
struct Member<S> {
    session: Result<S, DriverError>,
    broken: bool,
    used: Instant,
    generation: u64,
    lost: Lost,
}

/// What cannot be.
#[derive(Debug)]
enum Never {}

impl<C: Connect> bb8::ManageConnection for Maker<C> {
    type Connection = Member<C::Session>;
    type Error = Never;

    async fn connect(&self) -> Result<Self::Connection, Never> {
        let generation = self.generation.load(Relaxed);
        let session = session::<C>(&self.servers, &self.script).await;
        Ok(Member {
            generation,
            broken: session.is_err(),
            session,
            used: Instant::now(),
            lost: self.lost.clone(),
        })
    }

    async fn is_valid(&self, member: &mut Self::Connection) -> Result<(), Never> {
        let Ok(session) = &mut member.session else {
            return Ok(());
        };
        if member.generation != self.generation.load(Relaxed) {
            member.broken = true;
            *member = self.connect().await?;
            return Ok(());
        }
        if member.used.elapsed() <= FRESH && self.lost.none_since(member.used) {
            return Ok(());
        }
        // Until it has answered: where the caller's patience ends first, it does not go back with an answer on its way.
        member.broken = true;
        let asked = timeout(SAYS_SO, C::batch(session, "SELECT 1")).await;
        if matches!(asked, Ok(Ok(()))) {
            member.broken = false;
        } else {
            self.lost.tell();
            // A new one in its place, or the reason why there is none.
            *member = self.connect().await?;
        }
        Ok(())
    }

    fn has_broken(&self, member: &mut Self::Connection) -> bool {
        // Asked when it comes back.
        member.used = Instant::now();
        member.broken
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Sessions that count what they are asked.
    struct Counted;

    static ASKED: AtomicU32 = AtomicU32::new(0);

    #[async_trait]
    impl Connect for Counted {
        type Session = ();

        async fn connect(_: &Target) -> Result<(), DriverError> {
            Ok(())
        }

        async fn batch((): &mut (), script: &str) -> Result<(), DriverError> {
            ASKED.fetch_add(u32::from(script == "SELECT 1"), Ordering::Relaxed);
            Ok(())
        }
    }

    /// How often sessions were asked whether they are there since this was asked last.
    fn asked() -> u32 {
        ASKED.swap(0, Ordering::Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_is_asked_whether_it_is_there_only_where_it_may_not_be() {
        let servers = Servers::of("postgres://somebody@localhost/none").expect("a URL");
        let pool = OwnPool::<Counted>::new(servers, &PoolSettings::bare(3));
        let all = [
            pool.acquire().await.expect("a session"),
            pool.acquire().await.expect("a session"),
            pool.acquire().await.expect("a session"),
        ];
        drop(all);
        // As an idle process does: one poll a second, for which one session is enough.
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(pool.acquire().await.expect("a session"));
        }
        assert_eq!(asked(), 0);
        // One that has lain there for long is asked.
        let first = pool.acquire().await.expect("a session");
        let second = pool.acquire().await.expect("a session");
        assert_eq!(asked(), 1);
        // After one was lost, all that were used before are.
        drop(second);
        let mut lost = first;
        lost.discard();
        drop(lost);
        tokio::time::sleep(Duration::from_millis(1)).await;
        drop(pool.acquire().await.expect("a session"));
        assert_eq!(asked(), 1);
        drop(pool.acquire().await.expect("a session"));
        assert_eq!(asked(), 0);
    }
}
