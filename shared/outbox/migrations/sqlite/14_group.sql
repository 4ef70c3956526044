-- A customer is closed out as a whole: the close-outs of its opportunities, and what they caused, are one group.
ALTER TABLE close_out ADD COLUMN group_id BLOB;
CREATE INDEX close_out_of_group ON close_out (tenant_id, group_id, close_out_id) WHERE group_id IS NOT NULL;

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('close_out', 'close_out_of_group', '1000 1000 20 1');
ANALYZE sqlite_schema; -- take it up at once
