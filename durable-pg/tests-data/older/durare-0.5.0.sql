-- What crate durare 0.5.0 leaves: version 40 of its own count.
-- Trimmed output of pg_dump. The rows were made by running workflows; MAX_RECOVERY_ATTEMPTS_EXCEEDED was set
-- afterwards, and the bodies of functions were taken out.
CREATE SCHEMA dbos;
CREATE FUNCTION dbos.enqueue_workflow(workflow_name text, queue_name text, positional_args json[] DEFAULT ARRAY[]::json[], named_args json DEFAULT '{}'::json, class_name text DEFAULT NULL::text, config_name text DEFAULT NULL::text, workflow_id text DEFAULT NULL::text, app_version text DEFAULT NULL::text, timeout_ms bigint DEFAULT NULL::bigint, deadline_epoch_ms bigint DEFAULT NULL::bigint, deduplication_id text DEFAULT NULL::text, priority integer DEFAULT NULL::integer, queue_partition_key text DEFAULT NULL::text, authenticated_user text DEFAULT NULL::text, authenticated_roles text DEFAULT NULL::text, delay_until_epoch_ms bigint DEFAULT NULL::bigint) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'dbos', 'pg_catalog', 'pg_temp'
    AS $$ BEGIN RETURN NULL; END $$;
