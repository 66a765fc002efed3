PRAGMA user_version = 1;
INSERT INTO instance (no, id, project_id, created_at) VALUES (1, 'i', 'p', 1700000000000);
INSERT INTO app (instance, id, name, is_default, created_at) VALUES (1, 'a', 'old space', 1, 1700000000000);
INSERT INTO product (instance, app, id, name, device_type, protocol_type, data_format, services, created_at)
    VALUES (1, 1, 'p', 'old product', 't', 'MQTT', 'json',
    '[{"service_id":"s","service_type":"s","properties":[{"property_name":"n","data_type":"decimal","method":"R"}],"commands":[],"events":[]}]', 1700000000000);
INSERT INTO product_topic (instance, product, id, topic, may) VALUES (1, 1, 't', 'a', 'SUBSCRIBE');
INSERT INTO device (instance, app, product, id, node_id, name, auth_type, secret, secure_access, timeout_s, connection,
    frozen, created_at) VALUES (1, 1, 1, 'old', 'n', 'Altgerät', 'SECRET', x'0102', 1, 0, 'OFFLINE', 0, 1700000000000);
INSERT INTO shadow (device, service_id, instance, app, version, reported, reported_at, desired, desired_at)
    VALUES (1, 's', 1, 1, 3, '{"n":23.10}', 1700000000000, '{"a":1.0}', 1700000000000);
INSERT INTO message (instance, app, device, id, content, encoding, format, topic_kind, status, created_at, expires_at)
    VALUES (1, 1, 1, 'm', '"hi"', 'none', 'standard', 'system', 'PENDING', 1700000000000, 1700086400000);
