-- Linkage rules. `definition` is JSON: conditions and actions.
CREATE TABLE linkage_rule (
    no          INTEGER PRIMARY KEY AUTOINCREMENT,
    instance    INTEGER NOT NULL,
    app         INTEGER NOT NULL REFERENCES app (no) ON DELETE CASCADE,
    id          TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT,
    active      INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    definition  TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    UNIQUE (instance, id)
) STRICT;
CREATE INDEX linkage_rule_by_app ON linkage_rule (app);

-- A row for each condition that a device fulfilled when it was judged last; of conditions that act on a change only.
CREATE TABLE linkage_state (
    rule      INTEGER NOT NULL REFERENCES linkage_rule (no) ON DELETE CASCADE,
    device    INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    condition INTEGER NOT NULL,
    PRIMARY KEY (rule, device, condition)
) STRICT, WITHOUT ROWID;
CREATE INDEX linkage_state_by_device ON linkage_state (device);

-- When the clock matters to a condition next: its timer, or the time at which a device's status has lasted long enough.
CREATE TABLE linkage_timer (
    rule      INTEGER NOT NULL REFERENCES linkage_rule (no) ON DELETE CASCADE,
    condition INTEGER NOT NULL,
    device    INTEGER REFERENCES device (no) ON DELETE CASCADE,
    next_at   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX linkage_timer_by_condition ON linkage_timer (rule, condition, coalesce(device, 0));
CREATE INDEX linkage_timer_by_time ON linkage_timer (next_at);
CREATE INDEX linkage_timer_by_device ON linkage_timer (device);

-- Commands of rules that wait for their device. `action` is JSON.
CREATE TABLE linkage_command (
    no         INTEGER PRIMARY KEY AUTOINCREMENT,
    device     INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    rule_id    TEXT NOT NULL,
    action     TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX linkage_command_by_device ON linkage_command (device, no);
CREATE INDEX linkage_command_by_age ON linkage_command (expires_at);
