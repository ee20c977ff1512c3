//! All servers of a URL, tried in their order until one takes writes.

use std::{
    fmt,
    future::Future,
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    target::{Target, Tls},
    url::Url,
};
use crate::DriverError;

/// Ends what begins a session on a server that takes no writes: a standby, or one that is set to be read only. In a script, so that it
/// costs no round trip of its own and prepares nothing.
pub(super) const MUST_WRITE: &str = "
    DO $durable$
    BEGIN
        IF pg_catalog.current_setting('transaction_read_only')::boolean THEN
            RAISE EXCEPTION USING
                ERRCODE = '25006',
                MESSAGE = 'this server only reads: it is a standby, or set to default_transaction_read_only';
        END IF;
    END
    $durable$;";

/// The servers that a URL names.
#[derive(Clone)]
pub struct Servers {
    shared: Arc<Shared>,
}

struct Shared {
    targets: Vec<Target>,
    allows: bool,
    timeout: Duration,
    /// The one that answered last: it is tried first.
    last: AtomicUsize,
}

impl Servers {
    /// The servers that a URL names. Errors: what in it cannot be used.
    pub fn of(url: &str) -> Result<Self, DriverError> {
        let Url {
            mut targets,
            shuffled,
            allows,
            timeout,
        } = Url::parse(url)?;
        if shuffled {
            // Each process has its own keys.
            let random = RandomState::new();
            targets.sort_by_cached_key(|target| random.hash_one(target.to_string()));
        }
        Ok(Self {
            shared: Arc::new(Shared {
                targets,
                allows,
                timeout,
                last: AtomicUsize::new(0),
            }),
        })
    }

    /// The server that is tried first: whose it is and how it is reached are those of all others.
    pub fn first(&self) -> &Target {
        let last = self.shared.last.load(Ordering::Relaxed);
        &self.shared.targets[last % self.shared.targets.len()]
    }

    /// Goes through the servers, beginning with the one that answered last, until `connect` succeeds with one.
    ///
    /// Each may take as long as the URL's `connect_timeout` says. Errors: what each of them said.
    pub async fn any<T, F, Fut>(&self, connect: F) -> Result<T, DriverError>
    where
        F: Fn(Target) -> Fut,
        Fut: Future<Output = Result<T, DriverError>>,
    {
        let count = self.shared.targets.len();
        let last = self.shared.last.load(Ordering::Relaxed);
        let mut failures = Vec::new();
        for n in (0..count).map(|n| (last + n) % count) {
            let target = &self.shared.targets[n];
            match self.one(target, &connect).await {
                Ok(connected) => {
                    self.shared.last.store(n, Ordering::Relaxed);
                    return Ok(connected);
                }
                Err(error) => failures.push(error.of_server(target)),
            }
        }
        Err(DriverError::of_all(failures))
    }

    async fn one<T, F, Fut>(&self, target: &Target, connect: &F) -> Result<T, DriverError>
    where
        F: Fn(Target) -> Fut,
        Fut: Future<Output = Result<T, DriverError>>,
    {
        match self.in_time(target.clone(), connect).await {
            Err(error) if self.shared.allows && error.wants_encryption() => {
                let mut encrypted = target.clone();
                encrypted.tls = Tls::Require(None);
                self.in_time(encrypted, connect).await
            }
            answer => answer,
        }
    }

    async fn in_time<T, F, Fut>(&self, target: Target, connect: &F) -> Result<T, DriverError>
    where
        F: Fn(Target) -> Fut,
        Fut: Future<Output = Result<T, DriverError>>,
    {
        let timeout = self.shared.timeout;
        tokio::time::timeout(timeout, connect(target))
            .await
            .unwrap_or_else(|_| {
                Err(DriverError::lost(format!(
                    "no answer within {timeout:?} (connect_timeout)"
                )))
            })
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let targets = self.shared.targets.iter();
        f.debug_list()
            .entries(targets.map(Target::to_string))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn servers_are_tried_in_their_order_and_the_one_that_answered_first() {
        let servers = Servers::of("postgres://me@a,b,c/x").unwrap();
        let tried = std::sync::Mutex::new(Vec::new());
        let only = |wanted: &'static str| {
            let tried = &tried;
            move |target: Target| {
                tried.lock().unwrap().push(target.to_string());
                let answer = if target.to_string().starts_with(wanted) {
                    Ok(())
                } else {
                    Err(DriverError::lost("refused"))
                };
                std::future::ready(answer)
            }
        };
        servers.any(only("b")).await.unwrap();
        servers.any(only("a")).await.unwrap();
        let tried = tried.into_inner().unwrap();
        assert_eq!(tried, ["a:5432", "b:5432", "b:5432", "c:5432", "a:5432"]);
    }

    #[tokio::test]
    async fn what_every_server_said_is_told() {
        let servers = Servers::of("postgres://me@a,b/x").unwrap();
        let refusing = |target: Target| {
            let error = if target.to_string().starts_with('a') {
                DriverError::lost("nobody there")
            } else {
                DriverError::refused(Some("25006"), "this server only reads")
            };
            std::future::ready(Err::<(), _>(error))
        };
        let error = servers.any(refusing).await.unwrap_err();
        assert!(error.is_passing());
        assert_eq!(
            error.to_string(),
            "none of the servers: a:5432: nobody there; b:5432: this server only reads"
        );
    }
}
