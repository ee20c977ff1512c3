-- The indexes that no constraint makes. On a database in use each is run by itself, with CONCURRENTLY after INDEX.
-- A statement that is to ride on a partial index repeats its condition literally.
CREATE INDEX IF NOT EXISTS workflow_status_created_at_index
    ON dbos.workflow_status (created_at)
-- ;;
CREATE INDEX IF NOT EXISTS idx_workflow_status_attributes
    ON dbos.workflow_status USING gin (attributes)
    WHERE attributes IS NOT NULL
-- ;;
CREATE INDEX IF NOT EXISTS idx_workflow_status_completed_at
    ON dbos.workflow_status (completed_at)
    WHERE completed_at IS NOT NULL
-- ;;
-- The sweep of deadlines.
CREATE INDEX IF NOT EXISTS idx_workflow_status_deadline
    ON dbos.workflow_status (workflow_deadline_epoch_ms)
    WHERE status IN ('ENQUEUED', 'PENDING', 'DELAYED') AND workflow_deadline_epoch_ms IS NOT NULL
-- ;;
-- The end of a delay.
CREATE INDEX IF NOT EXISTS idx_workflow_status_delayed
    ON dbos.workflow_status (delay_until_epoch_ms)
    WHERE status = 'DELAYED'
-- ;;
CREATE INDEX IF NOT EXISTS idx_workflow_status_failed
    ON dbos.workflow_status (status, created_at)
    WHERE status IN ('ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED')
-- ;;
CREATE INDEX IF NOT EXISTS idx_workflow_status_forked_from
    ON dbos.workflow_status (forked_from)
    WHERE forked_from IS NOT NULL
-- ;;
-- Claims, in their order, and the count of what runs under a queue's limit.
CREATE INDEX IF NOT EXISTS idx_workflow_status_in_flight_v2
    ON dbos.workflow_status (queue_name, status, priority, created_at)
    INCLUDE (application_name)
    WHERE status IN ('ENQUEUED', 'PENDING')
-- ;;
CREATE INDEX IF NOT EXISTS idx_workflow_status_parent_workflow_id
    ON dbos.workflow_status (parent_workflow_id)
    WHERE parent_workflow_id IS NOT NULL
-- ;;
-- The same as in_flight_v2 for one partition of a queue.
CREATE INDEX IF NOT EXISTS idx_workflow_status_partition_dequeue_v3
    ON dbos.workflow_status (queue_name, status, queue_partition_key, priority, created_at, workflow_uuid)
    INCLUDE (application_name)
    WHERE status IN ('ENQUEUED', 'PENDING') AND queue_partition_key IS NOT NULL
-- ;;
-- Recovery.
CREATE INDEX IF NOT EXISTS idx_workflow_status_pending
    ON dbos.workflow_status (created_at)
    WHERE status = 'PENDING'
-- ;;
-- The starts inside a rate limit's window.
CREATE INDEX IF NOT EXISTS idx_workflow_status_rate_limited
    ON dbos.workflow_status (queue_name, started_at_epoch_ms)
    WHERE rate_limited = TRUE
-- ;;
CREATE INDEX IF NOT EXISTS idx_workflow_status_schedule_name
    ON dbos.workflow_status (schedule_name)
    WHERE schedule_name IS NOT NULL
-- ;;
CREATE INDEX IF NOT EXISTS idx_workflow_status_started_at
    ON dbos.workflow_status (started_at_epoch_ms)
    WHERE started_at_epoch_ms IS NOT NULL
-- ;;
-- A deduplication id is held in its queue until its workflow ends.
CREATE UNIQUE INDEX IF NOT EXISTS uq_workflow_status_dedup_id
    ON dbos.workflow_status (queue_name, deduplication_id)
    WHERE deduplication_id IS NOT NULL
-- ;;
CREATE INDEX IF NOT EXISTS idx_workflow_input_retention
    ON dbos.workflow_input (retention_timestamp)
-- ;;
CREATE INDEX IF NOT EXISTS idx_workflow_output_retention
    ON dbos.workflow_output (retention_timestamp)
-- ;;
CREATE INDEX IF NOT EXISTS idx_operation_outputs_retention
    ON dbos.operation_outputs (retention_timestamp)
-- ;;
CREATE INDEX IF NOT EXISTS idx_operation_outputs_completed_at_function_name_v2
    ON dbos.operation_outputs (completed_at_epoch_ms, function_name)
    INCLUDE (application_name)
-- ;;
-- What waits in a mailbox.
CREATE INDEX IF NOT EXISTS idx_workflow_topic
    ON dbos.notifications (destination_uuid, topic)
-- ;;
CREATE INDEX IF NOT EXISTS idx_application_versions_timestamp
    ON dbos.application_versions (version_timestamp DESC)
-- ;;
CREATE INDEX IF NOT EXISTS idx_application_versions_owner_timestamp
    ON dbos.application_versions (application_name, version_timestamp DESC)
-- ;;
CREATE UNIQUE INDEX IF NOT EXISTS uq_application_versions_owner_version
    ON dbos.application_versions (application_name, version_name)
    WHERE application_name IS NOT NULL
-- ;;
CREATE UNIQUE INDEX IF NOT EXISTS uq_application_versions_unclaimed_version
    ON dbos.application_versions (version_name)
    WHERE application_name IS NULL
