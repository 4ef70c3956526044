-- A customer is closed out as a whole: the close-outs of its opportunities, and what they caused, are one group. It never changes, so
-- settling a close-out stays a heap-only update, and one without a group has nothing in the index.
ALTER TABLE close_out ADD COLUMN group_id UUID;
CREATE INDEX close_out_of_group ON close_out (tenant_id, group_id, close_out_id) WHERE group_id IS NOT NULL;
