//! Executor ids: held by one living process at a time, with a life number that grows.

use durable_core::{
    db::{DbError, Joined, Serves, Serving, SystemDb, WantedExecutor},
    ids::ExecutorId,
};

use super::{
    Context,
    context::{given, wanted},
    make,
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
    a_living_executor_is_listed_with_what_it_serves,
    who_left_or_died_serves_nothing,
    a_later_life_serves_what_it_declares_itself,
    an_executor_that_names_no_queue_has_declared_nothing,
    executors_of_another_application_are_not_listed,
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

fn serves(version: &str, queues: &[&str]) -> Serves {
    Serves {
        version: version.to_owned(),
        queues: queues.iter().map(|&queue| queue.to_owned()).collect(),
    }
}

async fn join_serving(db: &dyn SystemDb, id: &str, serves: &Serves) {
    let wanted = WantedExecutor {
        serves: serves.clone(),
        ..wanted(id)
    };
    given(db.join(&wanted).await);
}

async fn serving(t: &Context) -> Vec<(String, Option<Serves>)> {
    let serving = given(t.db.serving(make::APPLICATION).await);
    let told = |one: Serving| (one.executor.to_string(), one.serves);
    serving.into_iter().map(told).collect()
}

async fn a_living_executor_is_listed_with_what_it_serves(t: Context) {
    assert_eq!(serving(&t).await, []);
    join_serving(&*t.db, "b", &serves("v 1", &["mail", "größe", "mail"])).await;
    let other = t.another_process().await;
    join_serving(&*other, "a", &serves("v2", &["Mail"])).await;
    assert_eq!(
        serving(&t).await,
        [
            ("a".to_owned(), Some(serves("v2", &["Mail"]))),
            ("b".to_owned(), Some(serves("v 1", &["größe", "mail"]))),
        ]
    );
}

async fn who_left_or_died_serves_nothing(t: Context) {
    let mail = serves("v1", &["mail"]);
    join_serving(&*t.db, "left", &mail).await;
    given(t.db.leave(&"left".into()).await);
    assert_eq!(serving(&t).await, []);
    let other = t.another_process().await;
    join_serving(&*other, "died", &mail).await;
    assert_eq!(serving(&t).await.len(), 1);
    drop(other);
    let gone = || async { serving(&t).await.is_empty().then_some(()) };
    t.eventually("the dead are not listed", gone).await;
}

async fn a_later_life_serves_what_it_declares_itself(t: Context) {
    join_serving(&*t.db, "worker", &serves("v1", &["mail", "print"])).await;
    given(t.db.leave(&"worker".into()).await);
    let later = serves("v2", &["print", "scan"]);
    join_serving(&*t.db, "worker", &later).await;
    assert_eq!(serving(&t).await, [("worker".to_owned(), Some(later))]);
    given(t.db.leave(&"worker".into()).await);
    join_serving(&*t.db, "worker", &Serves::default()).await;
    assert_eq!(serving(&t).await, [("worker".to_owned(), None)]);
}

async fn an_executor_that_names_no_queue_has_declared_nothing(t: Context) {
    join_serving(&*t.db, "worker", &serves("v1", &[])).await;
    assert_eq!(serving(&t).await, [("worker".to_owned(), None)]);
}

async fn executors_of_another_application_are_not_listed(t: Context) {
    let elsewhere = WantedExecutor {
        application: "elsewhere".to_owned(),
        serves: serves("v1", &["mail"]),
        ..wanted("worker")
    };
    given(t.db.join(&elsewhere).await);
    assert_eq!(serving(&t).await, []);
    let there = given(t.db.serving("elsewhere").await);
    assert_eq!(there.len(), 1);
}
