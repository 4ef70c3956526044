-- What each commit changed of close-outs and tasks, in an order that follows commits: a row for each commit and tenant. Who watches
-- reads it, and sends the records as they are by then. It is added to by whoever changes a record, in the same statement, and
-- removed by retention.
CREATE TABLE watch_log (
    tenant_id  UUID   NOT NULL,
    place      BIGINT NOT NULL, -- the last transaction that had ended when it was written, or its own: the later one
    written_at BIGINT NOT NULL, -- by the clock of the database
    tx         BIGINT NOT NULL, -- its transaction
    entries    BYTEA  NOT NULL, -- of each record its kind (1 close-out, 2 task) in one byte and its id in 16
    CONSTRAINT watch_log_key PRIMARY KEY (tenant_id, place, written_at, tx)
);

-- The transaction that changed it last; 0: none since this column is there. No index names it.
ALTER TABLE task ADD COLUMN changed_in BIGINT NOT NULL DEFAULT 0;
ALTER TABLE close_out ADD COLUMN changed_in BIGINT NOT NULL DEFAULT 0;