CREATE FUNCTION dbos.notifications_function() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION dbos.send_message(destination_id text, message json, topic text DEFAULT NULL::text, message_id text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'dbos', 'pg_catalog', 'pg_temp'
    AS $$ BEGIN RETURN; END $$;
CREATE FUNCTION dbos.streams_function() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION dbos.workflow_events_function() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$ BEGIN RETURN NEW; END $$;
CREATE TABLE dbos._sqlx_migrations (
    version bigint NOT NULL,
    description text NOT NULL,
    installed_on timestamp with time zone DEFAULT now() NOT NULL,
    success boolean NOT NULL,
    checksum bytea NOT NULL,
    execution_time bigint NOT NULL
);
CREATE TABLE dbos.application_versions (
    version_id text NOT NULL,
    version_name text NOT NULL,
    version_timestamp bigint DEFAULT ((EXTRACT(epoch FROM now()) * (1000)::numeric))::bigint NOT NULL,
    created_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * (1000)::numeric))::bigint NOT NULL
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
    message_uuid text DEFAULT gen_random_uuid() NOT NULL,
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
    updated_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL
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
    created_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * (1000)::numeric))::bigint NOT NULL,
    updated_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * (1000)::numeric))::bigint NOT NULL,
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
    attributes jsonb
);
INSERT INTO dbos._sqlx_migrations VALUES (1, 'initial dbos schema', '2026-11-25 22:59:04.655755+00', true, '\xef7fd59596375b29fb9a26aa685e285e01321be859aa2f0bcb24abe1c6eed28802517030718a89b3b67fa53a1cb7e7a8', 60560336);
INSERT INTO dbos._sqlx_migrations VALUES (2, 'add queue partition key', '2026-11-25 22:59:04.717281+00', true, '\xe9917da667477c3a96a06f0f89a362f289b5049ecc13c412bbcafe71c870fddde0e1533c9c59541131bb39e188426b9b', 2963612);
INSERT INTO dbos._sqlx_migrations VALUES (3, 'add workflow status index', '2026-11-25 22:59:04.720725+00', true, '\x31c6c1e16b19ed1e9ab90e2d9d8e1cccb2f4cd16e890b2af43c24671f69de0a9cf88f9af0ce8522a3cf78239fb687c1b', 5282822);
INSERT INTO dbos._sqlx_migrations VALUES (4, 'add forked from', '2026-11-25 22:59:04.731369+00', true, '\x6b1999109ea68b82d2760adf64a14cfab8b25ba61c275abe14bc7e6176c64994daf2473b913a6ec4901a117eb717f786', 4758582);
INSERT INTO dbos._sqlx_migrations VALUES (5, 'add step timestamps', '2026-11-25 22:59:04.736549+00', true, '\x592fd5ff70f809519375931d0eaf30cede6a344b5c6c703013f31a4487fd4dd3473e84241f89de8cccb93f7d2b567c1c', 828694);
INSERT INTO dbos._sqlx_migrations VALUES (6, 'add workflow events history', '2026-11-25 22:59:04.737865+00', true, '\xc56f3f1f1ff02db699b8262122d6beff03a6c8e0ca77ed19723245177354bdd6dd76584691be5ce632a700892cac89e6', 2666102);
INSERT INTO dbos._sqlx_migrations VALUES (7, 'add owner xid', '2026-11-25 22:59:04.740762+00', true, '\x79d2c0467e9ba8cfe1c2a886e4e339079ceeb6e997b39be7d634028489c93b97258a6b7869bcc6a60812052e6e6a09ea', 6624696);
INSERT INTO dbos._sqlx_migrations VALUES (8, 'add parent workflow id', '2026-11-25 22:59:04.7514+00', true, '\x1d395ab2d0270afb2747c6148a1e20725a0fc6d2624b6fcbcf2e2dd91996e40be725b7a053ab7fb40a58272aff30597e', 7983126);
INSERT INTO dbos._sqlx_migrations VALUES (9, 'add workflow schedules', '2026-11-25 22:59:04.763401+00', true, '\x0d7b3fdecc076d416e0d2bb98bcd7af6ec96f26f9ef7f9336951c79e65b2b090707c0dd28c8099d1ef909bdcfe97f36d', 16030640);
INSERT INTO dbos._sqlx_migrations VALUES (10, 'add notifications pkey', '2026-11-25 22:59:04.78341+00', true, '\x2de66e502ccdb7a34fe6a00b9ac01172a87134214a8d5d493de4721372762dbaa3030c020d5e4cb3cf9ab1ba9743e249', 4006623);
INSERT INTO dbos._sqlx_migrations VALUES (11, 'add serialization columns', '2026-11-25 22:59:04.791416+00', true, '\x7e6a85f5668aef2bda31242e61b32c5f4d6602fe95743b463dc2b1aba852734312a93509620171300cef630d1046a466', 3985085);
INSERT INTO dbos._sqlx_migrations VALUES (12, 'add notifications consumed', '2026-11-25 22:59:04.799426+00', true, '\xc9a0f10bf2bb57230ed6e9c5f37d8720b32886c03067a59fb3ac78501f2d0773573a545554b5b6cee78efddd3283dd2c', 4872935);
INSERT INTO dbos._sqlx_migrations VALUES (13, 'add application versions', '2026-11-25 22:59:04.804632+00', true, '\xa9c3a650a8842eb92fb8d5e2770e96bfebd86e82d1d4d663b013c2b6b4eb2cabf6c9e7670adf222fb9601edb136e0849', 6768269);
INSERT INTO dbos._sqlx_migrations VALUES (14, 'add pgsql client functions', '2026-11-25 22:59:04.81176+00', true, '\x89b37380aec8e87d1e2f0f75881e9e94ce5cfab65c94ef8158262e5a38b18d57e98676bc5cf85b58f6030fb09fe252c7', 3613679);
INSERT INTO dbos._sqlx_migrations VALUES (15, 'add workflow schedule columns', '2026-11-25 22:59:04.815724+00', true, '\x88a5fa99c96a1cdbdd2247a5c548bae59f1549c8cafa3d2f5c11268b865832733cbe96a57a965b411951e1955ecb2883', 4007110);
INSERT INTO dbos._sqlx_migrations VALUES (16, 'add delay until', '2026-11-25 22:59:04.823444+00', true, '\x2107728fdde5bd66f2ddcb9aadb7b75f5b18bbfb23872ef6b029acf1f74fabba12e2c7d201a195058e6b5b04439ed575', 7969881);
INSERT INTO dbos._sqlx_migrations VALUES (17, 'add workflow schedule queue name', '2026-11-25 22:59:04.831796+00', true, '\x5092fb41b71e43bd2259e7fca617dc055ea270f95dd7aff60cd28c8e661fb155f5ad05179165f2d6e6f6eff9192039c9', 3605327);
INSERT INTO dbos._sqlx_migrations VALUES (18, 'add was forked from', '2026-11-25 22:59:04.838383+00', true, '\xf0aba83f242c3f7502638cadae3badf172f9c97bf8a1a97eb27aafe87f4a1bc5d7e674191ed48b60b7c0168d9d0e4792', 942273);
INSERT INTO dbos._sqlx_migrations VALUES (19, 'add operation outputs completed at index', '2026-11-25 22:59:04.851444+00', true, '\xf5f1ad790ff1e6b970aff07669c72c7f0f6495b066b7c92476738644f8ea46faf9a27cce5dd0eb04a6cd8b21a9bbe077', 7942491);
INSERT INTO dbos._sqlx_migrations VALUES (20, 'set function search path', '2026-11-25 22:59:04.863379+00', true, '\x9e68a96fe480e8c0b0b663ae29ac7d14627e06926f781c16b3038ea814b978ccf8f0553833de75b897d815912deb8d3d', 2581365);
INSERT INTO dbos._sqlx_migrations VALUES (21, 'create queues table', '2026-11-25 22:59:04.866621+00', true, '\x28bf9bb4f14e0f1f5b45589de31a651ad5563bdd53f3cdfa020ce8a023afaa43f00d89163d8906dd0a9f2ce29a16a757', 3231037);
INSERT INTO dbos._sqlx_migrations VALUES (22, 'drop forked from index', '2026-11-25 22:59:04.870372+00', true, '\x3b7e66634f7d40c43b9b1c1f53e38f47319d7332899adc013aff69c3c630433d17aaea34bca7c58085392582dde96dd5', 9276507);
INSERT INTO dbos._sqlx_migrations VALUES (23, 'create partial forked from index', '2026-11-25 22:59:04.883129+00', true, '\x232d5f7ca9fb48c1f56ea51dc19ce147ed4d05a1bcdc8de3ab00211dd69884bee4856378c5ce4ce5494b212b63dedda0', 2330248);
INSERT INTO dbos._sqlx_migrations VALUES (24, 'drop parent workflow id index', '2026-11-25 22:59:04.885816+00', true, '\xb044c431fa5422bac3976c7218043a449a4d97c27af34289db71b81eed07165063cabfcefa6f1693167e7e8a640ed4bd', 2400794);
INSERT INTO dbos._sqlx_migrations VALUES (25, 'create partial parent workflow id index', '2026-11-25 22:59:04.888723+00', true, '\xb0a20e4e37b1d26b2e1d4bd8e271512f806087f823540d381e290415c10ed41bfab45e79adc7264f4f38096e9179b12e', 1220296);
INSERT INTO dbos._sqlx_migrations VALUES (26, 'drop executor id index', '2026-11-25 22:59:04.890271+00', true, '\x1c92a0e4c2d865ee28de5b38754784648633f8a1517b150ff3a0f168f305604e87a9754bc3491599c080a74be9c9273d', 1230789);
INSERT INTO dbos._sqlx_migrations VALUES (27, 'create partial dedup id index', '2026-11-25 22:59:04.892013+00', true, '\xe324fcd43139b4299cc161534922d3767ec7d070b7594c818aff70650566806980530b96784c3483654f32acc6f2985a', 4298162);
INSERT INTO dbos._sqlx_migrations VALUES (28, 'drop dedup id constraint', '2026-11-25 22:59:04.896771+00', true, '\x53c859223a450ffec399bc69e0aeeabfb855935ad9187c9b535163ffaf53638c5e90b376b4069fb8b9f56cb1e04f5b5d', 1485325);
INSERT INTO dbos._sqlx_migrations VALUES (29, 'create pending index', '2026-11-25 22:59:04.898634+00', true, '\x1e06860a725ab7b479a34630323390ec4488fe4a9feba915f7359bf596d31d3ca1d0ff37fc48f72fb8d666cee4d00d13', 1566257);
INSERT INTO dbos._sqlx_migrations VALUES (30, 'create failed index', '2026-11-25 22:59:04.900476+00', true, '\xffeed7ef41d032876765dc32849a6bce068446d287029a34c2d22619d23e27f02bf9db99ecf8a0a53cae27f3129a7b06', 1593303);
INSERT INTO dbos._sqlx_migrations VALUES (31, 'drop status index', '2026-11-25 22:59:04.902419+00', true, '\xe8d9c8e7deaa2231f80f1cc40c7007f38929973d15f760130be35d100c1d16ad8e5521b9748b2404e4ce68a564e50a51', 1164852);
INSERT INTO dbos._sqlx_migrations VALUES (32, 'create in flight index', '2026-11-25 22:59:04.903932+00', true, '\x4e0cc92839d0c061287a9f9c6baef7fd0f39f29ef0c153e72a4cbdacf1e3e2b40c69f1101479897100191f05257315f3', 1665826);
INSERT INTO dbos._sqlx_migrations VALUES (33, 'add rate limited', '2026-11-25 22:59:04.905941+00', true, '\xcd2549c63b5fe509f9545ad5fdb1a46bc103a1fc459297cba4a6936e329ee8e28008f3d192d8dfaefc9bb857c4f11e5d', 5164536);
INSERT INTO dbos._sqlx_migrations VALUES (34, 'create rate limited index', '2026-11-25 22:59:04.911623+00', true, '\x65ada6e92503d42ef7f3960680e37437c4c2dcc3e8dbbc504d50aec66c0fa8b6dbd12b3217ebd6f6a2d1d757208d0eac', 1503826);
INSERT INTO dbos._sqlx_migrations VALUES (35, 'drop queue status started index', '2026-11-25 22:59:04.913445+00', true, '\x22845c9dce96f06adb78d964548bd57732befebda3d2af7f7f8e3a997fe6729c732044f5cc90e02aeadbbfc3f208c4ff', 5090767);
INSERT INTO dbos._sqlx_migrations VALUES (36, 'add completed at', '2026-11-25 22:59:04.918871+00', true, '\xa6066863d8c36a1a422ef8cee657a126f21be8e052c44e58a1ec5a4eb8618065ad8a958f99ad29c13408bc54dbd3929c', 1554986);
INSERT INTO dbos._sqlx_migrations VALUES (37, 'create started at index', '2026-11-25 22:59:04.92065+00', true, '\x3590b054b8992786a286a1b642b3ec9be265e1d26e36af67a2368994de568e28e1685307fcf0c2c799c397e637b36b8a', 1620727);
INSERT INTO dbos._sqlx_migrations VALUES (38, 'update enqueue workflow', '2026-11-25 22:59:04.922815+00', true, '\x6094af43511295f5942f1016f4d9079817af88a02973469c1988231f93201867742a017fbe1e23841d184021d3b35b78', 2342235);
INSERT INTO dbos._sqlx_migrations VALUES (39, 'create streams trigger', '2026-11-25 22:59:04.92547+00', true, '\x2aa9aa4efe4104a3f1e59fc56964c0be61bf381ecd8400253f45daf4afc61be5d94e37d7b9bfac7f8732cf930856a025', 1256457);
INSERT INTO dbos._sqlx_migrations VALUES (40, 'add attributes', '2026-11-25 22:59:04.927113+00', true, '\x3f8e29cb825f6b149715f0ac3a187c7e6389026a5347658478c3528160a9848406e52cc1399baca87123ce30dbaaf75a', 1514670);
INSERT INTO dbos.application_versions VALUES ('c9fe2075-7b42-4d5e-994a-91d57d4913b9', 'v1', 1795647544931, 1795647544931);
INSERT INTO dbos.notifications VALUES ('received', 'hello', 'eyJoZWxsbyI6InlvdSJ9', 1795647545632, '0ca59c23-268b-48f3-ba3e-bae55fdfd206', 'DBOS_JSON', true);
INSERT INTO dbos.notifications VALUES ('pending', 'other', 'InVucmVhZCI=', 1795647550659, 'c38d888a-074f-41ef-a845-429dc6b60a35', 'DBOS_JSON', false);
INSERT INTO dbos.operation_outputs VALUES ('success', 0, 'add', 'MjE=', NULL, NULL, 1795647544948, 1795647544948, 'DBOS_JSON');
INSERT INTO dbos.operation_outputs VALUES ('success', 1, 'DBOS.setEvent', '__DBOS_NIL', NULL, NULL, NULL, 1795647544962, 'DBOS_JSON');
INSERT INTO dbos.operation_outputs VALUES ('success', 2, 'DBOS.writeStream', '__DBOS_NIL', NULL, NULL, NULL, 1795647544971, 'DBOS_JSON');
INSERT INTO dbos.operation_outputs VALUES ('success', 3, 'DBOS.writeStream', '__DBOS_NIL', NULL, NULL, NULL, 1795647544979, 'DBOS_JSON');
INSERT INTO dbos.operation_outputs VALUES ('success', 4, 'child', NULL, NULL, 'success-4', NULL, NULL, NULL);
INSERT INTO dbos.operation_outputs VALUES ('error', 0, 'refuse', NULL, 'no stock', NULL, 1795647544998, 1795647544998, 'DBOS_JSON');
INSERT INTO dbos.operation_outputs VALUES ('cancelled', 0, 'DBOS.sleep', 'IjIwMjYtMTEtMjVUMjI6NTk6MDUuMDEyOTI1MDQ2WiI=', NULL, NULL, NULL, 1795647545002, 'DBOS_JSON');
INSERT INTO dbos.operation_outputs VALUES ('cancelled', 2, 'DBOS.sleep', 'IjIwMjYtMTEtMjVUMjM6NTk6MDUuMDE3NzM2NTA4WiI=', NULL, NULL, NULL, 1795647545017, 'DBOS_JSON');
INSERT INTO dbos.operation_outputs VALUES ('pending', 0, 'DBOS.sleep', 'IjIwMjYtMTEtMjVUMjI6NTk6MDUuMzMzNzUwNTA0WiI=', NULL, NULL, NULL, 1795647545323, 'DBOS_JSON');
INSERT INTO dbos.operation_outputs VALUES ('pending', 2, 'DBOS.sleep', 'IjIwMjYtMTEtMjVUMjM6NTk6MDUuMzM3OTM2MDExWiI=', NULL, NULL, NULL, 1795647545337, 'DBOS_JSON');
INSERT INTO dbos.operation_outputs VALUES ('received', 1, 'DBOS.sleep', 'IjIwMjYtMTEtMjVUMjM6MDA6MDUuNjQwMjk5NjIwWiI=', NULL, NULL, NULL, 1795647545640, 'DBOS_JSON');
INSERT INTO dbos.operation_outputs VALUES ('received', 0, 'DBOS.recv', 'eyJoZWxsbyI6InlvdSJ9', NULL, NULL, NULL, NULL, 'DBOS_JSON');
INSERT INTO dbos.queues VALUES ('19e67ab2-de96-4c26-bc81-a6343340ad29', 'orders', NULL, NULL, NULL, NULL, false, false, 1, 1795647544935, 1795647544935);
INSERT INTO dbos.streams VALUES ('success', 'lines', 'ImZpcnN0Ig==', 0, 2, 'DBOS_JSON');
INSERT INTO dbos.streams VALUES ('success', 'lines', 'eyJzZWNvbmQiOjJ9', 1, 3, 'DBOS_JSON');
INSERT INTO dbos.workflow_events VALUES ('success', 'state', 'eyJzdW0iOjIxfQ==', 'DBOS_JSON');
INSERT INTO dbos.workflow_status VALUES ('success-4', 'SUCCESS', 'child', NULL, NULL, NULL, NULL, 'NDI=', NULL, 'one', 1795647544984, 1795647544986, 'v1', NULL, NULL, NULL, 0, NULL, NULL, NULL, 'MjE=', NULL, NULL, 0, NULL, NULL, '56c8f5ea-c638-4ade-a29a-64f6b50361ac', 'success', 'DBOS_JSON', NULL, false, false, 1795647544986, NULL);
INSERT INTO dbos.workflow_status VALUES ('success', 'SUCCESS', 'total', NULL, NULL, NULL, NULL, 'eyJ0b3RhbCI6NDJ9', NULL, 'one', 1795647544936, 1795647544988, 'v1', NULL, NULL, NULL, 0, NULL, NULL, NULL, 'MjA=', NULL, NULL, 0, NULL, NULL, '8c6c68af-126d-4e87-a992-ff3ea34baea6', NULL, 'DBOS_JSON', NULL, false, false, 1795647544988, NULL);
INSERT INTO dbos.workflow_status VALUES ('success-none', 'SUCCESS', 'empty', NULL, NULL, NULL, NULL, '__DBOS_NIL', NULL, 'one', 1795647544991, 1795647544993, 'v1', NULL, NULL, NULL, 0, NULL, NULL, NULL, 'MQ==', NULL, NULL, 0, NULL, NULL, 'b29ac54a-59d6-4fbe-a9fb-b2142eca6913', NULL, 'DBOS_JSON', NULL, false, false, 1795647544993, NULL);
INSERT INTO dbos.workflow_status VALUES ('error', 'ERROR', 'failing', NULL, NULL, NULL, NULL, NULL, 'no stock', 'one', 1795647544994, 1795647545000, 'v1', NULL, NULL, NULL, 0, NULL, NULL, NULL, 'MQ==', NULL, NULL, 0, NULL, NULL, '5ed0bd7a-a85e-4531-a881-5f5e61e8eda8', NULL, 'DBOS_JSON', NULL, false, false, 1795647545000, NULL);
INSERT INTO dbos.workflow_status VALUES ('cancelled', 'CANCELLED', 'waiting', NULL, NULL, NULL, NULL, NULL, NULL, 'one', 1795647545001, 1795647545303, 'v1', NULL, NULL, NULL, 0, NULL, NULL, NULL, 'MQ==', NULL, NULL, 0, NULL, NULL, 'c30b673c-b94f-4242-b858-d1aa7b712492', NULL, 'DBOS_JSON', NULL, false, false, 1795647545303, NULL);
INSERT INTO dbos.workflow_status VALUES ('pending', 'PENDING', 'waiting', NULL, NULL, NULL, NULL, NULL, NULL, 'one', 1795647545315, 1795647545315, 'v1', NULL, NULL, NULL, 0, NULL, NULL, NULL, 'MQ==', NULL, NULL, 0, NULL, NULL, '0722a34f-a117-4ee3-a303-9d3c8565d298', NULL, 'DBOS_JSON', NULL, false, false, NULL, NULL);
INSERT INTO dbos.workflow_status VALUES ('received', 'SUCCESS', 'receiving', NULL, NULL, NULL, NULL, 'eyJoZWxsbyI6InlvdSJ9', NULL, 'one', 1795647545622, 1795647550655, 'v1', NULL, NULL, NULL, 0, NULL, NULL, NULL, 'MQ==', NULL, NULL, 0, NULL, NULL, '01cdbc02-6bf3-417d-a38d-90f15f9f97a5', NULL, 'DBOS_JSON', NULL, false, false, 1795647550655, NULL);
INSERT INTO dbos.workflow_status VALUES ('enqueued-0', 'ENQUEUED', 'total', NULL, NULL, NULL, NULL, NULL, NULL, '', 1795647550663, 1795647550663, NULL, NULL, NULL, NULL, 0, 'elsewhere', NULL, NULL, 'MQ==', NULL, NULL, 0, NULL, NULL, 'c5fa276e-7dc2-4e56-a57b-f6a48b6cdaaa', NULL, 'DBOS_JSON', NULL, false, false, NULL, NULL);
INSERT INTO dbos.workflow_status VALUES ('enqueued-1', 'ENQUEUED', 'total', NULL, NULL, NULL, NULL, NULL, NULL, '', 1795647550668, 1795647550668, NULL, NULL, NULL, NULL, 0, 'elsewhere', NULL, NULL, 'MQ==', NULL, 'once', 0, NULL, NULL, '461da6b4-2355-4c69-bc5c-8e560b073bf2', NULL, 'DBOS_JSON', NULL, false, false, NULL, NULL);
INSERT INTO dbos.workflow_status VALUES ('enqueued-2', 'ENQUEUED', 'total', NULL, NULL, NULL, NULL, NULL, NULL, '', 1795647550670, 1795647550670, NULL, NULL, NULL, NULL, 0, 'elsewhere', NULL, NULL, 'MQ==', NULL, NULL, 3, NULL, NULL, 'f000603a-15f9-4254-bcde-73b9131591e0', NULL, 'DBOS_JSON', NULL, false, false, NULL, NULL);
INSERT INTO dbos.workflow_status VALUES ('delayed', 'DELAYED', 'total', NULL, NULL, NULL, NULL, NULL, NULL, '', 1795647550681, 1795647550681, NULL, NULL, NULL, NULL, 0, 'elsewhere', NULL, NULL, 'MQ==', NULL, NULL, 0, NULL, NULL, '3ba2bd5c-efd7-4625-8fcf-8dec808f4d93', NULL, 'DBOS_JSON', 1795733950681, false, false, NULL, NULL);
INSERT INTO dbos.workflow_status VALUES ('enqueued-3', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED', 'total', NULL, NULL, NULL, NULL, NULL, NULL, '', 1795647550676, 1795647550676, NULL, NULL, NULL, NULL, 102, NULL, NULL, NULL, 'MQ==', NULL, NULL, 0, NULL, NULL, '72a88f49-8282-42cc-bad8-2e9cd716b085', NULL, 'DBOS_JSON', NULL, false, false, NULL, NULL);
ALTER TABLE ONLY dbos._sqlx_migrations
    ADD CONSTRAINT _sqlx_migrations_pkey PRIMARY KEY (version);
ALTER TABLE ONLY dbos.application_versions
    ADD CONSTRAINT application_versions_pkey PRIMARY KEY (version_id);
ALTER TABLE ONLY dbos.application_versions
    ADD CONSTRAINT application_versions_version_name_key UNIQUE (version_name);
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
CREATE INDEX idx_workflow_status_pending ON dbos.workflow_status USING btree (created_at) WHERE (status = 'PENDING'::text);
CREATE INDEX idx_workflow_status_rate_limited ON dbos.workflow_status USING btree (queue_name, started_at_epoch_ms) WHERE (rate_limited = true);
CREATE INDEX idx_workflow_status_started_at ON dbos.workflow_status USING btree (started_at_epoch_ms) WHERE (started_at_epoch_ms IS NOT NULL);
CREATE INDEX idx_workflow_topic ON dbos.notifications USING btree (destination_uuid, topic);
CREATE UNIQUE INDEX uq_workflow_status_dedup_id ON dbos.workflow_status USING btree (queue_name, deduplication_id) WHERE (deduplication_id IS NOT NULL);
CREATE INDEX workflow_status_created_at_index ON dbos.workflow_status USING btree (created_at);
CREATE TRIGGER dbos_notifications_trigger AFTER INSERT ON dbos.notifications FOR EACH ROW EXECUTE FUNCTION dbos.notifications_function();
CREATE TRIGGER dbos_streams_trigger AFTER INSERT ON dbos.streams FOR EACH ROW EXECUTE FUNCTION dbos.streams_function();
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
