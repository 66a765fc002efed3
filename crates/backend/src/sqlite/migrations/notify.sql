-- Notification topics and who subscribed to them.
CREATE TABLE notification_topic (
    no           INTEGER PRIMARY KEY AUTOINCREMENT,
    instance     INTEGER NOT NULL,
    id           TEXT NOT NULL,
    name         TEXT NOT NULL,
    display_name TEXT,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    UNIQUE (instance, id),
    UNIQUE (instance, name)
) STRICT;

-- `target` is where what the subscriber is to be told waits. `token` is the SHA-256 of the word in the link.
CREATE TABLE subscription (
    no           INTEGER PRIMARY KEY AUTOINCREMENT,
    instance     INTEGER NOT NULL,
    topic        INTEGER NOT NULL REFERENCES notification_topic (no) ON DELETE CASCADE,
    id           TEXT NOT NULL,
    protocol     TEXT NOT NULL,
    endpoint     TEXT NOT NULL,
    remark       TEXT,
    token        BLOB NOT NULL,
    confirmed_at INTEGER,
    target       INTEGER NOT NULL REFERENCES target (no),
    created_at   INTEGER NOT NULL,
    UNIQUE (instance, id),
    UNIQUE (topic, protocol, endpoint)
) STRICT;
CREATE INDEX subscription_by_token ON subscription (token);
CREATE INDEX subscription_by_target ON subscription (target);
