-- Tags of devices, groups of devices, and what searches ask for.

CREATE TABLE device_tag (
    device   INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    key      TEXT NOT NULL,
    instance INTEGER NOT NULL,
    app      INTEGER NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (device, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_tag_by_pair ON device_tag (key, value, device);
CREATE INDEX device_tag_by_key ON device_tag (key, device);
CREATE INDEX device_tag_by_value ON device_tag (value, device);

-- `rule` is there for dynamic groups.
CREATE TABLE device_group (
    no          INTEGER PRIMARY KEY AUTOINCREMENT,
    instance    INTEGER NOT NULL,
    app         INTEGER NOT NULL REFERENCES app (no) ON DELETE CASCADE,
    above       INTEGER REFERENCES device_group (no) ON DELETE CASCADE,
    id          TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT,
    rule        TEXT,
    modified_at INTEGER NOT NULL,
    UNIQUE (instance, id),
    UNIQUE (app, name)
) STRICT;
CREATE INDEX device_group_by_above ON device_group (above) WHERE above IS NOT NULL;
CREATE INDEX device_group_dynamic ON device_group (app) WHERE rule IS NOT NULL;

CREATE TABLE group_member (
    grp      INTEGER NOT NULL REFERENCES device_group (no) ON DELETE CASCADE,
    device   INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    instance INTEGER NOT NULL,
    app      INTEGER NOT NULL,
    added_at INTEGER NOT NULL,
    PRIMARY KEY (grp, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_member_by_device ON group_member (device, grp);

-- A registration without a name or a version pays for none of these but the one of the status, which it appends to.
CREATE INDEX device_by_name ON device (name) WHERE name IS NOT NULL;
CREATE INDEX device_by_fw_version ON device (fw_version) WHERE fw_version IS NOT NULL;
CREATE INDEX device_by_sw_version ON device (sw_version) WHERE sw_version IS NOT NULL;
CREATE INDEX device_by_connection ON device (connection, frozen);
CREATE INDEX device_frozen ON device (frozen) WHERE frozen = 1;
