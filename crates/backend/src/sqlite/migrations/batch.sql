-- Batch tasks with their targets, uploaded files and exports. Statuses are the words of the API.

CREATE TABLE batch_task (
    no              INTEGER PRIMARY KEY AUTOINCREMENT,
    instance        INTEGER NOT NULL,
    app             INTEGER NOT NULL REFERENCES app (no) ON DELETE CASCADE,
    id              TEXT NOT NULL,
    name            TEXT NOT NULL,
    task_type       TEXT NOT NULL,
    status          TEXT NOT NULL,
    status_desc     TEXT,
    ext_info        TEXT,
    targets         TEXT,
    targets_filter  TEXT,
    document        TEXT,
    job             TEXT NOT NULL,
    document_source TEXT,
    schedule_time   INTEGER,
    retry_count     INTEGER,
    retry_interval  INTEGER,
    spaces          TEXT,
    created_at      INTEGER NOT NULL,
    due_at          INTEGER NOT NULL,
    waitting        INTEGER NOT NULL DEFAULT 0,
    processing      INTEGER NOT NULL DEFAULT 0,
    success         INTEGER NOT NULL DEFAULT 0,
    fail            INTEGER NOT NULL DEFAULT 0,
    fail_wait_retry INTEGER NOT NULL DEFAULT 0,
    stopped         INTEGER NOT NULL DEFAULT 0,
    removed         INTEGER NOT NULL DEFAULT 0,
    UNIQUE (instance, id)
) STRICT;
CREATE INDEX batch_task_by_app ON batch_task (app);
CREATE INDEX batch_task_due ON batch_task (due_at) WHERE status IN ('Waitting', 'Processing', 'Stopping');

CREATE TABLE batch_target (
    no         INTEGER PRIMARY KEY AUTOINCREMENT,
    instance   INTEGER NOT NULL,
    app        INTEGER NOT NULL,
    task       INTEGER NOT NULL REFERENCES batch_task (no) ON DELETE CASCADE,
    target     TEXT NOT NULL,
    status     TEXT NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    unsure     INTEGER NOT NULL DEFAULT 0,
    began_at   INTEGER,
    due_at     INTEGER,
    input      BLOB,
    output     BLOB,
    error_code TEXT,
    error_text TEXT
) STRICT;
CREATE INDEX batch_target_by_status ON batch_target (task, status, no);
CREATE INDEX batch_target_by_name ON batch_target (task, target);

CREATE TABLE batch_file (
    no          INTEGER PRIMARY KEY AUTOINCREMENT,
    instance    INTEGER NOT NULL,
    id          TEXT NOT NULL,
    owner       INTEGER NOT NULL,
    name        TEXT NOT NULL,
    uploaded_at INTEGER NOT NULL,
    content     BLOB NOT NULL,
    UNIQUE (instance, id)
) STRICT;

CREATE TABLE export_task (
    no         INTEGER PRIMARY KEY AUTOINCREMENT,
    instance   INTEGER NOT NULL,
    app        INTEGER NOT NULL REFERENCES app (no) ON DELETE CASCADE,
    id         TEXT NOT NULL,
    task_id    TEXT NOT NULL,
    condition  TEXT NOT NULL,
    app_type   TEXT,
    status     TEXT NOT NULL,
    rows       INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at   INTEGER,
    file       BLOB,
    UNIQUE (instance, id)
) STRICT;
CREATE INDEX export_task_by_app ON export_task (app);
