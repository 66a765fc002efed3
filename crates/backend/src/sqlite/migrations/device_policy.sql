-- Device policies and what they are bound to. `statements` is JSON. Every space is born with a policy that allows
-- everything; it does not count towards the limit.

CREATE TABLE device_policy (
    no         INTEGER PRIMARY KEY AUTOINCREMENT,
    instance   INTEGER NOT NULL,
    app        INTEGER NOT NULL REFERENCES app (no) ON DELETE CASCADE,
    id         TEXT NOT NULL,
    name       TEXT NOT NULL,
    statements TEXT NOT NULL,
    is_default INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (instance, id)
) STRICT;
CREATE INDEX device_policy_by_app ON device_policy (app);

-- One of `device`, `product` and `space` is set.
CREATE TABLE device_policy_target (
    no       INTEGER PRIMARY KEY AUTOINCREMENT,
    instance INTEGER NOT NULL,
    app      INTEGER NOT NULL,
    policy   INTEGER NOT NULL REFERENCES device_policy (no) ON DELETE CASCADE,
    device   INTEGER REFERENCES device (no) ON DELETE CASCADE,
    product  INTEGER REFERENCES product (no) ON DELETE CASCADE,
    space    INTEGER REFERENCES app (no) ON DELETE CASCADE
) STRICT;
CREATE INDEX device_policy_target_by_policy ON device_policy_target (policy, no);
CREATE UNIQUE INDEX device_policy_target_device ON device_policy_target (device, policy) WHERE device IS NOT NULL;
CREATE UNIQUE INDEX device_policy_target_product ON device_policy_target (product, policy) WHERE product IS NOT NULL;
CREATE UNIQUE INDEX device_policy_target_space ON device_policy_target (space, policy) WHERE space IS NOT NULL;

INSERT INTO device_policy (instance, app, id, name, statements, is_default, created_at, updated_at)
    SELECT instance, no, lower(hex(randomblob(12))), 'system_default_policy',
        '[{"effect":"ALLOW","actions":["iotda:devices:publish","iotda:devices:subscribe"],"resources":["topic:*"]}]',
        1, created_at, created_at
    FROM app;
INSERT INTO device_policy_target (instance, app, policy, space) SELECT instance, app, no, app FROM device_policy;
