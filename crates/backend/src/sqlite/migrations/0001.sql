-- Version 1. Every table carries the instance. What belongs to a space carries its app, but for the history and the
-- outbox: they are written most, and lead to it by their device and target.
-- Numbers (`no`) are never reused: they stand in paging markers, in histories and in what other programs remember.
-- Times are milliseconds since 1970 UTC.

CREATE TABLE instance (
    no         INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    project_id TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE app (
    no         INTEGER PRIMARY KEY AUTOINCREMENT,
    instance   INTEGER NOT NULL,
    id         TEXT NOT NULL,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    is_default INTEGER NOT NULL,
    UNIQUE (instance, id),
    UNIQUE (instance, name)
) STRICT;

CREATE TABLE product (
    no                INTEGER PRIMARY KEY AUTOINCREMENT,
    instance          INTEGER NOT NULL,
    app               INTEGER NOT NULL REFERENCES app (no) ON DELETE CASCADE,
    id                TEXT NOT NULL,
    name              TEXT NOT NULL,
    device_type       TEXT NOT NULL,
    protocol_type     TEXT NOT NULL,
    data_format       TEXT NOT NULL,
    manufacturer_name TEXT,
    industry          TEXT,
    description       TEXT,
    services          TEXT NOT NULL,
    created_at        INTEGER NOT NULL,
    UNIQUE (app, id)
) STRICT;
CREATE INDEX product_by_id ON product (instance, id);

CREATE TABLE product_topic (
    no          INTEGER PRIMARY KEY,
    instance    INTEGER NOT NULL,
    product     INTEGER NOT NULL REFERENCES product (no) ON DELETE CASCADE,
    id          TEXT NOT NULL,
    topic       TEXT NOT NULL,
    may         TEXT NOT NULL,
    description TEXT,
    UNIQUE (product, id),
    UNIQUE (product, topic)
) STRICT;

CREATE TABLE device (
    no                    INTEGER PRIMARY KEY AUTOINCREMENT,
    instance              INTEGER NOT NULL,
    app                   INTEGER NOT NULL REFERENCES app (no),
    product               INTEGER NOT NULL REFERENCES product (no),
    gateway               INTEGER REFERENCES device (no) ON DELETE SET NULL,
    connection            TEXT NOT NULL,
    frozen                INTEGER NOT NULL,
    status_changed_at     INTEGER,
    activated_at          INTEGER,
    last_online_at        INTEGER,
    created_at            INTEGER NOT NULL,
    id                    TEXT NOT NULL,
    node_id               TEXT NOT NULL,
    name                  TEXT,
    description           TEXT,
    fw_version            TEXT,
    sw_version            TEXT,
    sdk_version           TEXT,
    auth_type             TEXT NOT NULL,
    secret                BLOB,
    secondary_secret      BLOB,
    fingerprint           TEXT,
    secondary_fingerprint TEXT,
    secure_access         INTEGER NOT NULL,
    timeout_s             INTEGER NOT NULL,
    extension_info        TEXT,
    UNIQUE (instance, id),
    UNIQUE (node_id, product)
) STRICT;
CREATE INDEX device_by_app ON device (app);
CREATE INDEX device_by_product ON device (product);
CREATE INDEX device_by_gateway ON device (gateway);
-- Direct devices that must connect by a deadline and have not yet.
CREATE INDEX device_by_deadline ON device (created_at + timeout_s * 1000)
    WHERE activated_at IS NULL AND timeout_s > 0 AND gateway IS NULL;

CREATE TABLE device_token (
    hash       BLOB PRIMARY KEY,
    instance   INTEGER NOT NULL,
    app        INTEGER NOT NULL,
    device     INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX device_token_by_device ON device_token (device);
CREATE INDEX device_token_by_end ON device_token (expires_at);

CREATE TABLE shadow (
    device      INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    service_id  TEXT NOT NULL,
    instance    INTEGER NOT NULL,
    app         INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    reported_at INTEGER,
    desired_at  INTEGER,
    reported    TEXT,
    desired     TEXT,
    PRIMARY KEY (device, service_id)
) STRICT, WITHOUT ROWID;

-- Shadows deleted while reports up to `seq` were not yet carried into `shadow`: those reports no longer count.
CREATE TABLE shadow_reset (
    device   INTEGER PRIMARY KEY REFERENCES device (no) ON DELETE CASCADE,
    instance INTEGER NOT NULL,
    seq      INTEGER NOT NULL
) STRICT;

-- Reports as they were committed, many in a row; the layout of `body` is in block.rs.
CREATE TABLE block (
    first_seq INTEGER PRIMARY KEY,
    instance  INTEGER NOT NULL,
    reports   INTEGER NOT NULL,
    latest    INTEGER NOT NULL,
    body      BLOB NOT NULL
) STRICT;
CREATE INDEX block_by_latest ON block (latest);

-- The index of the history, written some seconds after the block. The report is number `rank` of block `seq - rank`.
CREATE TABLE history (
    device     INTEGER NOT NULL,
    event_time INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    instance   INTEGER NOT NULL,
    service    INTEGER NOT NULL,
    rank       INTEGER NOT NULL,
    PRIMARY KEY (device, event_time, seq)
) STRICT, WITHOUT ROWID;

-- One row an instance: reports up to `indexed_seq` are in `history` and `shadow`; the outbox has used numbers up to
-- `outbox_seq`.
CREATE TABLE progress (
    instance    INTEGER PRIMARY KEY,
    indexed_seq INTEGER NOT NULL,
    outbox_seq  INTEGER NOT NULL
) STRICT;
INSERT INTO progress (instance, indexed_seq, outbox_seq) VALUES (1, 0, 0);

-- What is gone for readers and has rows to be removed in the background.
CREATE TABLE purge (
    kind     TEXT NOT NULL CHECK (kind IN ('history', 'outbox')),
    no       INTEGER NOT NULL,
    instance INTEGER NOT NULL,
    PRIMARY KEY (kind, no)
) STRICT, WITHOUT ROWID;

CREATE TABLE message (
    no            INTEGER PRIMARY KEY AUTOINCREMENT,
    instance      INTEGER NOT NULL,
    app           INTEGER NOT NULL,
    device        INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    status        TEXT NOT NULL,
    expires_at    INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    finished_at   INTEGER,
    id            TEXT NOT NULL,
    name          TEXT,
    encoding      TEXT NOT NULL,
    format        TEXT NOT NULL,
    topic_kind    TEXT NOT NULL,
    topic         TEXT,
    error_code    TEXT,
    error_text    TEXT,
    properties    TEXT,
    content       TEXT NOT NULL,
    UNIQUE (device, id)
) STRICT;
CREATE INDEX message_by_device ON message (device, no);
CREATE INDEX message_pending ON message (expires_at) WHERE status = 'PENDING';

CREATE TABLE push_target (
    no         INTEGER PRIMARY KEY AUTOINCREMENT,
    instance   INTEGER NOT NULL,
    app        INTEGER NOT NULL UNIQUE REFERENCES app (no) ON DELETE CASCADE,
    url        TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE outbox (
    seq      INTEGER PRIMARY KEY,
    instance INTEGER NOT NULL,
    target   INTEGER NOT NULL,
    device   INTEGER,
    at       INTEGER NOT NULL,
    body     TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_by_target ON outbox (target);

CREATE TABLE session (
    device        INTEGER PRIMARY KEY REFERENCES device (no) ON DELETE CASCADE,
    instance      INTEGER NOT NULL,
    app           INTEGER NOT NULL,
    client        TEXT NOT NULL,
    expires_at    INTEGER,
    subscriptions TEXT NOT NULL
) STRICT;

CREATE TABLE retained (
    no         INTEGER PRIMARY KEY,
    instance   INTEGER NOT NULL,
    app        INTEGER NOT NULL,
    device     INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    topic      TEXT NOT NULL,
    qos        INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    properties BLOB NOT NULL,
    payload    BLOB NOT NULL,
    UNIQUE (device, topic)
) STRICT;

CREATE TABLE user (
    no            INTEGER PRIMARY KEY AUTOINCREMENT,
    instance      INTEGER NOT NULL,
    name          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    UNIQUE (instance, name)
) STRICT;

CREATE TABLE access_key (
    ak         TEXT PRIMARY KEY,
    instance   INTEGER NOT NULL,
    sk         BLOB NOT NULL,
    user       INTEGER NOT NULL REFERENCES user (no) ON DELETE CASCADE,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX access_key_by_user ON access_key (user);
