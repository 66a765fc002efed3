-- Users with profile, state and epoch; groups, policies and what is granted to whom.

ALTER TABLE user ADD COLUMN id                TEXT    NOT NULL DEFAULT '';
ALTER TABLE user ADD COLUMN description       TEXT    NOT NULL DEFAULT '';
ALTER TABLE user ADD COLUMN email             TEXT    NOT NULL DEFAULT '';
ALTER TABLE user ADD COLUMN areacode          TEXT    NOT NULL DEFAULT '';
ALTER TABLE user ADD COLUMN phone             TEXT    NOT NULL DEFAULT '';
ALTER TABLE user ADD COLUMN access            TEXT    NOT NULL DEFAULT 'default';
ALTER TABLE user ADD COLUMN password_is_first INTEGER NOT NULL DEFAULT 0;
ALTER TABLE user ADD COLUMN enabled           INTEGER NOT NULL DEFAULT 1;
ALTER TABLE user ADD COLUMN epoch             INTEGER NOT NULL DEFAULT 0;
ALTER TABLE user ADD COLUMN password_at       INTEGER NOT NULL DEFAULT 0;
UPDATE user SET id = lower(hex(randomblob(16))), password_at = created_at;
CREATE UNIQUE INDEX user_by_id ON user (instance, id);

ALTER TABLE access_key ADD COLUMN active      INTEGER NOT NULL DEFAULT 1;
ALTER TABLE access_key ADD COLUMN description TEXT    NOT NULL DEFAULT '';

CREATE TABLE iam_group (
    no          INTEGER PRIMARY KEY AUTOINCREMENT,
    instance    INTEGER NOT NULL,
    id          TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    UNIQUE (instance, id),
    UNIQUE (instance, name)
) STRICT;

CREATE TABLE iam_member (
    iam_group INTEGER NOT NULL REFERENCES iam_group (no) ON DELETE CASCADE,
    user      INTEGER NOT NULL REFERENCES user (no) ON DELETE CASCADE,
    instance  INTEGER NOT NULL,
    PRIMARY KEY (iam_group, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX iam_member_by_user ON iam_member (user);

CREATE TABLE iam_policy (
    no             INTEGER PRIMARY KEY AUTOINCREMENT,
    instance       INTEGER NOT NULL,
    id             TEXT NOT NULL,
    display_name   TEXT NOT NULL,
    kind           TEXT NOT NULL,
    description    TEXT NOT NULL,
    description_cn TEXT NOT NULL,
    document       TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    UNIQUE (instance, id),
    UNIQUE (instance, display_name)
) STRICT;

-- The policy is a system policy's id or one of iam_policy.
CREATE TABLE iam_grant (
    no        INTEGER PRIMARY KEY AUTOINCREMENT,
    instance  INTEGER NOT NULL,
    iam_group INTEGER NOT NULL REFERENCES iam_group (no) ON DELETE CASCADE,
    policy    TEXT NOT NULL,
    scope     TEXT NOT NULL,
    UNIQUE (iam_group, policy, scope)
) STRICT;
CREATE INDEX iam_grant_by_policy ON iam_grant (policy);
