//! The system tables: making them out of whatever is there, and telling whether a database's are those that this library needs.
//!
//! - the `.sql` files: the tables as they are to be
//! - `target`: those files cut into statements, and what older versions had beside them
//! - `catalog`: what the server says is there, and what our SQL would make
//! - `refuse`: what cannot be migrated
//! - `plan`, `alter`: the statements that make one into the other
//! - `grants`: what the application's role needs
//! - `lock`, `run`: doing it, once
//! - `migration`: all that together, as the library gives it
//! - `check`: what is missing, in words; `hint`: and what to do about it
//! - `older`: whether somebody still writes as older SDKs do
//! - `verify`: the look at each launch, which changes nothing

mod alter;
mod catalog;
mod check;
mod grants;
pub(crate) mod hint;
mod lock;
mod migration;
mod older;
mod plan;
mod refuse;
mod run;
mod target;
mod verify;

use durable_core::db::Result;

use crate::{Driver, core::Core, error::Failure};

pub use migration::{Migration, MigrationReport};
pub use plan::FoundSchema;
pub use target::NEEDED;

const LOOKING: &str = "look at the system tables";

/// Migrates, if anything is missing; otherwise it is but a look.
pub(crate) async fn migrate<D: Driver>(core: &Core<D>) -> Result<()> {
    let current = async {
        let mut borrowed = core.borrow().await?;
        verify::encoding(&mut borrowed.connection).await?;
        let problem = verify::problem(&mut borrowed.connection, core.schema()).await?;
        let rights = match problem {
            None => Some(verify::rights(&mut borrowed.connection, core.schema()).await),
            Some(_) => None,
        };
        Ok::<_, Failure>(rights)
    };
    // What stands in the way of a look stands in the way of a migration, which says more of it.
    if let Ok(Some(rights)) = current.await {
        return rights.map_err(|failure| failure.into_error(LOOKING));
    }
    let migration = Migration::new(
        core.driver.clone(),
        core.schema().clone(),
        core.listen_notify,
    );
    migration.run().await.map(drop)
}

/// Refuses a database that is not as this library needs it. Changes nothing.
pub(crate) async fn verify<D: Driver>(core: &Core<D>) -> Result<()> {
    let verdict = async {
        let mut borrowed = core.borrow().await?;
        verify::verify(&mut borrowed.connection, core.schema()).await
    };
    verdict.await.map_err(|failure| failure.into_error(LOOKING))
}
