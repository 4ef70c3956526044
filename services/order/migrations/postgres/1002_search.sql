-- What was there before is found as well. SQL does not know how texts are folded: of these rows only the case is, so a name or
-- number in full width is found as it was written until it is written again.

INSERT INTO search_name (tenant_id, inside, part, customer_id, place)
SELECT tenant_id, letter > 1, substr(name, letter, CASE WHEN letter = 1 THEN 200 ELSE 24 END), customer_id, letter - 1
FROM (SELECT tenant_id, customer_id, lower(display_name) AS name FROM customer) AS named
CROSS JOIN LATERAL generate_series(1, length(name)) AS letter
WHERE substr(name, letter, 1) <> ' ';

INSERT INTO search_subject
SELECT tenant_id, order_id, lower(number), customer_id, owner, created_at, ordered.minor, currency
FROM sales_order
CROSS JOIN LATERAL (
    SELECT coalesce(sum((line ->> 'quantity')::bigint * (line ->> 'unit_minor')::bigint), 0)::bigint AS minor
    FROM jsonb_array_elements(lines::jsonb) AS line
) AS ordered;
