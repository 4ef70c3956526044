-- Each filter of a list has an index in the order of its pages. With two filters one is walked, the other looked at.
DROP INDEX opportunity_in_state;
CREATE INDEX opportunity_in_state ON opportunity (tenant_id, state, opportunity_id);
CREATE INDEX opportunity_in_stage ON opportunity (tenant_id, stage, opportunity_id);
CREATE INDEX customer_of_owner ON customer (tenant_id, owner, customer_id);
CREATE INDEX customer_in_lifecycle ON customer (tenant_id, lifecycle, customer_id);

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('opportunity', 'opportunity_in_state', '1000000 1000000 300000 1'),
    ('opportunity', 'opportunity_in_stage', '1000000 1000000 250000 1'),
    ('customer', 'customer_of_owner', '20000 20000 200 1'),
    ('customer', 'customer_in_lifecycle', '20000 20000 5000 1');
ANALYZE sqlite_schema; -- take it up at once
