-- Certificate authorities of devices, the certificates that devices have shown, certificates of the platform's own
-- doors, and provisioning templates.

CREATE TABLE provisioning_template (
    no          INTEGER PRIMARY KEY AUTOINCREMENT,
    instance    INTEGER NOT NULL,
    id          TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT,
    body        TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    UNIQUE (instance, id)
) STRICT;

CREATE TABLE ca_certificate (
    no                INTEGER PRIMARY KEY AUTOINCREMENT,
    instance          INTEGER NOT NULL,
    app               INTEGER NOT NULL REFERENCES app (no) ON DELETE CASCADE,
    template          INTEGER REFERENCES provisioning_template (no),
    id                TEXT NOT NULL,
    common_name       TEXT,
    owner             TEXT NOT NULL,
    fingerprint       TEXT NOT NULL,
    content           TEXT NOT NULL,
    verified          INTEGER NOT NULL,
    verify_code       TEXT NOT NULL,
    provision_enable  INTEGER NOT NULL,
    ocsp_enable       INTEGER NOT NULL,
    ocsp_ssl_enable   INTEGER NOT NULL,
    ocsp_server_ca_id TEXT,
    created_at        INTEGER NOT NULL,
    effective_at      INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL,
    UNIQUE (instance, id),
    UNIQUE (app, fingerprint)
) STRICT;
CREATE INDEX ca_certificate_by_template ON ca_certificate (template);

CREATE TABLE device_certificate (
    no          INTEGER PRIMARY KEY AUTOINCREMENT,
    instance    INTEGER NOT NULL,
    app         INTEGER NOT NULL REFERENCES app (no) ON DELETE CASCADE,
    ca          INTEGER NOT NULL REFERENCES ca_certificate (no) ON DELETE CASCADE,
    id          TEXT NOT NULL,
    common_name TEXT,
    sha256      TEXT NOT NULL,
    sha1        TEXT NOT NULL,
    content     TEXT NOT NULL,
    active      INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    UNIQUE (instance, id),
    UNIQUE (app, sha256)
) STRICT;
CREATE INDEX device_certificate_by_ca ON device_certificate (ca);
CREATE INDEX device_certificate_by_sha256 ON device_certificate (sha256);
CREATE INDEX device_certificate_by_sha1 ON device_certificate (sha1);
CREATE INDEX device_certificate_by_name ON device_certificate (common_name);

CREATE INDEX device_by_fingerprint ON device (fingerprint) WHERE fingerprint IS NOT NULL;
CREATE INDEX device_by_secondary_fingerprint ON device (secondary_fingerprint) WHERE secondary_fingerprint IS NOT NULL;

CREATE TABLE server_certificate (
    no           INTEGER PRIMARY KEY AUTOINCREMENT,
    instance     INTEGER NOT NULL,
    id           TEXT NOT NULL,
    common_name  TEXT,
    owner        TEXT NOT NULL,
    issuer       TEXT NOT NULL,
    fingerprint  TEXT NOT NULL,
    content      TEXT NOT NULL,
    private_key  BLOB NOT NULL,
    created_at   INTEGER NOT NULL,
    effective_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    UNIQUE (instance, id),
    UNIQUE (instance, fingerprint)
) STRICT;
