-- What both sides keep of every deal: answers, the audit trail, the timeline and the log of changes; and exchange rates.

INSERT INTO idempotency
SELECT tenant_id, rep, 'Seed', pg_temp.id(10, n), '\x00', '\x00', NULL, NULL, NULL, NULL, at FROM deal;

INSERT INTO audit
SELECT tenant_id, pg_temp.id(11, n * 2 + k), at, rep, 'Seed', NULL, NULL, 'seed', 0, 1, '', 'OPEN', NULL
FROM deal CROSS JOIN generate_series(0, 1) AS k;

INSERT INTO timeline
SELECT tenant_id, customer_id, pg_temp.id(12, n * 2 + k), at, 'seed', 2, opportunity_id, NULL, rep, ''
FROM deal CROSS JOIN generate_series(0, 1) AS k;

INSERT INTO watch_log
SELECT tenant_id, n - 1000000000, (extract(epoch FROM now()) * 1000000)::bigint, n, '\x02'::bytea || uuid_send(pg_temp.id(4, n * 3))
FROM deal;
-- A rate for each deal, of one of fifty currencies; its id is made of what it is about.
INSERT INTO exchange_rate
SELECT tenant_id, (encode(convert_to('CNY' || code, 'UTF8'), 'hex') || '8002' || to_hex(at | (-9223372036854775808)))::uuid,
    'CNY', code, at, 7100000000000, 1, 0, at
FROM (SELECT *, CASE WHEN n % 50 = 0 THEN 'USD' ELSE 'X' || chr(65 + (n % 50 / 26)::int) || chr(65 + (n % 26)::int) END AS code
    FROM deal) AS priced;

DROP TABLE deal;
