//! The calls of all concerns as a list, for layers that do the same with each.

/// Hands the calls of each concern, as `Trait { fn name(argument: Type, …) -> Answer; … }`, to a macro. What a trait gets belongs here, too.
#[doc(hidden)]
#[macro_export]
macro_rules! __each_concern {
    ($receive:ident) => {
        $receive!($crate::db::Workflows {
            fn insert_workflow(new: &$crate::db::NewWorkflow) -> $crate::db::Inserted;
            fn insert_child(new: &$crate::db::NewWorkflow, parent: &$crate::ids::Owner, step: &$crate::db::StepStamp) -> $crate::db::ChildInserted;
            fn workflow(id: &$crate::ids::WorkflowId) -> Option<$crate::state::WorkflowRow>;
            fn finish_workflow(owner: &$crate::ids::Owner, outcome: &$crate::payload::Outcome) -> $crate::db::Write;
            fn dead_letter(owner: &$crate::ids::Owner) -> $crate::db::Write;
            fn cancel(ids: &[$crate::ids::WorkflowId]) -> Vec<$crate::ids::WorkflowId>;
            fn resume(id: &$crate::ids::WorkflowId, queue: Option<&str>) -> $crate::db::Resumed;
            fn expire_deadlines(application: &str, limit: usize) -> Vec<$crate::ids::WorkflowId>;
            fn list(application: &str, after: Option<&$crate::ids::WorkflowId>, limit: usize) -> Vec<$crate::db::Listed>;
        });

        $receive!($crate::db::Steps {
            fn record_step(owner: &$crate::ids::Owner, step: &$crate::db::StepRecord) -> $crate::db::Recorded;
            fn histories(ids: &[$crate::ids::WorkflowId]) -> Vec<$crate::db::History>;
        });

        $receive!($crate::db::Queues {
            fn claim(request: &$crate::db::ClaimRequest) -> Vec<$crate::db::Claimed>;
            fn claimed_by(tokens: &[$crate::ids::OwnerToken]) -> Vec<$crate::db::Claimed>;
            fn waiting(application: &str) -> Vec<$crate::db::WaitingCount>;
        });

        $receive!($crate::db::Messages {
            fn send(message: &$crate::db::Message, step: Option<(&$crate::ids::Owner, &$crate::db::StepStamp)>) -> $crate::db::Sent;
            fn receive(owner: &$crate::ids::Owner, topic: &str, step: &$crate::db::StepStamp, otherwise: Option<&$crate::payload::Encoded>) -> $crate::db::Received;
        });

        $receive!($crate::db::Events {
            fn set_event(owner: &$crate::ids::Owner, key: &str, value: &$crate::payload::Encoded, step: &$crate::db::StepStamp) -> $crate::db::Recorded;
            fn event(workflow: &$crate::ids::WorkflowId, key: &str) -> Option<$crate::payload::Encoded>;
        });

        $receive!($crate::db::Versions {
            fn register_version(application: &str, version: &str) -> ();
            fn stranded(application: &str, version: &str) -> Vec<$crate::db::VersionCount>;
            fn unrunnable(claimant: &$crate::state::claim::Claimant) -> Vec<$crate::db::Unrunnable>;
        });

        $receive!($crate::db::Executors {
            fn join(wanted: &$crate::db::WantedExecutor) -> $crate::db::Joined;
            fn leave(executor: &$crate::ids::ExecutorId) -> ();
            fn release(owners: &[$crate::ids::Owner]) -> Vec<$crate::ids::WorkflowId>;
            fn abandoned(query: &$crate::db::AbandonedQuery) -> Vec<$crate::db::Abandoned>;
            fn requeue(claimant: &$crate::state::claim::Claimant, abandoned: &[$crate::db::Abandoned]) -> Vec<$crate::ids::WorkflowId>;
            fn adopt(claimant: &$crate::state::claim::Claimant, adoptions: &[$crate::db::Adoption]) -> Vec<$crate::db::Claimed>;
            fn serving(application: &str) -> Vec<$crate::db::Serving>;
        });
    };
}
