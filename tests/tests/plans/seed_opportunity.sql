-- The sales side of the deals.

INSERT INTO customer
SELECT tenant_id, customer_id, 'Customer ' || min(c), 'A', 'rep' || min(c) % 200, false,
    CASE WHEN min(c) % 1000 = 1 THEN 6 WHEN min(c) % 4 = 0 THEN 1 ELSE 2 END, true,
    1000, 1000, 1000, 1000, '{"CNY": [100000000, 100000000, 100000000]}', NULL, min(at), min(at), 1, 1
FROM deal GROUP BY tenant_id, customer_id ORDER BY customer_id
ON CONFLICT DO NOTHING;

INSERT INTO opportunity
SELECT tenant_id, opportunity_id, 'S-' || n, customer_id, 'Cameras', rep, 'north', stage, opportunity_state, 10000, 'CNY', NULL,
    'seed', at, at, at, CASE WHEN won THEN at END, lost_id, CASE WHEN lost THEN closed_at END, CASE WHEN lost THEN closed_at END,
    false, at, 1, CASE WHEN lost THEN 1 ELSE 0 END, opportunity_sent
FROM deal;

INSERT INTO subject_in_state
SELECT tenant_id, opportunity_state, opportunity_id FROM deal;

INSERT INTO search_name
SELECT tenant_id, place > 1, substr(name, place, CASE WHEN place = 1 THEN 200 ELSE 24 END), customer_id, place - 1
FROM (SELECT tenant_id, customer_id, 'customer ' || min(c) AS name FROM deal GROUP BY tenant_id, customer_id) AS named
CROSS JOIN LATERAL generate_series(1, length(name)) AS place WHERE substr(name, place, 1) <> ' '
ORDER BY 1, 2, 3, 4, 5
ON CONFLICT DO NOTHING;

INSERT INTO search_subject
SELECT tenant_id, opportunity_id, 's-' || n, customer_id, rep, at, 10000, 'CNY' FROM deal;

INSERT INTO task
SELECT tenant_id, pg_temp.id(4, n * 3 + k), 2, opportunity_id, k + 1, 'Show it', rep, NULL,
    CASE WHEN k = 0 THEN 3 WHEN lost THEN 4 ELSE 1 END, CASE WHEN k > 0 AND lost THEN 1 END,
    CASE WHEN k > 0 THEN lost_id END, at, at, 1
FROM deal CROSS JOIN generate_series(0, 2) AS k;

INSERT INTO lane
SELECT tenant_id, 3, order_id, order_sent, customer_id, opportunity_id, order_mirror, CASE WHEN closed_id IS NULL THEN 0 ELSE 1 END,
    rep, closed_id, closed_at, CASE WHEN lost THEN 2 WHEN closed_id IS NOT NULL THEN 3 END, CASE WHEN lost THEN 2 END,
    NULL, CASE WHEN won THEN at END
FROM deal;

INSERT INTO close_out
SELECT tenant_id, lost_id, 2, opportunity_id, customer_id, 1, 1, reason, 1, 2, '', NULL,
    '{"state": 1, "state_word": "OPEN", "stage": "engaging", "days_in_stage": 1, "days_open": 1, "minor": 10000, "currency": "CNY",'
    || '"owner": "rep1", "team": "", "won_at": null, "cancelled": []}',
    CASE WHEN n % 5000 = 1 THEN 'rare' ELSE rep END, closed_at, false, 1, NULL, 0, pg_temp.id(10, n), '[]', 2, 1, '[]', NULL, NULL::smallint, NULL::smallint, NULL, 10000, 'CNY'
FROM deal WHERE lost;

INSERT INTO win_back_plan
SELECT tenant_id, lost_id, 2, opportunity_id, customer_id, reason, 10000, 'CNY', closed_at, 1 + n % 5, rep,
    closed_at + n * 1000000, false, '', '[]', 0, NULL, CASE WHEN n % 5 > 1 THEN closed_at END, CASE WHEN n % 5 > 1 THEN rep END,
    CASE WHEN n % 5 > 1 THEN '' END, CASE WHEN n % 5 > 1 THEN false END, closed_at, closed_at, 1
FROM deal WHERE lost;

INSERT INTO inbox
SELECT tenant_id, 3, order_id, order_sent, pg_temp.id(7, n), '\x00', 1, '[]', at FROM deal;

-- One for two deals: more than a tenant has, but in a table of a page or two its key and its name cost the same. Of ten, one is in
-- use, six were merged into it, and three are out of use.
INSERT INTO competitor
SELECT tenant_id, pg_temp.id(21, n), 'Competitor ' || n, n / 2 % 10 = 0, at, 1, at,
    CASE WHEN n / 2 % 10 > 3 AND tenant_id = '{tenant}'::uuid THEN pg_temp.id(21, n / 20 * 20 + 1) END
FROM deal WHERE n % 2 = 1;
