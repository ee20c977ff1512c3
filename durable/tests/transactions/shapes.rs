//! Transactional steps in workflows that are spawned, with closures that borrow: shapes that must go on compiling, on each driver.

use durable::pg_sqlx::sqlx;
use durable::{
    Isolation, diesel, diesel_async::RunQueryDsl as _, pg_diesel, pg_sqlx, prelude::*, sqlite,
};

use crate::bank::BankError;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Order {
    from: String,
    cents: i64,
}

async fn credit(conn: &mut sqlx::PgConnection, order: &Order) -> Result<u64, sqlx::Error> {
    let credit = sqlx::query("UPDATE accounts SET cents = cents + $1").bind(order.cents);
    Ok(credit.execute(conn).await?.rows_affected())
}

#[durable::workflow]
async fn by_sqlx(ctx: Ctx, order: Order) -> Result<u64, BankError> {
    let bank = ctx.state::<pg_sqlx::DataSource>()?;
    let note = format!("from {}", order.from);
    let first = bank
        .transaction(&ctx, "debit", async |tx| {
            let debit = sqlx::query("UPDATE accounts SET cents = cents - $1 WHERE id = $2")
                .bind(order.cents)
                .bind(&order.from);
            let done = debit.execute(&mut *tx).await?.rows_affected();
            if done == 0 || note.is_empty() {
                return Err(BankError::Poor);
            }
            // A transaction within is a savepoint.
            let mut inner = sqlx::Connection::begin(&mut *tx).await?;
            let more = credit(&mut inner, &order).await?;
            inner.commit().await?;
            bank.enqueue(&ctx, &mut *tx, by_sqlx, order.clone())
                .queue("work")
                .priority(3)
                .await?;
            bank.send(&ctx, &mut *tx, "other", "paid", &order.cents)
                .await?;
            Ok(done + more)
        })
        .isolation(Isolation::RepeatableRead)
        .max_attempts(3)
        .retry_if(|error| matches!(error, BankError::Database(_)))
        .await?;
    // Built before they are awaited, as steps are.
    let (a, b) = tokio::join!(
        bank.transaction(&ctx, "a", async |tx| Ok::<_, BankError>(
            credit(tx, &order).await?
        )),
        bank.transaction(&ctx, format!("b {first}"), async |_tx| Ok::<_, BankError>(
            note.len() as u64
        ))
        .read_only(),
    );
    Ok(first + a? + b?)
}

#[durable::workflow]
async fn by_diesel(ctx: Ctx, order: Order) -> Result<usize, AnyError> {
    let bank = ctx.state::<pg_diesel::DataSource>()?;
    let moved = bank.transaction(&ctx, "debit", async |tx| {
        let debit = diesel::sql_query("UPDATE accounts SET cents = cents - $1")
            .bind::<diesel::sql_types::BigInt, _>(order.cents);
        Ok::<_, AnyError>(debit.execute(tx).await?)
    });
    moved.timeout(Duration::from_secs(9)).await
}

#[durable::workflow]
async fn by_sqlite(ctx: Ctx, order: Order) -> Result<u64, AnyError> {
    let bank = ctx.state::<sqlite::DataSource>()?;
    let moved = bank.transaction(&ctx, "debit", async |tx| {
        let debit = sqlite::sqlx::query("UPDATE accounts SET cents = cents - ?1").bind(order.cents);
        Ok::<_, AnyError>(debit.execute(&mut *tx).await?.rows_affected())
    });
    moved.await
}

/// A handler of a web server: its transaction is its own.
async fn handler(
    app: App,
    bank: pg_sqlx::DataSource,
    pool: sqlx::PgPool,
    order: Order,
) -> Result<String, AnyError> {
    let mut tx = pool.begin().await?;
    sqlx::query("INSERT INTO orders VALUES ($1)")
        .bind(&order.from)
        .execute(&mut *tx)
        .await?;
    let handle = bank
        .enqueue(&app, &mut *tx, by_sqlx, order)
        .queue("work")
        .id("order-1")
        .await?;
    tx.commit().await?;
    Ok(handle.id().to_string())
}

fn spawned<F: Future<Output = T> + Send + 'static, T>(_: F) {}

#[test]
fn workflows_with_transactions_on_each_driver_are_spawned() {
    let _ = App::builder("bank")
        .workflow(by_sqlx)
        .workflow(by_diesel)
        .workflow(by_sqlite);
    let _ = |app, bank, pool, order| spawned(handler(app, bank, pool, order));
}
