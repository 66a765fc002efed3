-- Alarms. `about` is the id of the space or device that one is about, '' for the whole instance.
CREATE TABLE alarm (
    no              INTEGER PRIMARY KEY AUTOINCREMENT,
    instance        INTEGER NOT NULL,
    app             INTEGER NOT NULL REFERENCES app (no) ON DELETE CASCADE,
    id              TEXT NOT NULL,
    name            TEXT NOT NULL,
    severity        TEXT NOT NULL,
    dimension       TEXT NOT NULL,
    about           TEXT NOT NULL,
    device          TEXT,
    description     TEXT,
    source          TEXT NOT NULL,
    status          TEXT NOT NULL,
    times           INTEGER NOT NULL,
    first_at        INTEGER NOT NULL,
    last_at         INTEGER NOT NULL,
    acknowledged_by TEXT,
    acknowledged_at INTEGER,
    cleared_by      TEXT,
    cleared_at      INTEGER,
    revision        INTEGER NOT NULL,
    UNIQUE (instance, id)
) STRICT;
CREATE INDEX alarm_by_app ON alarm (app);
CREATE INDEX alarm_by_time ON alarm (last_at);
CREATE UNIQUE INDEX alarm_active ON alarm (instance, name, dimension, about) WHERE status = 'ACTIVE';
