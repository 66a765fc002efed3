-- What a store of version 1 could have written.
INSERT INTO instance VALUES (1, 'i', 'p', 1);
INSERT INTO app (no, instance, id, name, created_at, is_default) VALUES (1, 1, 'a', 'default', 1, 1);
INSERT INTO product (no, instance, app, id, name, device_type, protocol_type, data_format, services, created_at)
    VALUES (1, 1, 1, 'p', 'product', 't', 'MQTT', 'json', '[]', 1);
INSERT INTO device (no, instance, app, product, connection, frozen, activated_at, created_at, id, node_id, auth_type,
        secret, secure_access, timeout_s)
    VALUES (1, 1, 1, 1, 'OFFLINE', 0, 5, 1, 'p_n', 'n', 'SECRET', x'00', 0, 0);
INSERT INTO block (first_seq, instance, reports, latest, body) VALUES (1, 1, 1, 1000, x'010000000d00000001d00f0201737b2261223a317d');
INSERT INTO history (device, event_time, seq, instance, service, rank) VALUES (1, 1000, 1, 1, 16125127, 0);
INSERT INTO shadow (device, service_id, instance, app, version, reported_at, reported)
    VALUES (1, 's', 1, 1, 0, 1000, '{"a":1}');
UPDATE progress SET indexed_seq = 1;
INSERT INTO message (no, instance, app, device, status, expires_at, created_at, id, encoding, format, topic_kind, content)
    VALUES (1, 1, 1, 1, 'PENDING', 100, 1, 'm', 'none', 'standard', 'system', '"hello"');
