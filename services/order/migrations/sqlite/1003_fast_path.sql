-- No index names what a close-out changes.
INSERT INTO subject_in_state SELECT tenant_id, state, order_id FROM sales_order;
DROP INDEX sales_order_in_state;
