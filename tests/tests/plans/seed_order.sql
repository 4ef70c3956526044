-- The trade side of the deals.

INSERT INTO customer
SELECT tenant_id, customer_id, 'Customer ' || min(c), 1000, 1000, 1000, 1000, 1000,
    '{"CNY": [100000000, 100000000, 100000000, 100000000]}', NULL, min(at), min(at), 1
FROM deal GROUP BY tenant_id, customer_id ORDER BY customer_id
ON CONFLICT DO NOTHING;

INSERT INTO sales_order
SELECT tenant_id, order_id, 'SO-' || n, customer_id, opportunity_id, rep, 'north', order_state, 'CNY',
    '[{"product": "Camera", "quantity": 3, "fulfilled": 0, "cancelled": 0, "unit_minor": 1000}]', 0, '', closed_id, closed_at, at,
    false, at, 1, CASE WHEN closed_id IS NULL THEN 0 ELSE 1 END, order_sent
FROM deal;

INSERT INTO subject_in_state
SELECT tenant_id, order_state, order_id FROM deal;

INSERT INTO search_name
SELECT tenant_id, place > 1, substr(name, place, CASE WHEN place = 1 THEN 200 ELSE 24 END), customer_id, place - 1
FROM (SELECT tenant_id, customer_id, 'customer ' || min(c) AS name FROM deal GROUP BY tenant_id, customer_id) AS named
CROSS JOIN LATERAL generate_series(1, length(name)) AS place WHERE substr(name, place, 1) <> ' '
ORDER BY 1, 2, 3, 4, 5
ON CONFLICT DO NOTHING;

INSERT INTO search_subject
SELECT tenant_id, order_id, 'so-' || n, customer_id, rep, at, 3000, 'CNY' FROM deal;

INSERT INTO task
SELECT tenant_id, pg_temp.id(4, n * 3 + k), 3, order_id, k + 11, 'Deliver it', rep, NULL,
    CASE WHEN k = 0 THEN 3 WHEN closed_id IS NULL THEN 1 ELSE 4 END, CASE WHEN k > 0 AND closed_id IS NOT NULL THEN 1 END,
    CASE WHEN k > 0 THEN closed_id END, at, at, 1
FROM deal CROSS JOIN generate_series(0, 2) AS k;

INSERT INTO lane
SELECT tenant_id, 2, opportunity_id, opportunity_sent, customer_id, NULL, opportunity_mirror, CASE WHEN lost THEN 1 ELSE 0 END, rep,
    lost_id, CASE WHEN lost THEN closed_at END, CASE WHEN lost THEN 1 END, CASE WHEN lost THEN 2 END, NULL, NULL
FROM deal
UNION ALL
SELECT DISTINCT tenant_id, 1, customer_id, 1::bigint, NULL::uuid, NULL::uuid, 2::smallint, 0, 'rep', NULL::uuid, NULL::bigint,
    NULL::integer, NULL::integer, NULL::bigint, NULL::bigint
FROM deal
ON CONFLICT DO NOTHING;

INSERT INTO close_out
SELECT tenant_id, closed_id, 3, order_id, customer_id, 1, CASE WHEN lost THEN 2 ELSE 3 END,
    CASE WHEN lost THEN reason ELSE 'ORD_PROCESSED' END, 1, 2, '', NULL,
    '{"state": 1, "state_word": "DRAFT", "stage": "", "days_in_stage": 1, "days_open": 1, "minor": 3000, "currency": "CNY",'
    || '"owner": "rep1", "team": "", "won_at": null, "cancelled": [0]}',
    CASE WHEN n % 5000 = 1 THEN 'rare' ELSE rep END, closed_at, false, 1, lost_id, CASE WHEN lost THEN 1 ELSE 0 END,
    pg_temp.id(10, n), '[]', 2, 1, '[]', NULL, NULL::smallint, NULL::smallint, NULL, 3000, 'CNY'
FROM deal WHERE closed_id IS NOT NULL;

INSERT INTO inbox
SELECT tenant_id, 2, opportunity_id, opportunity_sent, pg_temp.id(7, n), '\x00', 1, '[]', at FROM deal;
