-- Each filter of a list has an index in the order of its pages. With two filters one is walked, the other looked at.
DROP INDEX opportunity_in_state;
CREATE INDEX opportunity_in_state ON opportunity (tenant_id, state, opportunity_id);
CREATE INDEX opportunity_in_stage ON opportunity (tenant_id, stage, opportunity_id);
CREATE INDEX customer_of_owner ON customer (tenant_id, owner, customer_id);
CREATE INDEX customer_in_lifecycle ON customer (tenant_id, lifecycle, customer_id);
