-- Close-outs are listed by reason and by actor, newest first. Neither ever changes.
CREATE INDEX close_out_of_reason ON close_out (tenant_id, reason_code, close_out_id);
CREATE INDEX close_out_of_actor ON close_out (tenant_id, actor, close_out_id);

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('close_out', 'close_out_of_reason', '1000000 1000000 50000 1'),
    ('close_out', 'close_out_of_actor', '1000000 1000000 10000 1');
ANALYZE sqlite_schema; -- take it up at once
