-- Files of devices and applications, and OTA modules and packages.

CREATE TABLE file (
    no             INTEGER PRIMARY KEY AUTOINCREMENT,
    instance       INTEGER NOT NULL,
    app            INTEGER NOT NULL REFERENCES app (no) ON DELETE CASCADE,
    -- Who uploads it, or the only one who may download it.
    device         INTEGER REFERENCES device (no) ON DELETE CASCADE,
    -- Whose devices may download it.
    product        INTEGER REFERENCES product (no) ON DELETE CASCADE,
    id             TEXT NOT NULL UNIQUE,
    source         TEXT NOT NULL,
    name           TEXT NOT NULL,
    key            TEXT NOT NULL UNIQUE,
    announced_hash TEXT,
    announced_size INTEGER,
    size           INTEGER,
    sha256         TEXT,
    state          TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    stored_at      INTEGER,
    -- What devices said of the transfers, as JSON: [result_code, status_code, description, at].
    upload         TEXT,
    download       TEXT
) STRICT;
CREATE INDEX file_by_app ON file (app, no);
CREATE INDEX file_by_device ON file (device, no);
CREATE INDEX file_by_product ON file (product, no);
CREATE INDEX file_by_name ON file (app, name);
CREATE INDEX file_open ON file (expires_at) WHERE state IN ('WAITING', 'CHECKING');

-- Objects that no record refers to any more and that are still to be removed.
CREATE TABLE object_garbage (
    no       INTEGER PRIMARY KEY AUTOINCREMENT,
    instance INTEGER NOT NULL,
    key      TEXT NOT NULL
) STRICT;

-- However a record goes: by itself, with its device, its product or its space.
CREATE TRIGGER file_gone AFTER DELETE ON file BEGIN
    INSERT INTO object_garbage (instance, key) VALUES (old.instance, old.key);
END;

CREATE TABLE ota_module (
    no          INTEGER PRIMARY KEY AUTOINCREMENT,
    instance    INTEGER NOT NULL,
    app         INTEGER NOT NULL REFERENCES app (no) ON DELETE CASCADE,
    product     INTEGER NOT NULL REFERENCES product (no) ON DELETE CASCADE,
    id          TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    alias       TEXT,
    description TEXT,
    created_at  INTEGER NOT NULL,
    UNIQUE (product, name)
) STRICT;
CREATE INDEX ota_module_by_app ON ota_module (app, no);

CREATE TABLE ota_package (
    no              INTEGER PRIMARY KEY AUTOINCREMENT,
    instance        INTEGER NOT NULL,
    app             INTEGER NOT NULL REFERENCES app (no) ON DELETE CASCADE,
    product         INTEGER NOT NULL REFERENCES product (no) ON DELETE CASCADE,
    id              TEXT NOT NULL UNIQUE,
    package_type    TEXT NOT NULL,
    -- Empty for packages that are of no module.
    module_name     TEXT NOT NULL,
    version         TEXT NOT NULL,
    -- JSON array of texts.
    source_versions TEXT NOT NULL,
    description     TEXT,
    custom_info     TEXT,
    region          TEXT NOT NULL,
    bucket          TEXT NOT NULL,
    object_key      TEXT NOT NULL,
    sign_method     TEXT,
    sign            TEXT,
    created_at      INTEGER NOT NULL,
    UNIQUE (product, package_type, module_name, version)
) STRICT;
CREATE INDEX ota_package_by_app ON ota_package (app, no);
CREATE INDEX ota_package_by_object ON ota_package (object_key);
