-- What PyPI dbos 2.17.0 leaves: version 19.
-- Trimmed output of pg_dump. The rows were made by running workflows; MAX_RECOVERY_ATTEMPTS_EXCEEDED was set
-- afterwards, and the bodies of functions were taken out.
CREATE SCHEMA dbos;
CREATE FUNCTION dbos.enqueue_workflow(workflow_name text, queue_name text, positional_args json[] DEFAULT ARRAY[]::json[], named_args json DEFAULT '{}'::json, class_name text DEFAULT NULL::text, config_name text DEFAULT NULL::text, workflow_id text DEFAULT NULL::text, app_version text DEFAULT NULL::text, timeout_ms bigint DEFAULT NULL::bigint, deadline_epoch_ms bigint DEFAULT NULL::bigint, deduplication_id text DEFAULT NULL::text, priority integer DEFAULT NULL::integer, queue_partition_key text DEFAULT NULL::text) RETURNS text
    LANGUAGE plpgsql
    AS $$ BEGIN RETURN NULL; END $$;
CREATE FUNCTION dbos.notifications_function() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION dbos.send_message(destination_id text, message json, topic text DEFAULT NULL::text, message_id text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql
    AS $$ BEGIN RETURN; END $$;
CREATE FUNCTION dbos.workflow_events_function() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RETURN NEW; END $$;
CREATE TABLE dbos.application_versions (
    version_id text NOT NULL,
    version_name text NOT NULL,
    version_timestamp bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    created_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL
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
    serialization text
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
    queue_name text
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
    was_forked_from boolean DEFAULT false NOT NULL
);
INSERT INTO dbos.application_versions VALUES ('46915dd9-a4ae-42ed-a75d-5474f5cabf9a', 'v1', 1795647483385, 1795647483385);
INSERT INTO dbos.dbos_migrations VALUES (19);
INSERT INTO dbos.notifications VALUES ('key-1', 'received', 'hello', 'gASVEgAAAAAAAAB9lIwFaGVsbG+UjAN5b3WUcy4=', 1795647484326, 'py_pickle', true);
INSERT INTO dbos.notifications VALUES ('626e04ae-8ce8-4e16-8fc2-8a895ea4d52c', 'pending', 'other', 'gASVCgAAAAAAAACMBnVucmVhZJQu', 1795647484369, 'py_pickle', false);
INSERT INTO dbos.notifications VALUES ('775a6f95-7f4b-4227-909b-e42a25cbfcd5', 'pending', 'sql', '{"by":"sql"}', 1795647484451, 'portable_json', false);
INSERT INTO dbos.operation_outputs VALUES ('success', 1, 'add', 'gARLFS4=', NULL, NULL, 1795647483451, 1795647483462, 'py_pickle');
INSERT INTO dbos.operation_outputs VALUES ('success', 2, 'DBOS.setEvent', NULL, NULL, NULL, 1795647483487, 1795647483496, NULL);
INSERT INTO dbos.operation_outputs VALUES ('success', 3, 'DBOS.writeStream', NULL, NULL, NULL, 1795647483507, 1795647483530, NULL);
INSERT INTO dbos.operation_outputs VALUES ('success', 4, 'DBOS.writeStream', NULL, NULL, NULL, 1795647483535, 1795647483545, NULL);
INSERT INTO dbos.operation_outputs VALUES ('success', 5, 'child', NULL, NULL, 'success-5', NULL, NULL, NULL);
INSERT INTO dbos.operation_outputs VALUES ('success', 6, 'DBOS.getResult', 'gARLKi4=', NULL, 'success-5', NULL, NULL, 'py_pickle');
INSERT INTO dbos.operation_outputs VALUES ('error', 1, 'refuse', NULL, 'gASVKgAAAAAAAACMCGJ1aWx0aW5zlIwKVmFsdWVFcnJvcpSTlIwIbm8gc3RvY2uUhZRSlC4=', NULL, 1795647483643, 1795647483645, 'py_pickle');
INSERT INTO dbos.operation_outputs VALUES ('cancelled', 1, 'DBOS.sleep', '1795647483.6708672', NULL, NULL, 1795647483659, 1795647483660, 'portable_json');
INSERT INTO dbos.operation_outputs VALUES ('cancelled', 3, 'DBOS.sleep', '1795651083.6754048', NULL, NULL, 1795647483674, 1795647483675, 'portable_json');
INSERT INTO dbos.operation_outputs VALUES ('pending', 1, 'DBOS.sleep', '1795647484.0306432', NULL, NULL, 1795647484015, 1795647484020, 'portable_json');
INSERT INTO dbos.operation_outputs VALUES ('pending', 3, 'DBOS.sleep', '1795651084.0349205', NULL, NULL, 1795647484033, 1795647484034, 'portable_json');
INSERT INTO dbos.operation_outputs VALUES ('received', 2, 'DBOS.sleep', '1795647544.3344228', NULL, NULL, 1795647484333, 1795647484334, 'portable_json');
INSERT INTO dbos.operation_outputs VALUES ('received', 1, 'DBOS.recv', 'gASVEgAAAAAAAAB9lIwFaGVsbG+UjAN5b3WUcy4=', NULL, NULL, 1795647484323, 1795647484346, 'py_pickle');
INSERT INTO dbos.operation_outputs VALUES ('c153bc5b-4e1a-4565-8222-6e3540105a0c', 1, 'add', 'gARLFS4=', NULL, NULL, 1795647483451, 1795647483462, 'py_pickle');
INSERT INTO dbos.operation_outputs VALUES ('c153bc5b-4e1a-4565-8222-6e3540105a0c', 2, 'DBOS.setEvent', NULL, NULL, NULL, 1795647484468, 1795647484471, NULL);
INSERT INTO dbos.operation_outputs VALUES ('c153bc5b-4e1a-4565-8222-6e3540105a0c', 3, 'DBOS.writeStream', NULL, NULL, NULL, 1795647484473, 1795647484475, NULL);
INSERT INTO dbos.operation_outputs VALUES ('c153bc5b-4e1a-4565-8222-6e3540105a0c', 4, 'DBOS.writeStream', NULL, NULL, NULL, 1795647484479, 1795647484481, NULL);
INSERT INTO dbos.operation_outputs VALUES ('c153bc5b-4e1a-4565-8222-6e3540105a0c', 5, 'child', NULL, NULL, 'c153bc5b-4e1a-4565-8222-6e3540105a0c-5', NULL, NULL, NULL);
INSERT INTO dbos.operation_outputs VALUES ('c153bc5b-4e1a-4565-8222-6e3540105a0c', 6, 'DBOS.getResult', 'gARLKi4=', NULL, 'c153bc5b-4e1a-4565-8222-6e3540105a0c-5', NULL, NULL, 'py_pickle');
INSERT INTO dbos.streams VALUES ('success', 'lines', 'gASVCQAAAAAAAACMBWZpcnN0lC4=', 0, 3, 'py_pickle');
INSERT INTO dbos.streams VALUES ('success', 'lines', 'gASVDwAAAAAAAAB9lIwGc2Vjb25klEsCcy4=', 1, 4, 'py_pickle');
INSERT INTO dbos.streams VALUES ('c153bc5b-4e1a-4565-8222-6e3540105a0c', 'lines', 'gASVCQAAAAAAAACMBWZpcnN0lC4=', 0, 3, 'py_pickle');
INSERT INTO dbos.streams VALUES ('c153bc5b-4e1a-4565-8222-6e3540105a0c', 'lines', 'gASVDwAAAAAAAAB9lIwGc2Vjb25klEsCcy4=', 1, 4, 'py_pickle');
INSERT INTO dbos.workflow_events VALUES ('success', 'state', 'gASVDAAAAAAAAAB9lIwDc3VtlEsVcy4=', 'py_pickle');
INSERT INTO dbos.workflow_events VALUES ('c153bc5b-4e1a-4565-8222-6e3540105a0c', 'state', 'gASVDAAAAAAAAAB9lIwDc3VtlEsVcy4=', 'py_pickle');
INSERT INTO dbos.workflow_events_history VALUES ('success', 2, 'state', 'gASVDAAAAAAAAAB9lIwDc3VtlEsVcy4=', 'py_pickle');
INSERT INTO dbos.workflow_events_history VALUES ('c153bc5b-4e1a-4565-8222-6e3540105a0c', 2, 'state', 'gASVDAAAAAAAAAB9lIwDc3VtlEsVcy4=', 'py_pickle');
INSERT INTO dbos.workflow_status VALUES ('success-5', 'SUCCESS', 'child', NULL, NULL, NULL, NULL, 'gARLKi4=', NULL, 'one', 1795647483559, 1795647483597, 'v1', '', NULL, NULL, 1, NULL, NULL, NULL, 'gASVGwAAAAAAAAB9lCiMBGFyZ3OUSxWFlIwGa3dhcmdzlH2UdS4=', NULL, NULL, 0, NULL, NULL, 'c527b6f2-8ea1-4ec7-b528-e64cb69792e1', 'success', 'py_pickle', NULL, false);
INSERT INTO dbos.workflow_status VALUES ('success-none', 'SUCCESS', 'empty', NULL, NULL, NULL, NULL, 'gAROLg==', NULL, 'one', 1795647483629, 1795647483637, 'v1', '', NULL, NULL, 1, NULL, NULL, NULL, 'gASVGAAAAAAAAAB9lCiMBGFyZ3OUKYwGa3dhcmdzlH2UdS4=', NULL, NULL, 0, NULL, NULL, 'd074ace9-985e-4c7d-ab5d-a9b3915214cf', NULL, 'py_pickle', NULL, false);
INSERT INTO dbos.workflow_status VALUES ('error', 'ERROR', 'failing', NULL, NULL, NULL, NULL, NULL, 'gASVKgAAAAAAAACMCGJ1aWx0aW5zlIwKVmFsdWVFcnJvcpSTlIwIbm8gc3RvY2uUhZRSlC4=', 'one', 1795647483640, 1795647483650, 'v1', '', NULL, NULL, 1, NULL, NULL, NULL, 'gASVGAAAAAAAAAB9lCiMBGFyZ3OUKYwGa3dhcmdzlH2UdS4=', NULL, NULL, 0, NULL, NULL, '36755702-36f1-4e67-b56d-c00f2994d32a', NULL, 'py_pickle', NULL, false);
INSERT INTO dbos.workflow_status VALUES ('cancelled', 'CANCELLED', 'waiting', NULL, NULL, NULL, NULL, NULL, NULL, 'one', 1795647483655, 1795647483977, 'v1', '', NULL, NULL, 1, NULL, NULL, NULL, 'gASVGAAAAAAAAAB9lCiMBGFyZ3OUKYwGa3dhcmdzlH2UdS4=', NULL, NULL, 0, NULL, NULL, '2933a085-9925-4c2a-977c-c3482ad07f7f', NULL, 'py_pickle', NULL, false);
INSERT INTO dbos.workflow_status VALUES ('pending', 'PENDING', 'waiting', NULL, NULL, NULL, NULL, NULL, NULL, 'one', 1795647484001, 1795647484001, 'v1', '', NULL, NULL, 1, NULL, NULL, NULL, 'gASVGAAAAAAAAAB9lCiMBGFyZ3OUKYwGa3dhcmdzlH2UdS4=', NULL, NULL, 0, NULL, NULL, '8d3b8e9c-b8d5-43f9-99e8-e65ef5cd49aa', NULL, 'py_pickle', NULL, false);
INSERT INTO dbos.workflow_status VALUES ('received', 'SUCCESS', 'receiving', NULL, NULL, NULL, NULL, 'gASVEgAAAAAAAAB9lIwFaGVsbG+UjAN5b3WUcy4=', NULL, 'one', 1795647484318, 1795647484364, 'v1', '', NULL, NULL, 1, NULL, NULL, NULL, 'gASVGAAAAAAAAAB9lCiMBGFyZ3OUKYwGa3dhcmdzlH2UdS4=', NULL, NULL, 0, NULL, NULL, 'f1fdad0c-2318-41a3-bd77-7cc2d06cb9c4', NULL, 'py_pickle', NULL, false);
INSERT INTO dbos.workflow_status VALUES ('success', 'SUCCESS', 'total', NULL, NULL, NULL, NULL, 'gASVDgAAAAAAAAB9lIwFdG90YWyUSypzLg==', NULL, 'one', 1795647483446, 1795647483617, 'v1', '', NULL, NULL, 1, NULL, NULL, NULL, 'gASVHQAAAAAAAAB9lCiMBGFyZ3OUSxRLAYaUjAZrd2FyZ3OUfZR1Lg==', NULL, NULL, 0, NULL, NULL, '46d80362-a87f-4f0a-8d39-3a93415afd35', NULL, 'py_pickle', NULL, true);
INSERT INTO dbos.workflow_status VALUES ('enqueued-0', 'ENQUEUED', 'total', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1795647484407, 1795647484407, NULL, NULL, NULL, NULL, 0, 'elsewhere', NULL, NULL, 'gASVHQAAAAAAAAB9lCiMBGFyZ3OUSwFLAoaUjAZrd2FyZ3OUfZR1Lg==', NULL, NULL, 0, NULL, NULL, NULL, NULL, 'py_pickle', NULL, false);
INSERT INTO dbos.workflow_status VALUES ('enqueued-1', 'ENQUEUED', 'total', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1795647484413, 1795647484413, NULL, NULL, NULL, NULL, 0, 'elsewhere', NULL, NULL, 'gASVHQAAAAAAAAB9lCiMBGFyZ3OUSwFLAoaUjAZrd2FyZ3OUfZR1Lg==', NULL, 'once', 0, NULL, NULL, NULL, NULL, 'py_pickle', NULL, false);
INSERT INTO dbos.workflow_status VALUES ('enqueued-2', 'ENQUEUED', 'total', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1795647484416, 1795647484416, NULL, NULL, NULL, NULL, 0, 'elsewhere', NULL, NULL, 'gASVHQAAAAAAAAB9lCiMBGFyZ3OUSwFLAoaUjAZrd2FyZ3OUfZR1Lg==', NULL, NULL, 3, NULL, NULL, NULL, NULL, 'py_pickle', NULL, false);
INSERT INTO dbos.workflow_status VALUES ('enqueued-part', 'ENQUEUED', 'total', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1795647484424, 1795647484424, NULL, NULL, NULL, NULL, 0, 'partitioned', NULL, NULL, 'gASVHQAAAAAAAAB9lCiMBGFyZ3OUSwFLAoaUjAZrd2FyZ3OUfZR1Lg==', NULL, NULL, 0, 'p', NULL, NULL, NULL, 'py_pickle', NULL, false);
INSERT INTO dbos.workflow_status VALUES ('delayed', 'DELAYED', 'total', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1795647484428, 1795647484428, NULL, NULL, NULL, NULL, 0, 'elsewhere', NULL, NULL, 'gASVHQAAAAAAAAB9lCiMBGFyZ3OUSwFLAoaUjAZrd2FyZ3OUfZR1Lg==', NULL, NULL, 0, NULL, NULL, NULL, NULL, 'py_pickle', 1795733884427, false);
INSERT INTO dbos.workflow_status VALUES ('portable', 'ENQUEUED', 'checkout', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1795647484451, 1795647484451, NULL, NULL, NULL, NULL, 0, 'portable', NULL, NULL, '{"positionalArgs" : [1,"x"], "namedArgs" : {"a": 1}}', NULL, NULL, 0, NULL, NULL, '7933ff8d-1a80-44fa-986a-1b5f4966020f', NULL, 'portable_json', NULL, false);
INSERT INTO dbos.workflow_status VALUES ('c153bc5b-4e1a-4565-8222-6e3540105a0c-5', 'SUCCESS', 'child', NULL, NULL, NULL, NULL, 'gARLKi4=', NULL, 'one', 1795647484495, 1795647484504, 'v1', '', NULL, NULL, 1, NULL, NULL, NULL, 'gASVGwAAAAAAAAB9lCiMBGFyZ3OUSxWFlIwGa3dhcmdzlH2UdS4=', NULL, NULL, 0, NULL, NULL, '44c4cba9-6829-48dd-9ca2-e722712129eb', 'c153bc5b-4e1a-4565-8222-6e3540105a0c', 'py_pickle', NULL, false);
INSERT INTO dbos.workflow_status VALUES ('c153bc5b-4e1a-4565-8222-6e3540105a0c', 'SUCCESS', 'total', NULL, NULL, NULL, NULL, 'gASVDgAAAAAAAAB9lIwFdG90YWyUSypzLg==', NULL, 'one', 1795647484377, 1795647484513, 'v1', '', NULL, NULL, 1, '_dbos_internal_queue', NULL, NULL, 'gASVHQAAAAAAAAB9lCiMBGFyZ3OUSxRLAYaUjAZrd2FyZ3OUfZR1Lg==', 1795647484449, NULL, 0, NULL, 'success', NULL, NULL, 'py_pickle', NULL, false);
INSERT INTO dbos.workflow_status VALUES ('enqueued-3', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED', 'total', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1795647484420, 1795647484420, NULL, NULL, NULL, NULL, 102, NULL, 60000, NULL, 'gASVHQAAAAAAAAB9lCiMBGFyZ3OUSwFLAoaUjAZrd2FyZ3OUfZR1Lg==', NULL, NULL, 0, NULL, NULL, NULL, NULL, 'py_pickle', NULL, false);
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
ALTER TABLE ONLY dbos.streams
    ADD CONSTRAINT streams_pkey PRIMARY KEY (workflow_uuid, key, "offset");
ALTER TABLE ONLY dbos.workflow_status
    ADD CONSTRAINT uq_workflow_status_queue_name_dedup_id UNIQUE (queue_name, deduplication_id);
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
CREATE INDEX idx_workflow_status_delayed ON dbos.workflow_status USING btree (delay_until_epoch_ms) WHERE (status = 'DELAYED'::text);
CREATE INDEX idx_workflow_status_forked_from ON dbos.workflow_status USING btree (forked_from);
CREATE INDEX idx_workflow_status_parent_workflow_id ON dbos.workflow_status USING btree (parent_workflow_id);
CREATE INDEX idx_workflow_status_queue_status_started ON dbos.workflow_status USING btree (queue_name, status, started_at_epoch_ms);
CREATE INDEX idx_workflow_topic ON dbos.notifications USING btree (destination_uuid, topic);
CREATE INDEX workflow_status_created_at_index ON dbos.workflow_status USING btree (created_at);
CREATE INDEX workflow_status_executor_id_index ON dbos.workflow_status USING btree (executor_id);
CREATE INDEX workflow_status_status_index ON dbos.workflow_status USING btree (status);
CREATE TRIGGER dbos_notifications_trigger AFTER INSERT ON dbos.notifications FOR EACH ROW EXECUTE FUNCTION dbos.notifications_function();
CREATE TRIGGER dbos_workflow_events_trigger AFTER INSERT ON dbos.workflow_events FOR EACH ROW EXECUTE FUNCTION dbos.workflow_events_function();
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
