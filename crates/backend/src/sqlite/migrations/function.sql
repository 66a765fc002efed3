-- Functions. app is null for one of the whole instance; time in milliseconds, memory in bytes; token is sealed.
CREATE TABLE function (
    no          INTEGER PRIMARY KEY AUTOINCREMENT,
    instance    INTEGER NOT NULL,
    app         INTEGER REFERENCES app (no) ON DELETE CASCADE,
    id          TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT,
    kind        TEXT NOT NULL,
    source      TEXT,
    url         TEXT,
    token       BLOB,
    time        INTEGER NOT NULL,
    memory      INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    UNIQUE (instance, id)
) STRICT;
CREATE UNIQUE INDEX function_by_name ON function (instance, coalesce(app, 0), name);
CREATE INDEX function_by_app ON function (app);
