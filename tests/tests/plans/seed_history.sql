-- What both sides keep of every deal: answers, the audit trail and the timeline.

INSERT INTO idempotency
SELECT tenant_id, rep, 'Seed', pg_temp.id(10, n), '\x00', '\x00', NULL, NULL, NULL, NULL, at FROM deal;

INSERT INTO audit
SELECT tenant_id, pg_temp.id(11, n * 2 + k), at, rep, 'Seed', NULL, NULL, 'seed', 0, 1, '', 'OPEN', NULL
FROM deal CROSS JOIN generate_series(0, 1) AS k;

INSERT INTO timeline
SELECT tenant_id, customer_id, pg_temp.id(12, n * 2 + k), at, 'seed', 2, opportunity_id, NULL, rep, ''
FROM deal CROSS JOIN generate_series(0, 1) AS k;

DROP TABLE deal;
