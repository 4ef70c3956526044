-- Close-outs are listed by reason and by actor, newest first. Neither ever changes, so settling a close-out stays a heap-only
-- update.
CREATE INDEX close_out_of_reason ON close_out (tenant_id, reason_code, close_out_id);
CREATE INDEX close_out_of_actor ON close_out (tenant_id, actor, close_out_id);
