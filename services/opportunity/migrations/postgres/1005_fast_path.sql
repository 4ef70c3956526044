-- No index names what a close-out changes, and changed rows stay on their page. The newest loss of a customer is looked for among its
-- opportunities, only when its last one is closed out or something is taken back.
INSERT INTO subject_in_state SELECT tenant_id, state, opportunity_id FROM opportunity;
DROP INDEX opportunity_in_state;
DROP INDEX opportunity_loss;
ALTER TABLE opportunity SET (fillfactor = 75);
ALTER TABLE customer SET (fillfactor = 75);
