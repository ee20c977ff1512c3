-- Functions for callers that have nothing but SQL. They write portable_json only.
-- Enqueues a workflow and returns its id. An id that exists already is returned as it is: only its updated_at moves.
-- Errors: unique_violation if another workflow holds the deduplication id in that queue.
CREATE OR REPLACE FUNCTION dbos.enqueue_workflow(
    workflow_name TEXT,
    queue_name TEXT,
    positional_args JSON[] DEFAULT ARRAY[]::JSON[],
    named_args JSON DEFAULT '{}'::JSON,
    class_name TEXT DEFAULT NULL,
    config_name TEXT DEFAULT NULL,
    workflow_id TEXT DEFAULT NULL,
    app_version TEXT DEFAULT NULL,
    timeout_ms BIGINT DEFAULT NULL,
    deadline_epoch_ms BIGINT DEFAULT NULL,
    deduplication_id TEXT DEFAULT NULL,
    priority INTEGER DEFAULT NULL,
    queue_partition_key TEXT DEFAULT NULL,
    authenticated_user TEXT DEFAULT NULL,
    authenticated_roles TEXT DEFAULT NULL,
    delay_until_epoch_ms BIGINT DEFAULT NULL,
    application_name TEXT DEFAULT NULL
)
RETURNS TEXT
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $enqueue$
DECLARE
    new_id TEXT := coalesce(workflow_id, gen_random_uuid()::TEXT);
BEGIN
    IF coalesce(workflow_name, '') = '' THEN
        RAISE EXCEPTION 'Workflow name cannot be null or empty';
    ELSIF coalesce(queue_name, '') = '' THEN
        RAISE EXCEPTION 'Queue name cannot be null or empty';
    ELSIF json_typeof(named_args) <> 'object' THEN
        RAISE EXCEPTION 'Named args must be a JSON object';
    ELSIF new_id = '' THEN
        RAISE EXCEPTION 'Workflow ID cannot be an empty string if provided.';
    ELSIF delay_until_epoch_ms < 0 THEN
        RAISE EXCEPTION 'delay_until_epoch_ms must be >= 0';
    END IF;

    -- The token goes into owner_xid although nobody runs the row: so do the other SDKs, and a claim overwrites it.
    INSERT INTO dbos.workflow_status (
        workflow_uuid, status,
        name, class_name, config_name, authenticated_user, authenticated_roles,
        application_name, application_version, owner_xid, serialization,
        queue_name, queue_partition_key, priority, deduplication_id, delay_until_epoch_ms,
        workflow_timeout_ms, workflow_deadline_epoch_ms
    )
    VALUES (
        new_id, CASE WHEN delay_until_epoch_ms IS NULL THEN 'ENQUEUED' ELSE 'DELAYED' END,
        workflow_name, class_name, config_name, authenticated_user, authenticated_roles,
        application_name, app_version, gen_random_uuid()::TEXT, 'portable_json',
        queue_name, queue_partition_key, coalesce(priority, 0), deduplication_id, delay_until_epoch_ms,
        timeout_ms, deadline_epoch_ms
    )
    ON CONFLICT (workflow_uuid) DO UPDATE SET updated_at = excluded.updated_at;

    INSERT INTO dbos.workflow_input (workflow_uuid, inputs)
    VALUES (new_id, json_build_object('positionalArgs', positional_args, 'namedArgs', named_args)::TEXT)
    ON CONFLICT (workflow_uuid) DO NOTHING;

    RETURN new_id;
EXCEPTION
    WHEN unique_violation THEN
        RAISE EXCEPTION 'DBOS queue duplicated' USING
            ERRCODE = 'unique_violation',
            DETAIL = format('Deduplication id %s in queue %s is held by another workflow than %s.',
                deduplication_id, queue_name, new_id);
END
$enqueue$
-- ;;
-- Sends a message to a workflow. A message id that was used before sends nothing.
-- Errors: foreign_key_violation if there is no such workflow.
CREATE OR REPLACE FUNCTION dbos.send_message(
    destination_id TEXT,
    message JSON,
    topic TEXT DEFAULT NULL,
    message_id TEXT DEFAULT NULL
)
RETURNS VOID
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $send$
BEGIN
    INSERT INTO dbos.notifications (message_uuid, destination_uuid, topic, message, serialization)
    VALUES (
        coalesce(message_id, gen_random_uuid()::TEXT),
        destination_id,
        coalesce(topic, '__null__topic__'),
        message::TEXT,
        'portable_json'
    )
    ON CONFLICT (message_uuid) DO NOTHING;
EXCEPTION
    WHEN foreign_key_violation THEN
        RAISE EXCEPTION 'DBOS non-existent workflow' USING
            ERRCODE = 'foreign_key_violation',
            DETAIL = format('No workflow has the id %s.', destination_id);
END
$send$
