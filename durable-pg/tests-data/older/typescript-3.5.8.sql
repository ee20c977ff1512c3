-- What npm @dbos-inc/dbos-sdk 3.5.8 leaves: version 24 of its own count.
-- Trimmed output of pg_dump. The rows were made by running workflows; MAX_RECOVERY_ATTEMPTS_EXCEEDED was set
-- afterwards, and the bodies of functions were taken out.
-- Of an extension there.
CREATE FUNCTION public.uuid_generate_v4() RETURNS uuid LANGUAGE sql AS 'SELECT gen_random_uuid()';
CREATE SCHEMA dbos;
CREATE FUNCTION dbos.notifications_function() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION dbos.workflow_events_function() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RETURN NEW; END $$;
CREATE TABLE dbos.dbos_migrations (
    version bigint NOT NULL
);
CREATE TABLE dbos.event_dispatch_kv (
    service_name text NOT NULL,
    workflow_fn_name text NOT NULL,
    key text NOT NULL,
    value text,
    update_seq numeric(38,0),
    update_time numeric(38,15)
);
CREATE TABLE dbos.notifications (
    destination_uuid text NOT NULL,
    topic text,
    message text NOT NULL,
    created_at_epoch_ms bigint DEFAULT ((EXTRACT(epoch FROM now()) * (1000)::numeric))::bigint NOT NULL,
    message_uuid text DEFAULT public.uuid_generate_v4() NOT NULL
);
CREATE TABLE dbos.operation_outputs (
    workflow_uuid text NOT NULL,
    function_id integer NOT NULL,
    output text,
    error text,
    function_name text DEFAULT ''::text NOT NULL,
    child_workflow_id text
);
CREATE TABLE dbos.scheduler_state (
    workflow_fn_name text NOT NULL,
    last_run_time bigint NOT NULL
);
CREATE TABLE dbos.streams (
    workflow_uuid text NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    "offset" integer NOT NULL
);
CREATE TABLE dbos.workflow_events (
    workflow_uuid text NOT NULL,
    key text NOT NULL,
    value text NOT NULL
);
CREATE TABLE dbos.workflow_inputs (
    workflow_uuid text NOT NULL,
    inputs text NOT NULL
);
CREATE TABLE dbos.workflow_queue (
    queue_name text NOT NULL,
    workflow_uuid text NOT NULL,
    created_at_epoch_ms bigint DEFAULT ((EXTRACT(epoch FROM now()) * (1000)::numeric))::bigint NOT NULL,
    started_at_epoch_ms bigint,
    completed_at_epoch_ms bigint,
    executor_id text,
    deduplication_id text,
    priority integer DEFAULT 0 NOT NULL
);
CREATE TABLE dbos.workflow_status (
    workflow_uuid text NOT NULL,
    status text,
    name text,
    authenticated_user text,
    assumed_role text,
    authenticated_roles text,
    request text,
    output text,
    error text,
    executor_id text,
    created_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * (1000)::numeric))::bigint NOT NULL,
    updated_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * (1000)::numeric))::bigint NOT NULL,
    application_version text,
    application_id text,
    class_name character varying(255) DEFAULT NULL::character varying,
    config_name character varying(255) DEFAULT NULL::character varying,
    recovery_attempts bigint DEFAULT '0'::bigint,
    queue_name text,
    workflow_timeout_ms bigint,
    workflow_deadline_epoch_ms bigint,
    inputs text,
    started_at_epoch_ms bigint,
    deduplication_id text,
    priority integer DEFAULT 0 NOT NULL
);
INSERT INTO dbos.dbos_migrations VALUES (24);
INSERT INTO dbos.notifications VALUES ('pending', 'other', '{"json":"unread","__dbos_serializer":"superjson"}', 1795647496092, '99d5bd07-67a4-4a96-a265-13e0f77123d7');
INSERT INTO dbos.operation_outputs VALUES ('success', 0, '{"json":21,"__dbos_serializer":"superjson"}', NULL, 'add', NULL);
INSERT INTO dbos.operation_outputs VALUES ('success', 1, NULL, NULL, 'DBOS.setEvent', NULL);
INSERT INTO dbos.operation_outputs VALUES ('success', 2, NULL, NULL, 'DBOS.writeStream', NULL);
INSERT INTO dbos.operation_outputs VALUES ('success', 3, NULL, NULL, 'DBOS.writeStream', NULL);
INSERT INTO dbos.operation_outputs VALUES ('success', 4, NULL, NULL, 'child', 'success-4');
INSERT INTO dbos.operation_outputs VALUES ('success', 5, '{"json":42,"__dbos_serializer":"superjson"}', NULL, 'DBOS.getResult', 'success-4');
INSERT INTO dbos.operation_outputs VALUES ('error', 0, NULL, '{"json":{"name":"Error","message":"no stock","stack":"Error: no stock\n    at DBOS.runStep.name (/app/seed.js:18:94)\n    at /app/node_modules/@dbos-inc/dbos-sdk/dist/src/dbos-executor.js:1259:44\n    at AsyncLocalStorage.run (node:async_hooks:346:14)\n    at runWithParentContext (/app/node_modules/@dbos-inc/dbos-sdk/dist/src/context.js:70:32)\n    at runInStepContext (/app/node_modules/@dbos-inc/dbos-sdk/dist/src/context.js:99:18)\n    at /app/node_modules/@dbos-inc/dbos-sdk/dist/src/dbos-executor.js:1257:58\n    at AsyncLocalStorage.run (node:async_hooks:346:14)\n    at AsyncLocalStorageContextManager.with (/app/node_modules/@opentelemetry/context-async-hooks/build/src/AsyncLocalStorageContextManager.js:45:40)\n    at ContextAPI.with (/app/node_modules/@opentelemetry/api/build/src/api/context.js:60:46)\n    at DBOSExecutor.callStepFunction (/app/node_modules/@dbos-inc/dbos-sdk/dist/src/dbos-executor.js:1256:41)"},"__dbos_serializer":"superjson"}', 'refuse', NULL);
INSERT INTO dbos.operation_outputs VALUES ('cancelled', 0, '1795647495429', NULL, 'DBOS.sleep', NULL);
INSERT INTO dbos.operation_outputs VALUES ('cancelled', 2, '1795651095439', NULL, 'DBOS.sleep', NULL);
INSERT INTO dbos.operation_outputs VALUES ('pending', 0, '1795647495737', NULL, 'DBOS.sleep', NULL);
INSERT INTO dbos.operation_outputs VALUES ('pending', 2, '1795651095748', NULL, 'DBOS.sleep', NULL);
INSERT INTO dbos.operation_outputs VALUES ('received', 1, '1795647556040', NULL, 'DBOS.sleep', NULL);
INSERT INTO dbos.operation_outputs VALUES ('receivedkey-1', 0, NULL, NULL, 'DBOS.send', NULL);
INSERT INTO dbos.operation_outputs VALUES ('received', 0, '{"json":{"hello":"you"},"__dbos_serializer":"superjson"}', NULL, 'DBOS.recv', NULL);
INSERT INTO dbos.operation_outputs VALUES ('de2f5bf4-3f0f-4964-aba8-e96ed0156e7a', 0, NULL, NULL, 'DBOS.send', NULL);
INSERT INTO dbos.operation_outputs VALUES ('fb301226-eac3-4442-8e01-2ea7db06ae08', 0, '{"json":21,"__dbos_serializer":"superjson"}', NULL, 'add', NULL);
INSERT INTO dbos.operation_outputs VALUES ('fb301226-eac3-4442-8e01-2ea7db06ae08', 1, NULL, NULL, 'DBOS.setEvent', NULL);
INSERT INTO dbos.operation_outputs VALUES ('fb301226-eac3-4442-8e01-2ea7db06ae08', 2, NULL, NULL, 'DBOS.writeStream', NULL);
INSERT INTO dbos.operation_outputs VALUES ('fb301226-eac3-4442-8e01-2ea7db06ae08', 3, NULL, NULL, 'DBOS.writeStream', NULL);
INSERT INTO dbos.operation_outputs VALUES ('fb301226-eac3-4442-8e01-2ea7db06ae08', 4, NULL, NULL, 'child', 'fb301226-eac3-4442-8e01-2ea7db06ae08-4');
INSERT INTO dbos.operation_outputs VALUES ('fb301226-eac3-4442-8e01-2ea7db06ae08', 5, '{"json":42,"__dbos_serializer":"superjson"}', NULL, 'DBOS.getResult', 'fb301226-eac3-4442-8e01-2ea7db06ae08-4');
INSERT INTO dbos.streams VALUES ('success', 'lines', '"first"', 0);
INSERT INTO dbos.streams VALUES ('success', 'lines', '{"second":2}', 1);
INSERT INTO dbos.streams VALUES ('fb301226-eac3-4442-8e01-2ea7db06ae08', 'lines', '"first"', 0);
INSERT INTO dbos.streams VALUES ('fb301226-eac3-4442-8e01-2ea7db06ae08', 'lines', '{"second":2}', 1);
INSERT INTO dbos.workflow_events VALUES ('success', 'state', '{"json":{"sum":21},"__dbos_serializer":"superjson"}');
INSERT INTO dbos.workflow_status VALUES ('success-4', 'SUCCESS', 'child', '', '', '[]', '{}', '{"json":42,"__dbos_serializer":"superjson"}', NULL, 'local', 1795647495360, 1795647495377, 'v1', '', '', '', 1, NULL, NULL, NULL, '{"json":[21],"__dbos_serializer":"superjson"}', NULL, NULL, 0);
INSERT INTO dbos.workflow_status VALUES ('success', 'SUCCESS', 'total', '', '', '[]', '{}', '{"json":{"total":42},"__dbos_serializer":"superjson"}', NULL, 'local', 1795647495265, 1795647495393, 'v1', '', '', '', 1, NULL, NULL, NULL, '{"json":[20,1],"__dbos_serializer":"superjson"}', NULL, NULL, 0);
INSERT INTO dbos.workflow_status VALUES ('success-none', 'SUCCESS', 'empty', '', '', '[]', '{}', '{"json":null,"__dbos_serializer":"superjson"}', NULL, 'local', 1795647495395, 1795647495399, 'v1', '', '', '', 1, NULL, NULL, NULL, '{"json":[],"__dbos_serializer":"superjson"}', NULL, NULL, 0);
INSERT INTO dbos.workflow_status VALUES ('error', 'ERROR', 'failing', '', '', '[]', '{}', NULL, '{"json":{"dbos_already_logged":true,"name":"Error","message":"no stock","stack":"Error: no stock\n    at DBOS.runStep.name (/app/seed.js:18:94)\n    at /app/node_modules/@dbos-inc/dbos-sdk/dist/src/dbos-executor.js:1259:44\n    at AsyncLocalStorage.run (node:async_hooks:346:14)\n    at runWithParentContext (/app/node_modules/@dbos-inc/dbos-sdk/dist/src/context.js:70:32)\n    at runInStepContext (/app/node_modules/@dbos-inc/dbos-sdk/dist/src/context.js:99:18)\n    at /app/node_modules/@dbos-inc/dbos-sdk/dist/src/dbos-executor.js:1257:58\n    at AsyncLocalStorage.run (node:async_hooks:346:14)\n    at AsyncLocalStorageContextManager.with (/app/node_modules/@opentelemetry/context-async-hooks/build/src/AsyncLocalStorageContextManager.js:45:40)\n    at ContextAPI.with (/app/node_modules/@opentelemetry/api/build/src/api/context.js:60:46)\n    at DBOSExecutor.callStepFunction (/app/node_modules/@dbos-inc/dbos-sdk/dist/src/dbos-executor.js:1256:41)"},"__dbos_serializer":"superjson"}', 'local', 1795647495400, 1795647495413, 'v1', '', '', '', 1, NULL, NULL, NULL, '{"json":[],"__dbos_serializer":"superjson"}', NULL, NULL, 0);
INSERT INTO dbos.workflow_status VALUES ('cancelled', 'CANCELLED', 'waiting', '', '', '[]', '{}', NULL, NULL, 'local', 1795647495415, 1795647495721, 'v1', '', '', '', 1, NULL, NULL, NULL, '{"json":[],"__dbos_serializer":"superjson"}', NULL, NULL, 0);
INSERT INTO dbos.workflow_status VALUES ('pending', 'PENDING', 'waiting', '', '', '[]', '{}', NULL, NULL, 'local', 1795647495724, 1795647495725, 'v1', '', '', '', 1, NULL, NULL, NULL, '{"json":[],"__dbos_serializer":"superjson"}', NULL, NULL, 0);
INSERT INTO dbos.workflow_status VALUES ('receivedkey-1', 'SUCCESS', 'temp_workflow-send-undefined', '', '', '[]', '{}', '{"json":null,"meta":{"values":["undefined"]},"__dbos_serializer":"superjson"}', NULL, 'local', 1795647496037, 1795647496075, 'v1', '', '', '', 1, NULL, NULL, NULL, '{"json":["received",{"hello":"you"},"hello"],"__dbos_serializer":"superjson"}', NULL, NULL, 0);
INSERT INTO dbos.workflow_status VALUES ('received', 'SUCCESS', 'receiving', '', '', '[]', '{}', '{"json":{"hello":"you"},"__dbos_serializer":"superjson"}', NULL, 'local', 1795647496029, 1795647496080, 'v1', '', '', '', 1, NULL, NULL, NULL, '{"json":[],"__dbos_serializer":"superjson"}', NULL, NULL, 0);
INSERT INTO dbos.workflow_status VALUES ('de2f5bf4-3f0f-4964-aba8-e96ed0156e7a', 'SUCCESS', 'temp_workflow-send-undefined', '', '', '[]', '{}', '{"json":null,"meta":{"values":["undefined"]},"__dbos_serializer":"superjson"}', NULL, 'local', 1795647496088, 1795647496095, 'v1', '', '', '', 1, NULL, NULL, NULL, '{"json":["pending","unread","other"],"__dbos_serializer":"superjson"}', NULL, NULL, 0);
INSERT INTO dbos.workflow_status VALUES ('enqueued-0', 'ENQUEUED', 'total', '', '', '[]', '{}', NULL, NULL, '', 1795647496130, 1795647496138, NULL, '', '', '', 0, 'elsewhere', NULL, NULL, '{"json":[1,2],"__dbos_serializer":"superjson"}', NULL, NULL, 0);
INSERT INTO dbos.workflow_status VALUES ('enqueued-1', 'ENQUEUED', 'total', '', '', '[]', '{}', NULL, NULL, '', 1795647496155, 1795647496159, NULL, '', '', '', 0, 'elsewhere', NULL, NULL, '{"json":[1,2],"__dbos_serializer":"superjson"}', NULL, 'once', 0);
INSERT INTO dbos.workflow_status VALUES ('enqueued-2', 'ENQUEUED', 'total', '', '', '[]', '{}', NULL, NULL, '', 1795647496161, 1795647496161, NULL, '', '', '', 0, 'elsewhere', NULL, NULL, '{"json":[1,2],"__dbos_serializer":"superjson"}', NULL, NULL, 3);
INSERT INTO dbos.workflow_status VALUES ('fb301226-eac3-4442-8e01-2ea7db06ae08-4', 'SUCCESS', 'child', '', '', '[]', '{}', '{"json":42,"__dbos_serializer":"superjson"}', NULL, 'local', 1795647496311, 1795647496324, 'v1', '', '', '', 1, NULL, NULL, NULL, '{"json":[21],"__dbos_serializer":"superjson"}', NULL, NULL, 0);
INSERT INTO dbos.workflow_status VALUES ('fb301226-eac3-4442-8e01-2ea7db06ae08', 'SUCCESS', 'total', '', '', '[]', '{}', '{"json":{"total":42},"__dbos_serializer":"superjson"}', NULL, 'local', 1795647496123, 1795647496346, 'v1', '', '', '', 1, '_dbos_internal_queue', NULL, NULL, '{"json":[20,1],"__dbos_serializer":"superjson"}', 1795647496283, NULL, 0);
INSERT INTO dbos.workflow_status VALUES ('enqueued-3', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED', 'total', '', '', '[]', '{}', NULL, NULL, '', 1795647496163, 1795647496163, NULL, '', '', '', 102, NULL, 60000, NULL, '{"json":[1,2],"__dbos_serializer":"superjson"}', NULL, NULL, 0);
ALTER TABLE ONLY dbos.dbos_migrations
    ADD CONSTRAINT dbos_migrations_pkey PRIMARY KEY (version);
ALTER TABLE ONLY dbos.event_dispatch_kv
    ADD CONSTRAINT event_dispatch_kv_pkey PRIMARY KEY (service_name, workflow_fn_name, key);
ALTER TABLE ONLY dbos.notifications
    ADD CONSTRAINT notifications_pkey PRIMARY KEY (message_uuid);
ALTER TABLE ONLY dbos.operation_outputs
    ADD CONSTRAINT operation_outputs_pkey PRIMARY KEY (workflow_uuid, function_id);
ALTER TABLE ONLY dbos.scheduler_state
    ADD CONSTRAINT scheduler_state_pkey PRIMARY KEY (workflow_fn_name);
ALTER TABLE ONLY dbos.streams
    ADD CONSTRAINT streams_pkey PRIMARY KEY (workflow_uuid, key, "offset");
ALTER TABLE ONLY dbos.workflow_status
    ADD CONSTRAINT uq_workflow_status_queue_name_dedup_id UNIQUE (queue_name, deduplication_id);
ALTER TABLE ONLY dbos.workflow_events
    ADD CONSTRAINT workflow_events_pkey PRIMARY KEY (workflow_uuid, key);
ALTER TABLE ONLY dbos.workflow_inputs
    ADD CONSTRAINT workflow_inputs_pkey PRIMARY KEY (workflow_uuid);
ALTER TABLE ONLY dbos.workflow_queue
    ADD CONSTRAINT workflow_queue_pkey PRIMARY KEY (workflow_uuid);
ALTER TABLE ONLY dbos.workflow_queue
    ADD CONSTRAINT workflow_queue_queue_name_deduplication_id_unique UNIQUE (queue_name, deduplication_id);
ALTER TABLE ONLY dbos.workflow_status
    ADD CONSTRAINT workflow_status_pkey PRIMARY KEY (workflow_uuid);
CREATE INDEX idx_workflow_topic ON dbos.notifications USING btree (destination_uuid, topic);
CREATE INDEX workflow_status_created_at_index ON dbos.workflow_status USING btree (created_at);
CREATE INDEX workflow_status_executor_id_index ON dbos.workflow_status USING btree (executor_id);
CREATE INDEX workflow_status_status_index ON dbos.workflow_status USING btree (status);
CREATE TRIGGER dbos_notifications_trigger AFTER INSERT ON dbos.notifications FOR EACH ROW EXECUTE FUNCTION dbos.notifications_function();
CREATE TRIGGER dbos_workflow_events_trigger AFTER INSERT ON dbos.workflow_events FOR EACH ROW EXECUTE FUNCTION dbos.workflow_events_function();
ALTER TABLE ONLY dbos.notifications
    ADD CONSTRAINT notifications_destination_uuid_foreign FOREIGN KEY (destination_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE ONLY dbos.operation_outputs
    ADD CONSTRAINT operation_outputs_workflow_uuid_foreign FOREIGN KEY (workflow_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE ONLY dbos.streams
    ADD CONSTRAINT streams_workflow_uuid_foreign FOREIGN KEY (workflow_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE ONLY dbos.workflow_events
    ADD CONSTRAINT workflow_events_workflow_uuid_foreign FOREIGN KEY (workflow_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE ONLY dbos.workflow_inputs
    ADD CONSTRAINT workflow_inputs_workflow_uuid_foreign FOREIGN KEY (workflow_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE ONLY dbos.workflow_queue
    ADD CONSTRAINT workflow_queue_workflow_uuid_foreign FOREIGN KEY (workflow_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;
