-- What both sides are filled from: deals {from} to {to}. A deal is an opportunity with its order; five have a customer in common,
-- and every tenth customer belongs to one of ten small tenants, all others to the big one. Of 20 deals 11 are lost (their orders
-- cancelled with them), 4 won (two confirmed, one in fulfilment, one processed), 5 open (their orders drafts).

CREATE TEMP TABLE deal AS
SELECT n, at, rep, c, lost, won, tenant_id,
    pg_temp.id(1, c) AS customer_id, pg_temp.id(2, n) AS opportunity_id, pg_temp.id(3, n) AS order_id,
    CASE WHEN lost THEN pg_temp.id(5, n) END AS lost_id,
    CASE WHEN lost OR processed THEN pg_temp.id(6, n) END AS closed_id,
    (CASE WHEN lost THEN 5 WHEN won THEN 4 ELSE 1 END)::smallint AS opportunity_state,
    (CASE WHEN lost THEN 4 WHEN won THEN 3 ELSE 2 END)::smallint AS opportunity_mirror,
    (CASE WHEN lost OR won THEN 2 ELSE 1 END)::bigint AS opportunity_sent,
    (CASE WHEN lost THEN 6 WHEN processed THEN 5 WHEN n % 20 = 13 THEN 3 WHEN won THEN 2 ELSE 1 END)::smallint AS order_state,
    (CASE WHEN lost THEN 4 WHEN processed THEN 5 WHEN won THEN 2 ELSE 1 END)::smallint AS order_mirror,
    (CASE WHEN processed THEN 3 WHEN lost OR won THEN 2 ELSE 1 END)::bigint AS order_sent,
    CASE WHEN lost OR processed THEN at + 3600000000 END AS closed_at,
    -- A few values are common, as in life, and one is rare.
    CASE WHEN n % 5000 = 1 THEN 'POOR_FIT' WHEN n % 3 = 0 THEN 'UNRESPONSIVE' ELSE 'NO_INTENT_NOW' END AS reason,
    (ARRAY['prospecting', 'engaging', 'proposal', 'negotiation'])[CASE WHEN n % 5000 = 1 THEN 4 ELSE 1 + n / 20 % 3 END] AS stage
FROM (
    SELECT n, (n + 4) / 5 AS c, n % 20 < 11 AS lost, n % 20 BETWEEN 11 AND 14 AS won, n % 20 = 14 AS processed,
        1700000000000000 + n * 1000 AS at, 'rep' || n % 200 AS rep,
        CASE WHEN (n + 4) / 5 % 10 = 0 THEN pg_temp.id(9, (n + 4) / 50 % 10) ELSE '{tenant}'::uuid END AS tenant_id
    FROM generate_series({from}::bigint, {to}::bigint) AS n
) AS numbered;
