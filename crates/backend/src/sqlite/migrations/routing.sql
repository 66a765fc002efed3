-- Forwarding rules and the outbox of many kinds of targets.

-- Where deliveries wait. Numbers are never used again. `taken` and what follows are counters since the target was made:
-- taken = delivered + expired + overflowed + rejected + rows in the outbox. `bytes` are those of the rows that wait.
CREATE TABLE target (
    no         INTEGER PRIMARY KEY AUTOINCREMENT,
    instance   INTEGER NOT NULL,
    app        INTEGER REFERENCES app (no) ON DELETE CASCADE,
    kind       TEXT NOT NULL,
    last_seq   INTEGER NOT NULL DEFAULT 0,
    taken      INTEGER NOT NULL DEFAULT 0,
    delivered  INTEGER NOT NULL DEFAULT 0,
    expired    INTEGER NOT NULL DEFAULT 0,
    overflowed INTEGER NOT NULL DEFAULT 0,
    rejected   INTEGER NOT NULL DEFAULT 0,
    bytes      INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX target_by_app ON target (app);

INSERT INTO target (no, instance, app, kind, last_seq, taken, bytes)
SELECT p.no, p.instance, p.app, 'push',
    (SELECT count(*) FROM outbox o WHERE o.target = p.no),
    (SELECT count(*) FROM outbox o WHERE o.target = p.no),
    (SELECT coalesce(sum(octet_length(o.body)), 0) FROM outbox o WHERE o.target = p.no)
FROM push_target p;

ALTER TABLE push_target RENAME TO old_push_target;
CREATE TABLE push_target (
    no         INTEGER PRIMARY KEY REFERENCES target (no) ON DELETE CASCADE,
    instance   INTEGER NOT NULL,
    app        INTEGER NOT NULL UNIQUE REFERENCES app (no) ON DELETE CASCADE,
    url        TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
INSERT INTO push_target SELECT no, instance, app, url, created_at FROM old_push_target;
DROP TABLE old_push_target;

-- Rows of a target lie beside each other in their order: `place` is its number in the upper 23 bits and the row's own
-- number, from 1 for each target, in the lower 40.
DELETE FROM purge WHERE kind = 'outbox';
ALTER TABLE outbox RENAME TO old_outbox;
DROP INDEX outbox_by_target;
CREATE TABLE outbox (
    place  INTEGER PRIMARY KEY,
    device INTEGER,
    at     INTEGER NOT NULL,
    body   TEXT NOT NULL
) STRICT;
INSERT INTO outbox (place, device, at, body)
SELECT (o.target << 40) | row_number() OVER (PARTITION BY o.target ORDER BY o.seq), o.device, o.at, o.body
FROM old_outbox o JOIN target t ON t.no = o.target;
DROP TABLE old_outbox;

ALTER TABLE amqp_queue ADD COLUMN target INTEGER REFERENCES target (no);
-- Queues made before get their targets above all that were ever used.
INSERT INTO target (instance, kind) SELECT instance, 'queue:' || no FROM amqp_queue ORDER BY no;
UPDATE amqp_queue SET target = (SELECT t.no FROM target t WHERE t.kind = 'queue:' || amqp_queue.no);
UPDATE target SET kind = 'queue' WHERE kind LIKE 'queue:%';
CREATE UNIQUE INDEX amqp_queue_by_target ON amqp_queue (target);

-- `app` is null for a rule of all spaces.
CREATE TABLE routing_rule (
    no          INTEGER PRIMARY KEY AUTOINCREMENT,
    instance    INTEGER NOT NULL,
    app         INTEGER REFERENCES app (no) ON DELETE CASCADE,
    id          TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT,
    resource    TEXT NOT NULL,
    event       TEXT NOT NULL,
    selection   TEXT NOT NULL,
    filter      TEXT,
    active      INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    UNIQUE (instance, id)
) STRICT;
CREATE INDEX routing_rule_by_app ON routing_rule (app);

-- `target` is one of its own, or that of an AMQP queue. `config` is sealed.
CREATE TABLE routing_action (
    no         INTEGER PRIMARY KEY AUTOINCREMENT,
    instance   INTEGER NOT NULL,
    rule       INTEGER NOT NULL REFERENCES routing_rule (no) ON DELETE CASCADE,
    id         TEXT NOT NULL,
    channel    TEXT NOT NULL,
    config     BLOB NOT NULL,
    target     INTEGER NOT NULL REFERENCES target (no),
    created_at INTEGER NOT NULL,
    UNIQUE (instance, id)
) STRICT;
CREATE INDEX routing_action_by_rule ON routing_action (rule);
CREATE INDEX routing_action_by_target ON routing_action (target);

CREATE TABLE backlog_policy (
    no          INTEGER PRIMARY KEY AUTOINCREMENT,
    instance    INTEGER NOT NULL,
    id          TEXT NOT NULL,
    name        TEXT,
    description TEXT,
    size        INTEGER NOT NULL,
    seconds     INTEGER NOT NULL,
    UNIQUE (instance, id)
) STRICT;

-- `value` is '' for the scope USER.
CREATE TABLE flow_control_policy (
    no          INTEGER PRIMARY KEY AUTOINCREMENT,
    instance    INTEGER NOT NULL,
    id          TEXT NOT NULL,
    name        TEXT,
    description TEXT,
    scope       TEXT NOT NULL,
    value       TEXT NOT NULL,
    tps         INTEGER NOT NULL,
    UNIQUE (instance, id),
    UNIQUE (instance, scope, value)
) STRICT;
