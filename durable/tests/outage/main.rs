//! A database that goes away under load: whatever happens to it, workflows wait and go on; nothing is lost, done twice or stuck.

// A test program has no outside.
#![allow(unreachable_pub)]

mod bench;
#[path = "../engine/capture.rs"]
mod capture;
mod faults;
mod load;
mod network;
// By the clock nothing is drawn here.
#[allow(dead_code)]
mod random;
mod room;
mod soak;
mod standby;

/// Each test once through each driver.
macro_rules! on_both_drivers {
    ($($(#[$meta:meta])* $test:ident),+ $(,)?) => {
        mod sqlx {
            $(
                $(#[$meta])*
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test::<durable::pg_sqlx::SqlxDriver>().await;
                }
            )+
        }
        mod diesel {
            $(
                $(#[$meta])*
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test::<durable::pg_diesel::DieselDriver>().await;
                }
            )+
        }
    };
}
pub(crate) use on_both_drivers;
