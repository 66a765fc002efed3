-- Queues for AMQP consumers, and the codes with which such programs sign in. Both belong to the whole instance.

CREATE TABLE amqp_queue (
    no         INTEGER PRIMARY KEY AUTOINCREMENT,
    instance   INTEGER NOT NULL,
    id         TEXT NOT NULL,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (instance, id),
    UNIQUE (instance, name)
) STRICT;

-- One code a kind of consumer (AMQP, MQTT); `code` is sealed.
CREATE TABLE access_code (
    instance   INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    access_key TEXT NOT NULL,
    code       BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (instance, kind)
) STRICT, WITHOUT ROWID;
