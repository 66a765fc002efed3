-- The audit log. Records are added and, when they are old, removed by the platform; nothing changes them. They name their
-- space by its id, because they outlive it.

CREATE TABLE audit_log (
    no            INTEGER PRIMARY KEY AUTOINCREMENT,
    instance      INTEGER NOT NULL,
    at            INTEGER NOT NULL,
    status        INTEGER NOT NULL,
    level         TEXT NOT NULL,
    operation     TEXT NOT NULL,
    event         TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id   TEXT,
    app_id        TEXT,
    user_id       TEXT,
    user_name     TEXT,
    credential    TEXT,
    error_code    TEXT,
    address       TEXT,
    request_id    TEXT NOT NULL
) STRICT;
CREATE INDEX audit_log_by_time ON audit_log (at);
