-- What PyPI dbos 2.31.1 leaves: version 108.
-- Trimmed output of pg_dump. The rows were made by running workflows; MAX_RECOVERY_ATTEMPTS_EXCEEDED was set
-- afterwards, and the bodies of functions were taken out.
CREATE SCHEMA dbos;
CREATE FUNCTION dbos.enqueue_workflow(workflow_name text, queue_name text, positional_args json[] DEFAULT ARRAY[]::json[], named_args json DEFAULT '{}'::json, class_name text DEFAULT NULL::text, config_name text DEFAULT NULL::text, workflow_id text DEFAULT NULL::text, app_version text DEFAULT NULL::text, timeout_ms bigint DEFAULT NULL::bigint, deadline_epoch_ms bigint DEFAULT NULL::bigint, deduplication_id text DEFAULT NULL::text, priority integer DEFAULT NULL::integer, queue_partition_key text DEFAULT NULL::text, authenticated_user text DEFAULT NULL::text, authenticated_roles text DEFAULT NULL::text, delay_until_epoch_ms bigint DEFAULT NULL::bigint, application_name text DEFAULT NULL::text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$ BEGIN RETURN NULL; END $$;
CREATE FUNCTION dbos.notifications_function() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION dbos.send_message(destination_id text, message json, topic text DEFAULT NULL::text, message_id text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$ BEGIN RETURN; END $$;
CREATE TABLE dbos.application_versions (
    version_id text NOT NULL,
    version_name text NOT NULL,
    version_timestamp bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    created_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    application_name text
);
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
    message_uuid text DEFAULT gen_random_uuid() NOT NULL,
    destination_uuid text NOT NULL,
    topic text,
    message text NOT NULL,
    created_at_epoch_ms bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    serialization text,
    consumed boolean DEFAULT false NOT NULL
);
CREATE TABLE dbos.operation_outputs (
    workflow_uuid text NOT NULL,
    function_id integer NOT NULL,
    function_name text DEFAULT ''::text NOT NULL,
    output text,
    error text,
    child_workflow_id text,
    started_at_epoch_ms bigint,
    completed_at_epoch_ms bigint,
    serialization text,
    application_name text
);
CREATE TABLE dbos.queues (
    queue_id text DEFAULT (gen_random_uuid())::text NOT NULL,
    name text NOT NULL,
    concurrency integer,
    worker_concurrency integer,
    rate_limit_max integer,
    rate_limit_period_sec double precision,
    priority_enabled boolean DEFAULT false NOT NULL,
    partition_queue boolean DEFAULT false NOT NULL,
    polling_interval_sec double precision DEFAULT 1.0 NOT NULL,
    created_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    updated_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    application_name text,
    partition_concurrency integer,
    partition_worker_concurrency integer,
    partition_rate_limit_max integer,
    partition_rate_limit_period_sec double precision
);
CREATE TABLE dbos.streams (
    workflow_uuid text NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    "offset" integer NOT NULL,
    function_id integer DEFAULT 0 NOT NULL,
    serialization text
);
CREATE TABLE dbos.workflow_events (
    workflow_uuid text NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    serialization text
);
CREATE TABLE dbos.workflow_events_history (
    workflow_uuid text NOT NULL,
    function_id integer NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    serialization text
);
CREATE TABLE dbos.workflow_schedules (
    schedule_id text NOT NULL,
    schedule_name text NOT NULL,
    workflow_name text NOT NULL,
    workflow_class_name text,
    schedule text NOT NULL,
    status text DEFAULT 'ACTIVE'::text NOT NULL,
    context text NOT NULL,
    last_fired_at text,
    automatic_backfill boolean DEFAULT false NOT NULL,
    cron_timezone text,
    queue_name text,
    application_name text
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
    created_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    updated_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    application_version text,
    application_id text,
    class_name character varying(255) DEFAULT NULL::character varying,
    config_name character varying(255) DEFAULT NULL::character varying,
    recovery_attempts bigint DEFAULT 0,
    queue_name text,
    workflow_timeout_ms bigint,
    workflow_deadline_epoch_ms bigint,
    inputs text,
    started_at_epoch_ms bigint,
    deduplication_id text,
    priority integer DEFAULT 0 NOT NULL,
    queue_partition_key text,
    forked_from text,
    owner_xid text,
    parent_workflow_id text,
    serialization text,
    delay_until_epoch_ms bigint,
    was_forked_from boolean DEFAULT false NOT NULL,
    rate_limited boolean DEFAULT false NOT NULL,
    completed_at bigint,
    attributes jsonb,
    schedule_name text,
    debounce_deadline_epoch_ms bigint,
    is_debounced boolean DEFAULT false NOT NULL,
    application_name text
);
INSERT INTO dbos.application_versions VALUES ('6a983d8e-35d4-414b-925a-6b7f3cd45054', 'v1', 1795647490269, 1795647490269, 'shop');
INSERT INTO dbos.dbos_migrations VALUES (108);
INSERT INTO dbos.notifications VALUES ('key-1::received', 'received', 'hello', 'gASVEgAAAAAAAAB9lIwFaGVsbG+UjAN5b3WUcy4=', 1795647491294, 'py_pickle', true);
INSERT INTO dbos.notifications VALUES ('5053c5a5-74c7-46e4-89cb-af96e327d6e3', 'pending', 'other', 'gASVCgAAAAAAAACMBnVucmVhZJQu', 1795647491328, 'py_pickle', false);
INSERT INTO dbos.notifications VALUES ('4f690a2d-c5de-4627-83a9-8e30b0c073b2', 'pending', 'sql', '{"by":"sql"}', 1795647491447, 'portable_json', false);
INSERT INTO dbos.operation_outputs VALUES ('success', 1, 'add', 'gARLFS4=', NULL, NULL, 1795647490367, 1795647490383, 'py_pickle', 'shop');
INSERT INTO dbos.operation_outputs VALUES ('success', 2, 'DBOS.setEvent', NULL, NULL, NULL, 1795647490397, 1795647490409, NULL, 'shop');
INSERT INTO dbos.operation_outputs VALUES ('success', 3, 'DBOS.writeStream', NULL, NULL, NULL, 1795647490424, 1795647490438, NULL, 'shop');
INSERT INTO dbos.operation_outputs VALUES ('success', 4, 'DBOS.writeStream', NULL, NULL, NULL, 1795647490455, 1795647490461, NULL, 'shop');
INSERT INTO dbos.operation_outputs VALUES ('success', 5, 'child', NULL, NULL, 'success-5', 1795647490465, 1795647490488, NULL, 'shop');
INSERT INTO dbos.operation_outputs VALUES ('success', 6, 'DBOS.getResult', 'gARLKi4=', NULL, 'success-5', 1795647490499, 1795647490503, 'py_pickle', 'shop');
INSERT INTO dbos.operation_outputs VALUES ('error', 1, 'refuse', NULL, 'gASVKgAAAAAAAACMCGJ1aWx0aW5zlIwKVmFsdWVFcnJvcpSTlIwIbm8gc3RvY2uUhZRSlC4=', NULL, 1795647490627, 1795647490640, 'py_pickle', 'shop');
INSERT INTO dbos.operation_outputs VALUES ('cancelled', 1, 'DBOS.sleep', '1795647490.6987429', NULL, NULL, 1795647490671, 1795647490698, 'portable_json', 'shop');
INSERT INTO dbos.operation_outputs VALUES ('cancelled', 3, 'DBOS.sleep', '1795651090.7127278', NULL, NULL, 1795647490711, 1795647490712, 'portable_json', 'shop');
INSERT INTO dbos.operation_outputs VALUES ('pending', 1, 'DBOS.sleep', '1795647490.995756', NULL, NULL, 1795647490983, 1795647490995, 'portable_json', 'shop');
INSERT INTO dbos.operation_outputs VALUES ('pending', 3, 'DBOS.sleep', '1795651091.0059373', NULL, NULL, 1795647491004, 1795647491005, 'portable_json', 'shop');
INSERT INTO dbos.operation_outputs VALUES ('received', 2, 'DBOS.sleep', '1795647551.3054974', NULL, NULL, 1795647491302, 1795647491305, 'portable_json', 'shop');
INSERT INTO dbos.operation_outputs VALUES ('received', 1, 'DBOS.recv', 'gASVEgAAAAAAAAB9lIwFaGVsbG+UjAN5b3WUcy4=', NULL, NULL, 1795647491292, 1795647491319, 'py_pickle', 'shop');
INSERT INTO dbos.operation_outputs VALUES ('19cf0cac-f851-4ac3-9c97-a745e2b69b0d', 1, 'add', 'gARLFS4=', NULL, NULL, 1795647490367, 1795647490383, 'py_pickle', 'shop');
INSERT INTO dbos.operation_outputs VALUES ('19cf0cac-f851-4ac3-9c97-a745e2b69b0d', 2, 'DBOS.setEvent', NULL, NULL, NULL, 1795647492342, 1795647492344, NULL, 'shop');
INSERT INTO dbos.operation_outputs VALUES ('19cf0cac-f851-4ac3-9c97-a745e2b69b0d', 3, 'DBOS.writeStream', NULL, NULL, NULL, 1795647492347, 1795647492354, NULL, 'shop');
INSERT INTO dbos.operation_outputs VALUES ('19cf0cac-f851-4ac3-9c97-a745e2b69b0d', 4, 'DBOS.writeStream', NULL, NULL, NULL, 1795647492361, 1795647492364, NULL, 'shop');
INSERT INTO dbos.operation_outputs VALUES ('19cf0cac-f851-4ac3-9c97-a745e2b69b0d', 5, 'child', NULL, NULL, '19cf0cac-f851-4ac3-9c97-a745e2b69b0d-5', 1795647492366, 1795647492373, NULL, 'shop');
INSERT INTO dbos.operation_outputs VALUES ('19cf0cac-f851-4ac3-9c97-a745e2b69b0d', 6, 'DBOS.getResult', 'gARLKi4=', NULL, '19cf0cac-f851-4ac3-9c97-a745e2b69b0d-5', 1795647492376, 1795647492383, 'py_pickle', 'shop');
INSERT INTO dbos.streams VALUES ('success', 'lines', 'gASVCQAAAAAAAACMBWZpcnN0lC4=', 0, 3, 'py_pickle');
INSERT INTO dbos.streams VALUES ('success', 'lines', 'gASVDwAAAAAAAAB9lIwGc2Vjb25klEsCcy4=', 1, 4, 'py_pickle');
INSERT INTO dbos.streams VALUES ('19cf0cac-f851-4ac3-9c97-a745e2b69b0d', 'lines', 'gASVCQAAAAAAAACMBWZpcnN0lC4=', 0, 3, 'py_pickle');
INSERT INTO dbos.streams VALUES ('19cf0cac-f851-4ac3-9c97-a745e2b69b0d', 'lines', 'gASVDwAAAAAAAAB9lIwGc2Vjb25klEsCcy4=', 1, 4, 'py_pickle');
INSERT INTO dbos.workflow_events VALUES ('success', 'state', 'gASVDAAAAAAAAAB9lIwDc3VtlEsVcy4=', 'py_pickle');
INSERT INTO dbos.workflow_events VALUES ('19cf0cac-f851-4ac3-9c97-a745e2b69b0d', 'state', 'gASVDAAAAAAAAAB9lIwDc3VtlEsVcy4=', 'py_pickle');
INSERT INTO dbos.workflow_events_history VALUES ('success', 2, 'state', 'gASVDAAAAAAAAAB9lIwDc3VtlEsVcy4=', 'py_pickle');
INSERT INTO dbos.workflow_events_history VALUES ('19cf0cac-f851-4ac3-9c97-a745e2b69b0d', 2, 'state', 'gASVDAAAAAAAAAB9lIwDc3VtlEsVcy4=', 'py_pickle');
INSERT INTO dbos.workflow_status VALUES ('success-5', 'SUCCESS', 'child', NULL, NULL, NULL, NULL, 'gARLKi4=', NULL, 'one', 1795647490486, 1795647490501, 'v1', '', NULL, NULL, 1, NULL, NULL, NULL, 'gASVGwAAAAAAAAB9lCiMBGFyZ3OUSxWFlIwGa3dhcmdzlH2UdS4=', NULL, NULL, 0, NULL, NULL, 'fcabe46d-3736-441d-a299-39962001e569', 'success', 'py_pickle', NULL, false, false, 1795647490501, 'null', NULL, NULL, false, 'shop');
INSERT INTO dbos.workflow_status VALUES ('success-none', 'SUCCESS', 'empty', NULL, NULL, NULL, NULL, 'gAROLg==', NULL, 'one', 1795647490575, 1795647490610, 'v1', '', NULL, NULL, 1, NULL, NULL, NULL, 'gASVGAAAAAAAAAB9lCiMBGFyZ3OUKYwGa3dhcmdzlH2UdS4=', NULL, NULL, 0, NULL, NULL, 'ce30e7b3-94e7-4afa-9e05-e1d69ba1af72', NULL, 'py_pickle', NULL, false, false, 1795647490610, 'null', NULL, NULL, false, 'shop');
INSERT INTO dbos.workflow_status VALUES ('error', 'ERROR', 'failing', NULL, NULL, NULL, NULL, NULL, 'gASVKgAAAAAAAACMCGJ1aWx0aW5zlIwKVmFsdWVFcnJvcpSTlIwIbm8gc3RvY2uUhZRSlC4=', 'one', 1795647490621, 1795647490646, 'v1', '', NULL, NULL, 1, NULL, NULL, NULL, 'gASVGAAAAAAAAAB9lCiMBGFyZ3OUKYwGa3dhcmdzlH2UdS4=', NULL, NULL, 0, NULL, NULL, '0029a4fb-a461-4d0f-a260-9f8c2d750c54', NULL, 'py_pickle', NULL, false, false, 1795647490646, 'null', NULL, NULL, false, 'shop');
INSERT INTO dbos.workflow_status VALUES ('cancelled', 'CANCELLED', 'waiting', NULL, NULL, NULL, NULL, NULL, NULL, 'one', 1795647490667, 1795647490977, 'v1', '', NULL, NULL, 1, NULL, NULL, NULL, 'gASVGAAAAAAAAAB9lCiMBGFyZ3OUKYwGa3dhcmdzlH2UdS4=', NULL, NULL, 0, NULL, NULL, 'a0c6d2f6-190b-4206-80aa-32f88e33d3a3', NULL, 'py_pickle', NULL, false, false, 1795647490977, 'null', NULL, NULL, false, 'shop');
INSERT INTO dbos.workflow_status VALUES ('pending', 'PENDING', 'waiting', NULL, NULL, NULL, NULL, NULL, NULL, 'one', 1795647490980, 1795647490980, 'v1', '', NULL, NULL, 1, NULL, NULL, NULL, 'gASVGAAAAAAAAAB9lCiMBGFyZ3OUKYwGa3dhcmdzlH2UdS4=', NULL, NULL, 0, NULL, NULL, '2576339e-238d-478a-b505-0f818372ecd0', NULL, 'py_pickle', NULL, false, false, NULL, 'null', NULL, NULL, false, 'shop');
INSERT INTO dbos.workflow_status VALUES ('received', 'SUCCESS', 'receiving', NULL, NULL, NULL, NULL, 'gASVEgAAAAAAAAB9lIwFaGVsbG+UjAN5b3WUcy4=', NULL, 'one', 1795647491286, 1795647491324, 'v1', '', NULL, NULL, 1, NULL, NULL, NULL, 'gASVGAAAAAAAAAB9lCiMBGFyZ3OUKYwGa3dhcmdzlH2UdS4=', NULL, NULL, 0, NULL, NULL, 'b043ee53-3c88-445a-a68a-aefa03d51113', NULL, 'py_pickle', NULL, false, false, 1795647491324, 'null', NULL, NULL, false, 'shop');
INSERT INTO dbos.workflow_status VALUES ('success', 'SUCCESS', 'total', NULL, NULL, NULL, NULL, 'gASVDgAAAAAAAAB9lIwFdG90YWyUSypzLg==', NULL, 'one', 1795647490359, 1795647490544, 'v1', '', NULL, NULL, 1, NULL, NULL, NULL, 'gASVHQAAAAAAAAB9lCiMBGFyZ3OUSxRLAYaUjAZrd2FyZ3OUfZR1Lg==', NULL, NULL, 0, NULL, NULL, '05f1f857-0231-4b20-b5ee-6ba476aa531d', NULL, 'py_pickle', NULL, true, false, 1795647490544, 'null', NULL, NULL, false, 'shop');
INSERT INTO dbos.workflow_status VALUES ('enqueued-0', 'ENQUEUED', 'total', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1795647491373, 1795647491373, NULL, NULL, NULL, NULL, 0, 'elsewhere', NULL, NULL, 'gASVHQAAAAAAAAB9lCiMBGFyZ3OUSwFLAoaUjAZrd2FyZ3OUfZR1Lg==', NULL, NULL, 0, NULL, NULL, NULL, NULL, 'py_pickle', NULL, false, false, NULL, 'null', NULL, NULL, false, NULL);
INSERT INTO dbos.workflow_status VALUES ('enqueued-1', 'ENQUEUED', 'total', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1795647491387, 1795647491387, NULL, NULL, NULL, NULL, 0, 'elsewhere', NULL, NULL, 'gASVHQAAAAAAAAB9lCiMBGFyZ3OUSwFLAoaUjAZrd2FyZ3OUfZR1Lg==', NULL, 'once', 0, NULL, NULL, NULL, NULL, 'py_pickle', NULL, false, false, NULL, 'null', NULL, NULL, false, NULL);
INSERT INTO dbos.workflow_status VALUES ('enqueued-2', 'ENQUEUED', 'total', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1795647491396, 1795647491396, NULL, NULL, NULL, NULL, 0, 'elsewhere', NULL, NULL, 'gASVHQAAAAAAAAB9lCiMBGFyZ3OUSwFLAoaUjAZrd2FyZ3OUfZR1Lg==', NULL, NULL, 3, NULL, NULL, NULL, NULL, 'py_pickle', NULL, false, false, NULL, 'null', NULL, NULL, false, NULL);
INSERT INTO dbos.workflow_status VALUES ('enqueued-part', 'ENQUEUED', 'total', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1795647491410, 1795647491410, NULL, NULL, NULL, NULL, 0, 'partitioned', NULL, NULL, 'gASVHQAAAAAAAAB9lCiMBGFyZ3OUSwFLAoaUjAZrd2FyZ3OUfZR1Lg==', NULL, NULL, 0, 'p', NULL, NULL, NULL, 'py_pickle', NULL, false, false, NULL, 'null', NULL, NULL, false, NULL);
INSERT INTO dbos.workflow_status VALUES ('delayed', 'DELAYED', 'total', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1795647491416, 1795647491416, NULL, NULL, NULL, NULL, 0, 'elsewhere', NULL, NULL, 'gASVHQAAAAAAAAB9lCiMBGFyZ3OUSwFLAoaUjAZrd2FyZ3OUfZR1Lg==', NULL, NULL, 0, NULL, NULL, NULL, NULL, 'py_pickle', 1795733891415, false, false, NULL, 'null', NULL, NULL, false, NULL);
INSERT INTO dbos.workflow_status VALUES ('portable', 'ENQUEUED', 'checkout', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1795647491447, 1795647491447, NULL, NULL, NULL, NULL, 0, 'portable', NULL, NULL, '{"positionalArgs" : [1,"x"], "namedArgs" : {"a": 1}}', NULL, NULL, 0, NULL, NULL, 'a69574e0-f862-4fd5-bf53-cf5674f2bb33', NULL, 'portable_json', NULL, false, false, NULL, NULL, NULL, NULL, false, NULL);
INSERT INTO dbos.workflow_status VALUES ('19cf0cac-f851-4ac3-9c97-a745e2b69b0d-5', 'SUCCESS', 'child', NULL, NULL, NULL, NULL, 'gARLKi4=', NULL, 'one', 1795647492370, 1795647492376, 'v1', '', NULL, NULL, 1, NULL, NULL, NULL, 'gASVGwAAAAAAAAB9lCiMBGFyZ3OUSxWFlIwGa3dhcmdzlH2UdS4=', NULL, NULL, 0, NULL, NULL, '0e9bdf08-4f63-47ac-b83d-be2d061787a1', '19cf0cac-f851-4ac3-9c97-a745e2b69b0d', 'py_pickle', NULL, false, false, 1795647492376, 'null', NULL, NULL, false, 'shop');
INSERT INTO dbos.workflow_status VALUES ('19cf0cac-f851-4ac3-9c97-a745e2b69b0d', 'SUCCESS', 'total', NULL, NULL, NULL, NULL, 'gASVDgAAAAAAAAB9lIwFdG90YWyUSypzLg==', NULL, 'one', 1795647491333, 1795647492388, 'v1', '', NULL, NULL, 1, '_dbos_internal_queue', NULL, NULL, 'gASVHQAAAAAAAAB9lCiMBGFyZ3OUSxRLAYaUjAZrd2FyZ3OUfZR1Lg==', 1795647492313, NULL, 0, NULL, 'success', NULL, NULL, 'py_pickle', NULL, false, false, 1795647492388, 'null', NULL, NULL, false, 'shop');
INSERT INTO dbos.workflow_status VALUES ('enqueued-3', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED', 'total', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1795647491404, 1795647491404, NULL, NULL, NULL, NULL, 102, NULL, 60000, NULL, 'gASVHQAAAAAAAAB9lCiMBGFyZ3OUSwFLAoaUjAZrd2FyZ3OUfZR1Lg==', NULL, NULL, 0, NULL, NULL, NULL, NULL, 'py_pickle', NULL, false, false, NULL, 'null', NULL, NULL, false, NULL);
ALTER TABLE ONLY dbos.application_versions
    ADD CONSTRAINT application_versions_pkey PRIMARY KEY (version_id);
ALTER TABLE ONLY dbos.application_versions
    ADD CONSTRAINT application_versions_version_name_key UNIQUE (version_name);
ALTER TABLE ONLY dbos.dbos_migrations
    ADD CONSTRAINT dbos_migrations_pkey PRIMARY KEY (version);
ALTER TABLE ONLY dbos.event_dispatch_kv
    ADD CONSTRAINT event_dispatch_kv_pkey PRIMARY KEY (service_name, workflow_fn_name, key);
ALTER TABLE ONLY dbos.notifications
    ADD CONSTRAINT notifications_pkey PRIMARY KEY (message_uuid);
ALTER TABLE ONLY dbos.operation_outputs
    ADD CONSTRAINT operation_outputs_pkey PRIMARY KEY (workflow_uuid, function_id);
ALTER TABLE ONLY dbos.queues
    ADD CONSTRAINT queues_name_key UNIQUE (name);
ALTER TABLE ONLY dbos.queues
    ADD CONSTRAINT queues_pkey PRIMARY KEY (queue_id);
ALTER TABLE ONLY dbos.streams
    ADD CONSTRAINT streams_pkey PRIMARY KEY (workflow_uuid, key, "offset");
ALTER TABLE ONLY dbos.workflow_events_history
    ADD CONSTRAINT workflow_events_history_pkey PRIMARY KEY (workflow_uuid, function_id, key);
ALTER TABLE ONLY dbos.workflow_events
    ADD CONSTRAINT workflow_events_pkey PRIMARY KEY (workflow_uuid, key);
ALTER TABLE ONLY dbos.workflow_schedules
    ADD CONSTRAINT workflow_schedules_pkey PRIMARY KEY (schedule_id);
ALTER TABLE ONLY dbos.workflow_schedules
    ADD CONSTRAINT workflow_schedules_schedule_name_key UNIQUE (schedule_name);
ALTER TABLE ONLY dbos.workflow_status
    ADD CONSTRAINT workflow_status_pkey PRIMARY KEY (workflow_uuid);
CREATE INDEX idx_notifications ON dbos.notifications USING btree (destination_uuid, topic);
CREATE INDEX idx_operation_outputs_completed_at_function_name ON dbos.operation_outputs USING btree (completed_at_epoch_ms, function_name);
CREATE INDEX idx_workflow_status_attributes ON dbos.workflow_status USING gin (attributes) WHERE (attributes IS NOT NULL);
CREATE INDEX idx_workflow_status_completed_at ON dbos.workflow_status USING btree (completed_at) WHERE (completed_at IS NOT NULL);
CREATE INDEX idx_workflow_status_delayed ON dbos.workflow_status USING btree (delay_until_epoch_ms) WHERE (status = 'DELAYED'::text);
CREATE INDEX idx_workflow_status_failed ON dbos.workflow_status USING btree (status, created_at) WHERE (status = ANY (ARRAY['ERROR'::text, 'CANCELLED'::text, 'MAX_RECOVERY_ATTEMPTS_EXCEEDED'::text]));
CREATE INDEX idx_workflow_status_forked_from ON dbos.workflow_status USING btree (forked_from) WHERE (forked_from IS NOT NULL);
CREATE INDEX idx_workflow_status_in_flight ON dbos.workflow_status USING btree (queue_name, status, priority, created_at) WHERE (status = ANY (ARRAY['ENQUEUED'::text, 'PENDING'::text]));
CREATE INDEX idx_workflow_status_parent_workflow_id ON dbos.workflow_status USING btree (parent_workflow_id) WHERE (parent_workflow_id IS NOT NULL);
CREATE INDEX idx_workflow_status_partition_dequeue_v2 ON dbos.workflow_status USING btree (queue_name, status, queue_partition_key, priority, created_at, workflow_uuid) WHERE ((status = ANY (ARRAY['ENQUEUED'::text, 'PENDING'::text])) AND (queue_partition_key IS NOT NULL));
CREATE INDEX idx_workflow_status_pending ON dbos.workflow_status USING btree (created_at) WHERE (status = 'PENDING'::text);
CREATE INDEX idx_workflow_status_rate_limited ON dbos.workflow_status USING btree (queue_name, started_at_epoch_ms) WHERE (rate_limited = true);
CREATE INDEX idx_workflow_status_schedule_name ON dbos.workflow_status USING btree (schedule_name) WHERE (schedule_name IS NOT NULL);
CREATE INDEX idx_workflow_status_started_at ON dbos.workflow_status USING btree (started_at_epoch_ms) WHERE (started_at_epoch_ms IS NOT NULL);
CREATE INDEX idx_workflow_topic ON dbos.notifications USING btree (destination_uuid, topic);
CREATE UNIQUE INDEX uq_application_versions_owner_version ON dbos.application_versions USING btree (application_name, version_name) WHERE (application_name IS NOT NULL);
CREATE UNIQUE INDEX uq_application_versions_unclaimed_version ON dbos.application_versions USING btree (version_name) WHERE (application_name IS NULL);
CREATE UNIQUE INDEX uq_workflow_status_dedup_id ON dbos.workflow_status USING btree (queue_name, deduplication_id) WHERE (deduplication_id IS NOT NULL);
CREATE INDEX workflow_status_created_at_index ON dbos.workflow_status USING btree (created_at);
CREATE TRIGGER dbos_notifications_trigger AFTER INSERT ON dbos.notifications FOR EACH ROW EXECUTE FUNCTION dbos.notifications_function();
ALTER TABLE ONLY dbos.notifications
    ADD CONSTRAINT notifications_destination_uuid_fkey FOREIGN KEY (destination_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE ONLY dbos.operation_outputs
    ADD CONSTRAINT operation_outputs_workflow_uuid_fkey FOREIGN KEY (workflow_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE ONLY dbos.streams
    ADD CONSTRAINT streams_workflow_uuid_fkey FOREIGN KEY (workflow_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE ONLY dbos.workflow_events_history
    ADD CONSTRAINT workflow_events_history_workflow_uuid_fkey FOREIGN KEY (workflow_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE ONLY dbos.workflow_events
    ADD CONSTRAINT workflow_events_workflow_uuid_fkey FOREIGN KEY (workflow_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;
