//! Bugs that the simulation plants, one at a time, to see that it finds them.
//!
//! Without the feature `__sabotage` nothing can be planted, and the compiler leaves out all but a field. Not for any other use.

macro_rules! bugs {
    ($($(#[$what:meta])* $bug:ident,)*) => {
        /// A bug that can be planted in the engine or in the in-memory model.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Bug {
            $($(#[$what])* $bug,)*
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$bug),*];
        }
    };
}

bugs! {
    /// A checkpoint is acknowledged before it is committed.
    AcknowledgesEarly,
    /// Operations take their numbers when they are polled.
    NumbersAtPoll,
    /// A claim whose answer was lost is forgotten.
    ForgetsLostClaims,
    /// An adoption keeps the token of the execution that it takes the workflow from.
    AdoptsWithOldToken,
    /// Queues are looked at only when a hint says so.
    QueueWithoutPoll,
    /// Results are looked for only when a hint says so.
    ResultWithoutPoll,
    /// Messages are looked for only when a hint says so.
    MessageWithoutPoll,
    /// Arguments are decoded before it is decided whether the workflow is dead-lettered.
    DecodesBeforeDeadLetter,
    /// A workflow is tried for ever.
    NeverDeadLetters,
    /// A body that the grace of a shutdown cut off does not count as a crash.
    ReleasesWhatWasCutOff,
    /// A shutdown gives the executor id back before what runs has ended.
    LeavesWhileItRuns,
    /// An execution that recorded something counts as a crash.
    ProgressIsNotSeen,
    /// What a dead executor had claimed from a queue is run beside the worker's places.
    RecoversPastPlaces,
    /// A worker claims as if all its places were free.
    MiscountsPlaces,
    /// A sleep begins anew after a crash.
    SleepStartsOver,
    /// A sleep ends a second early.
    SleepEndsEarly,
    /// Waits count from the last place that is recorded, also where the clock that it is of was
    /// ahead.
    PlacesMoveWakes,
    /// Operations end when they are done, in whatever order.
    EndsInAnyOrder,
    /// A transaction in the system database is committed before its checkpoint.
    CommitsApart,
    /// The witness of a transaction in another database is looked for under the token of the execution.
    ForgetsWitness,
    /// A workflow that is taken over is run without its history.
    ForgetsHistory,
    /// A write that was refused counts as made.
    TakesLostForWritten,
    /// A value that the database does not take stops the execution that gave it.
    StopsAtBadValues,
    /// A poll that the database refuses because of one waiter's value is not asked in parts.
    PollsAllOrNothing,
    /// The model: a write's token is not compared with the row's.
    SkipsOwnerCheck,
    /// The model: an earlier life of an executor may claim.
    DeadLivesClaim,
    /// The model: what other executors left is not found.
    OnlyOwnAreAbandoned,
    /// A message is consumed before it is recorded; half of this is in the model.
    ConsumesBeforeCheckpoint,
    /// The model: a message that is sent again is there twice.
    SendsAgain,
    /// The model: a queue gives out the newest first.
    ClaimsNewestFirst,
    /// The model: a cancel overwrites an end.
    CancelsEnded,
    /// Events are looked for only when a hint says so.
    EventWithoutPoll,
    /// Executions are not asked whether they have lost their workflows.
    OwnersWithoutPoll,
    /// A wait for an event does not look once more when its time is over.
    NoLastLook,
    /// A wait for a message has no end.
    WaitsForEver,
    /// The model: a wait for a message whose time is over does not look.
    EndsWithoutLooking,
    /// The model: a message is taken whatever its topic is.
    TakesAnyTopic,
    /// A failed step with a timeout is not recorded.
    ForgetsTimeouts,
    /// A step whose body panics is not recorded.
    ForgetsPanics,
    /// The error of a child is not recorded by its parent.
    ForgetsChildErrors,
    /// That a child was cancelled is recorded as if it had no result.
    RecordsCancelAsNothing,
    /// The id of a message lacks the number of the operation that sends it.
    MessageIdWithoutNumber,
    /// A message is sent before it is recorded.
    SendsApart,
    /// The model: a value that is published stays, whatever is published later.
    KeepsFirstEvent,
    /// A step is tried once more than it may be.
    RetriesTooOften,
    /// A step is tried again at once.
    RetriesAtOnce,
    /// A step is tried again whatever its error is.
    RetriesAnyError,
    /// Deadlines are not looked after but by executions.
    DeadlinesNotSwept,
    /// A child does not get its parent's deadline.
    ChildWithoutDeadline,
    /// An execution that runs at once does not know its deadline.
    StartForgetsDeadline,
    /// A timeout begins anew with each claim.
    TimeoutStartsOver,
    /// A resumed workflow keeps its deadline.
    ResumeKeepsDeadline,
    /// A deadline is over a second early.
    DeadlinesComeEarly,
    /// An adoption is not counted as an attempt.
    AdoptionsNotCounted,
    /// A resumed workflow keeps its count of attempts.
    ResumeKeepsAttempts,
    /// A workflow is dead-lettered one attempt early.
    DeadLettersEarly,
    /// A claim takes workflows of any version.
    ClaimsAnyVersion,
    /// The model: what is found abandoned may be of any version.
    AdoptsAnyVersion,
    /// A worker does not get back the place of an execution that was interrupted.
    LeaksPlaces,
    /// What a dead executor left is looked for at the launch only.
    RecoversOnlyAtLaunch,
    /// A token on its way to the database counts as unknown.
    ForgetsReserved,
    /// A workflow goes back onto its queue whoever has it by now.
    RequeuesWithoutFence,
    /// A start forgets its priority.
    StartForgetsPriority,
    /// A sleep ends by the clock of the machine.
    SleepsByWallClock,
    /// A new operation begins before what is recorded has ended.
    BeginsAtOnce,
}

impl Bug {
    /// Whether it is planted in this process.
    #[cfg(feature = "__sabotage")]
    pub fn is_planted(self) -> bool {
        PLANTED.load(std::sync::atomic::Ordering::Relaxed) == self as u8 + 1
    }

    /// Whether it is planted in this process: never, in a build without the feature.
    #[cfg(not(feature = "__sabotage"))]
    pub const fn is_planted(self) -> bool {
        false
    }
}

/// The number of the planted bug, from 1; 0 for none.
#[cfg(feature = "__sabotage")]
static PLANTED: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

/// Plants a bug in this process, or none.
#[cfg(feature = "__sabotage")]
pub fn plant(bug: Option<Bug>) {
    let number = bug.map_or(0, |bug| bug as u8 + 1);
    PLANTED.store(number, std::sync::atomic::Ordering::Relaxed);
}
