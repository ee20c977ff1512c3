-- The DBOS system tables at version 125, as PyPI `dbos` 3.4.0 makes them in a SQLite file: a test compares. Only defaults are finer.
-- Times are milliseconds since the Unix epoch, booleans 0 or 1, JSON is text. Payload tables and steps have no foreign key.

CREATE TABLE dbos_migrations (
    version INTEGER NOT NULL PRIMARY KEY
);

CREATE TABLE workflow_status (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    status TEXT,
    name TEXT,
    class_name TEXT,
    config_name TEXT,
    authenticated_user TEXT,
    assumed_role TEXT,
    authenticated_roles TEXT,
    request TEXT,
    inputs TEXT,
    output TEXT,
    error TEXT,
    serialization TEXT,
    executor_id TEXT,
    application_id TEXT,
    application_name TEXT,
    application_version TEXT,
    owner_xid TEXT,
    creator_xid TEXT,
    recovery_attempts INTEGER DEFAULT 0,
    queue_name TEXT,
    queue_partition_key TEXT,
    priority INTEGER NOT NULL DEFAULT 0,
    deduplication_id TEXT,
    is_debounced INTEGER NOT NULL DEFAULT FALSE,
    debounce_deadline_epoch_ms INTEGER,
    delay_until_epoch_ms INTEGER,
    rate_limited INTEGER NOT NULL DEFAULT FALSE,
    workflow_timeout_ms INTEGER,
    workflow_deadline_epoch_ms INTEGER,
    parent_workflow_id TEXT,
    forked_from TEXT,
    was_forked_from INTEGER NOT NULL DEFAULT FALSE,
    schedule_name TEXT,
    attributes TEXT,
    created_at INTEGER NOT NULL DEFAULT (CAST(round(unixepoch('subsec') * 1000) AS INTEGER)),
    updated_at INTEGER NOT NULL DEFAULT (CAST(round(unixepoch('subsec') * 1000) AS INTEGER)),
    started_at_epoch_ms INTEGER,
    completed_at INTEGER
);

CREATE TABLE workflow_input (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    inputs TEXT,
    retention_timestamp INTEGER NOT NULL DEFAULT (CAST(round(unixepoch('subsec') * 1000) AS INTEGER))
);

CREATE TABLE workflow_output (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    output TEXT,
    error TEXT,
    retention_timestamp INTEGER NOT NULL DEFAULT (CAST(round(unixepoch('subsec') * 1000) AS INTEGER))
);

CREATE TABLE operation_outputs (
    workflow_uuid TEXT NOT NULL,
    function_id INTEGER NOT NULL,
    function_name TEXT NOT NULL DEFAULT '',
    output TEXT,
    error TEXT,
    serialization TEXT,
    child_workflow_id TEXT,
    started_at_epoch_ms INTEGER,
    completed_at_epoch_ms INTEGER,
    application_name TEXT,
    retention_timestamp INTEGER NOT NULL DEFAULT (CAST(round(unixepoch('subsec') * 1000) AS INTEGER)),
    PRIMARY KEY (workflow_uuid, function_id)
);

CREATE TABLE notifications (
    message_uuid TEXT NOT NULL PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    destination_uuid TEXT NOT NULL
        REFERENCES workflow_status (workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE,
    topic TEXT,
    message TEXT NOT NULL,
    serialization TEXT,
    created_at_epoch_ms INTEGER NOT NULL DEFAULT (CAST(round(unixepoch('subsec') * 1000) AS INTEGER)),
    consumed INTEGER NOT NULL DEFAULT FALSE,
    consumed_by_function_id INTEGER
);

CREATE TABLE workflow_events (
    workflow_uuid TEXT NOT NULL
        REFERENCES workflow_status (workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    serialization TEXT,
    PRIMARY KEY (workflow_uuid, key)
);

CREATE TABLE workflow_events_history (
    workflow_uuid TEXT NOT NULL
        REFERENCES workflow_status (workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE,
    function_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    serialization TEXT,
    PRIMARY KEY (workflow_uuid, function_id, key)
);

CREATE TABLE streams (
    workflow_uuid TEXT NOT NULL
        REFERENCES workflow_status (workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    "offset" INTEGER NOT NULL,
    function_id INTEGER NOT NULL DEFAULT 0,
    serialization TEXT,
    PRIMARY KEY (workflow_uuid, key, "offset")
);

CREATE TABLE queues (
    queue_id TEXT NOT NULL PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    name TEXT NOT NULL UNIQUE,
    application_name TEXT,
    concurrency INTEGER,
    worker_concurrency INTEGER,
    rate_limit_max INTEGER,
    rate_limit_period_sec REAL,
    partition_queue INTEGER NOT NULL DEFAULT FALSE,
    partition_concurrency INTEGER,
    partition_worker_concurrency INTEGER,
    partition_rate_limit_max INTEGER,
    partition_rate_limit_period_sec REAL,
    priority_enabled INTEGER NOT NULL DEFAULT FALSE,
    polling_interval_sec REAL NOT NULL DEFAULT 1.0,
    created_at INTEGER NOT NULL DEFAULT (CAST(round(unixepoch('subsec') * 1000) AS INTEGER)),
    updated_at INTEGER NOT NULL DEFAULT (CAST(round(unixepoch('subsec') * 1000) AS INTEGER))
);

CREATE TABLE workflow_schedules (
    schedule_id TEXT NOT NULL PRIMARY KEY,
    schedule_name TEXT NOT NULL UNIQUE,
    application_name TEXT,
    workflow_name TEXT NOT NULL,
    workflow_class_name TEXT,
    schedule TEXT NOT NULL,
    cron_timezone TEXT,
    status TEXT NOT NULL DEFAULT 'ACTIVE',
    context TEXT NOT NULL,
    queue_name TEXT,
    automatic_backfill INTEGER NOT NULL DEFAULT FALSE,
    last_fired_at TEXT
);

CREATE TABLE application_versions (
    version_id TEXT NOT NULL PRIMARY KEY,
    version_name TEXT NOT NULL UNIQUE,
    application_name TEXT,
    version_timestamp INTEGER NOT NULL DEFAULT (CAST(round(unixepoch('subsec') * 1000) AS INTEGER)),
    created_at INTEGER NOT NULL DEFAULT (CAST(round(unixepoch('subsec') * 1000) AS INTEGER))
);

INSERT INTO dbos_migrations (version) VALUES (125);
