//! An order as its driver and its operations use it.

use super::*;

const WAKER: &Waker = Waker::noop();

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn done(ms: i64) -> Position {
    Position {
        at: at(ms),
        wake: None,
    }
}

/// An order with these operations, whose times are known; the workflow is polled for the first
/// time.
fn settled(times: &[(i32, i64)]) -> Order {
    let order = Order::default();
    order.woken();
    order.polls(WAKER);
    assert!(!goes_on(&order));
    for (number, time) in times {
        assert_eq!(order.settle(*number, at(*time)), at(*time));
    }
    order
}

/// The workflow is at rest; whether it is polled again.
fn goes_on(order: &Order) -> bool {
    let wakes = matches!(order.at_rest(), Next::Wakes(_));
    if wakes {
        order.polls(WAKER);
    }
    wakes
}

/// The task is woken from outside, and the workflow polled.
fn woken(order: &Order) {
    order.woken();
    order.polls(WAKER);
}

#[test]
fn the_earlier_one_ends_first_however_late_its_answer_is() {
    let order = settled(&[(1, 5), (2, 6)]);
    order.pends(1, WAKER);
    assert!(!order.may_end(2, WAKER));
    assert!(goes_on(&order), "the first is asked whether it is awaited");
    order.pends(1, WAKER);
    assert!(!goes_on(&order), "it is, and its answer is waited for");
    woken(&order);
    assert!(order.may_end(1, WAKER));
    assert!(goes_on(&order));
    assert!(order.may_end(2, WAKER));
}

#[test]
fn the_next_ends_only_when_the_workflow_is_at_rest() {
    let order = settled(&[(1, 5), (2, 6)]);
    assert!(order.may_end(1, WAKER));
    assert!(!order.may_end(2, WAKER));
    order.polls(WAKER);
    assert!(!order.may_end(2, WAKER));
    assert!(goes_on(&order));
    assert!(order.may_end(2, WAKER));
}

#[test]
fn one_that_is_not_awaited_holds_nobody_up() {
    let order = settled(&[(1, 5)]);
    order.pends(1, WAKER);
    assert!(!goes_on(&order));
    woken(&order);
    order.settle(2, at(6));
    assert!(!order.may_end(2, WAKER));
    assert!(goes_on(&order), "the first is asked whether it is awaited");
    assert!(!order.may_end(2, WAKER));
    assert!(goes_on(&order), "it is not");
    assert!(order.may_end(2, WAKER));
    assert!(!goes_on(&order));
    // Awaited again, it ends.
    woken(&order);
    order.polled(1);
    assert!(order.may_end(1, WAKER));
}

#[test]
fn who_is_awaited_is_asked_again_when_the_task_is_woken() {
    let order = settled(&[(1, 5), (2, 6)]);
    order.pends(1, WAKER);
    assert!(!order.may_end(2, WAKER));
    assert!(goes_on(&order));
    order.pends(1, WAKER);
    assert!(!order.may_end(2, WAKER));
    assert!(!goes_on(&order), "awaited");
    // Something that is no operation has made the code await only the second.
    woken(&order);
    assert!(goes_on(&order), "both are asked");
    assert!(!order.may_end(2, WAKER));
    assert!(goes_on(&order), "the first is not awaited");
    assert!(order.may_end(2, WAKER));
}

#[test]
fn what_is_dropped_holds_nobody_up() {
    let order = settled(&[(1, 5), (2, 6)]);
    assert!(!order.may_end(2, WAKER));
    order.forget(1);
    assert!(goes_on(&order));
    assert!(order.may_end(2, WAKER));
}

#[test]
fn a_time_comes_after_what_has_ended() {
    let order = settled(&[(2, 5)]);
    assert!(order.may_end(2, WAKER));
    assert_eq!(order.settle(1, at(5)), at(6));
    assert_eq!(order.settle(3, at(4)), at(5));
    assert_eq!(order.settle(4, at(7)), at(7));
}

#[test]
fn what_is_recorded_ends_before_anything_new_begins() {
    let order = settled(&[]);
    let mut since = None;
    assert!(!order.may_begin(3, &mut since, WAKER));
    assert!(!order.recorded(2, done(9), WAKER));
    assert!(!order.recorded(1, done(10), WAKER));
    for number in [2, 1] {
        assert!(goes_on(&order));
        assert!(!order.may_begin(3, &mut since, WAKER));
        assert!(order.recorded(number, done(if number == 2 { 9 } else { 10 }), WAKER));
        assert!(order.may_end(number, WAKER));
    }
    assert!(goes_on(&order));
    assert!(order.may_begin(3, &mut since, WAKER));
}

#[test]
fn a_sleep_that_wakes_earlier_has_the_earlier_place_also_when_places_are_ahead_of_the_clock() {
    let order = Order::default();
    order.begins_at(Some((at(5_000), 3)));
    assert_eq!(order.settle(4, at(10)), at(5_000));
    assert_eq!(order.settle_sleep(5, at(110), at(10)), at(5_100));
    // Done before the sleep wakes.
    assert_eq!(order.settle(6, at(100)), at(5_000));
    // By now the places are less ahead, or this would come after the one that wakes later.
    assert_eq!(order.settle_sleep(7, at(105), at(60)), at(5_045));
    assert_eq!(order.settle_sleep(8, at(115), at(20)), at(5_100));
    // Between the two there is no room.
    assert_eq!(order.settle_sleep(2, at(115), at(20)), at(5_101));
    assert_eq!(order.settle_sleep(9, at(9_999), at(9_000)), at(9_999));
}

#[test]
fn a_sleep_of_a_clock_that_was_ahead_keeps_no_other_one_waiting() {
    let order = Order::default();
    let far = Position {
        at: at(5_000),
        wake: Some(at(5_000)),
    };
    order.recorded(1, far, WAKER);
    assert!(!order.is_past(1));
    order.begins_at(Some((at(4_990), 2)));
    assert_eq!(order.settle_sleep(3, at(310), at(10)), at(4_999));
    assert_eq!(order.settle(4, at(20)), at(4_990));
    order.begins_at(Some((at(5_000), 2)));
    assert!(order.is_past(1));
}

/// All of `count` operations are done at once and end one after the other: how many are looked at
/// on the way.
fn work_of_a_join(count: i32) -> usize {
    let order = Order::default();
    order.woken();
    order.polls(WAKER);
    assert!(!goes_on(&order));
    for number in 0..count {
        order.settle(number, at(10));
    }
    for number in 1..count {
        assert!(!order.may_end(number, WAKER));
    }
    for number in 0..count {
        assert!(number == 0 || goes_on(&order));
        assert!(order.may_end(number, WAKER));
        let left = usize::try_from(count - number - 1).ok();
        assert_eq!(order.kept_wakers(), left);
    }
    order.lock().looked_at
}

#[test]
fn a_join_of_a_thousand_looks_at_each_operation_a_few_times() {
    let work = work_of_a_join(1_000);
    assert!(work < 10_000, "{work} looks for 1,000 operations");
}
