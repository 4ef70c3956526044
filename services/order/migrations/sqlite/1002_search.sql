-- What was there before is found as well. SQL does not know how texts are folded: of these rows only the case is (of ASCII), so
-- a name or number in full width is found as it was written until it is written again.

WITH RECURSIVE
    named (tenant_id, customer_id, name) AS (SELECT tenant_id, customer_id, lower(display_name) FROM customer),
    letter (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM letter WHERE n < 200)
INSERT INTO search_name (tenant_id, inside, part, customer_id, place)
SELECT tenant_id, n > 1, substr(name, n, CASE WHEN n = 1 THEN 200 ELSE 24 END), customer_id, n - 1
FROM named CROSS JOIN letter
WHERE n <= length(name) AND substr(name, n, 1) <> ' ';

INSERT INTO search_subject
SELECT tenant_id, order_id, lower(number), customer_id, owner, created_at,
    (SELECT coalesce(sum((value ->> 'quantity') * (value ->> 'unit_minor')), 0) FROM json_each(lines)), currency
FROM sales_order;
