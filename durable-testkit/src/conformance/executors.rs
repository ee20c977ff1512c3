//! Executor ids: held by one living process at a time, with a life number that grows.

use durable_core::{
    db::{DbError, Joined, SystemDb, WantedExecutor},
    ids::ExecutorId,
};

use super::{
    Context,
    context::{given, wanted},
};

cases! { "executors":
    a_process_gets_the_id_that_it_wants,
    a_given_id_in_use_is_refused,
    a_default_id_in_use_is_suffixed,
    a_default_id_that_is_free_is_taken_as_it_is,
    leaving_frees_an_id,
    the_death_of_a_process_frees_its_ids,
    a_process_lives_as_long_as_one_handle_of_it,
    leaving_what_is_not_held_does_nothing,
    a_life_is_greater_than_all_before_it,
    lives_of_a_suffixed_id_grow_too,
}

fn default_id(id: &str) -> WantedExecutor {
    WantedExecutor {
        given: false,
        ..wanted(id)
    }
}

async fn join(db: &dyn SystemDb, id: &str) -> Joined {
    given(db.join(&wanted(id)).await)
}

async fn expect_in_use(db: &dyn SystemDb, id: &str) {
    let refused = db.join(&wanted(id)).await;
    let Err(DbError::Refused(why)) = &refused else {
        panic!("id {id:?} is held by a living process: {refused:?}");
    };
    assert!(why.contains(id), "it names the id: {why}");
}

async fn a_process_gets_the_id_that_it_wants(t: Context) {
    assert_eq!(join(&*t.db, "one").await.id, "one".into());
    assert_eq!(join(&*t.db, "größe 'two'").await.id, "größe 'two'".into());
    let joined = given(t.db.join(&default_id("three")).await);
    assert_eq!(joined.id, "three".into());
}

async fn a_given_id_in_use_is_refused(t: Context) {
    join(&*t.db, "worker").await;
    let other = t.another_process().await;
    expect_in_use(&*other, "worker").await;
    expect_in_use(&*t.db, "worker").await;
    join(&*other, "worker too").await;
}

async fn a_default_id_in_use_is_suffixed(t: Context) {
    let mut processes = Vec::new();
    for expected in ["local", "local-2", "local-3", "local-4"] {
        let process = t.another_process().await;
        let joined = given(process.join(&default_id("local")).await);
        assert_eq!(joined.id, expected.into());
        processes.push(process);
    }
    expect_in_use(&*t.db, "local-2").await;
}

async fn a_default_id_that_is_free_is_taken_as_it_is(t: Context) {
    join(&*t.db, "local-2").await;
    let other = t.another_process().await;
    let first = given(other.join(&default_id("local")).await);
    assert_eq!(first.id, "local".into());
    let another = t.another_process().await;
    let second = given(another.join(&default_id("local")).await);
    assert_eq!(second.id, "local-3".into(), "local-2 is given to another");
}

async fn leaving_frees_an_id(t: Context) {
    let other = t.another_process().await;
    join(&*t.db, "worker").await;
    given(t.db.leave(&"worker".into()).await);
    join(&*other, "worker").await;
    expect_in_use(&*t.db, "worker").await;
    given(other.leave(&"worker".into()).await);
    given(other.leave(&"worker".into()).await);
    join(&*t.db, "worker").await;
}

async fn the_death_of_a_process_frees_its_ids(t: Context) {
    let other = t.another_process().await;
    join(&*other, "worker").await;
    join(&*other, "second").await;
    expect_in_use(&*t.db, "worker").await;
    drop(other);
    for id in ["worker", "second"] {
        let freed = || async { t.db.join(&wanted(id)).await.ok() };
        t.eventually("a dead process's id is free", freed).await;
    }
}

async fn a_process_lives_as_long_as_one_handle_of_it(t: Context) {
    let other = t.another_process().await;
    join(&*other, "worker").await;
    let clone = std::sync::Arc::clone(&other);
    drop(other);
    given(clone.now().await);
    expect_in_use(&*t.db, "worker").await;
    drop(clone);
}

async fn leaving_what_is_not_held_does_nothing(t: Context) {
    given(t.db.leave(&"nobody".into()).await);
    let other = t.another_process().await;
    join(&*other, "worker").await;
    given(t.db.leave(&"worker".into()).await);
    expect_in_use(&*t.db, "worker").await;
    join(&*t.db, "nobody").await;
}

async fn a_life_is_greater_than_all_before_it(t: Context) {
    let mut last = join(&*t.db, "worker").await.incarnation;
    for _ in 0..3 {
        given(t.db.leave(&"worker".into()).await);
        let joined = join(&*t.db, "worker").await;
        assert!(joined.incarnation > last, "{joined:?} after {last}");
        last = joined.incarnation;
    }
    given(t.db.leave(&"worker".into()).await);
    let other = t.another_process().await;
    let joined = join(&*other, "worker").await;
    assert!(joined.incarnation > last);
    last = joined.incarnation;
    drop(other);
    let freed = || async { t.db.join(&wanted("worker")).await.ok() };
    let joined = t.eventually("a dead process's id is free", freed).await;
    assert!(joined.incarnation > last, "{joined:?} after {last}");
}

async fn lives_of_a_suffixed_id_grow_too(t: Context) {
    join(&*t.db, "local").await;
    let other = t.another_process().await;
    let first = given(other.join(&default_id("local")).await);
    let id: ExecutorId = first.id.clone();
    given(other.leave(&id).await);
    let second = given(other.join(&default_id("local")).await);
    assert_eq!(second.id, id);
    assert!(second.incarnation > first.incarnation);
    given(other.leave(&id).await);
    let third = join(&*other, id.as_str()).await;
    assert!(third.incarnation > second.incarnation);
}
