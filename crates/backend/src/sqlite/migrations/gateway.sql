-- Lists of devices behind gateways, logs of devices, results of scans.

-- How often the list of a gateway's devices has changed. `floor`: deletions up to this version are forgotten.
CREATE TABLE gateway_list (
    gateway  INTEGER PRIMARY KEY REFERENCES device (no) ON DELETE CASCADE,
    instance INTEGER NOT NULL,
    app      INTEGER NOT NULL,
    version  INTEGER NOT NULL,
    floor    INTEGER NOT NULL
) STRICT;

-- The last change of each device behind a gateway, on any level: it came or it went. The gateway is the one at the top,
-- which has the connection.
CREATE TABLE gateway_child (
    gateway    INTEGER NOT NULL REFERENCES gateway_list (gateway) ON DELETE CASCADE,
    version    INTEGER NOT NULL,
    instance   INTEGER NOT NULL,
    is_deleted INTEGER NOT NULL,
    device_id  TEXT NOT NULL,
    node_id    TEXT NOT NULL,
    parent_id  TEXT NOT NULL,
    PRIMARY KEY (gateway, version)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX gateway_child_by_device ON gateway_child (device_id, instance, gateway);
CREATE INDEX gateway_child_deleted ON gateway_child (gateway, version) WHERE is_deleted;

CREATE TEMP TABLE child_at_first AS
    WITH RECURSIVE up (no, at, depth) AS (
        SELECT no, gateway, 1 FROM device WHERE gateway IS NOT NULL
        UNION ALL SELECT u.no, d.gateway, u.depth + 1 FROM up u JOIN device d ON d.no = u.at
            WHERE d.gateway IS NOT NULL AND u.depth < 32)
    SELECT t.no AS gateway, row_number() OVER (PARTITION BY t.no ORDER BY c.no) AS version, c.instance, t.app,
        c.id AS device_id, c.node_id, p.id AS parent_id
    FROM up u JOIN device t ON t.no = u.at JOIN device c ON c.no = u.no JOIN device p ON p.no = c.gateway
    WHERE t.gateway IS NULL;
INSERT INTO gateway_list (gateway, instance, app, version, floor)
    SELECT gateway, instance, app, max(version), 0 FROM child_at_first GROUP BY gateway;
INSERT INTO gateway_child (gateway, version, instance, is_deleted, device_id, node_id, parent_id)
    SELECT gateway, version, instance, 0, device_id, node_id, parent_id FROM child_at_first;
DROP TABLE child_at_first;

CREATE TABLE device_log (
    no          INTEGER PRIMARY KEY AUTOINCREMENT,
    instance    INTEGER NOT NULL,
    app         INTEGER NOT NULL,
    device      INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    at          INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    content     TEXT NOT NULL
) STRICT;
CREATE INDEX device_log_by_device ON device_log (device, no);
CREATE INDEX device_log_by_age ON device_log (received_at);

CREATE TABLE log_config (
    device   INTEGER PRIMARY KEY REFERENCES device (no) ON DELETE CASCADE,
    instance INTEGER NOT NULL,
    app      INTEGER NOT NULL,
    is_on    INTEGER NOT NULL,
    end_time INTEGER NOT NULL,
    set_at   INTEGER NOT NULL,
    is_sent  INTEGER NOT NULL
) STRICT;

CREATE TABLE scan_result (
    no          INTEGER PRIMARY KEY AUTOINCREMENT,
    instance    INTEGER NOT NULL,
    app         INTEGER NOT NULL,
    gateway     INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    node_id     TEXT NOT NULL,
    found_at    INTEGER NOT NULL,
    found       TEXT NOT NULL,
    UNIQUE (gateway, node_id)
) STRICT;
