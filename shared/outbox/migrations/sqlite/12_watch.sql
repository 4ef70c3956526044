-- What each commit changed of close-outs and tasks, in an order that follows commits: a row for each commit and tenant. Who watches
-- reads it, and sends the records as they are by then. It is added to by whoever changes a record, in the same commit, and
-- removed by retention.
CREATE TABLE watch_log (
    tenant_id  BLOB    NOT NULL,
    place      INTEGER NOT NULL, -- its transaction
    written_at INTEGER NOT NULL, -- by the clock of the database
    tx         INTEGER NOT NULL, -- its transaction
    entries    BLOB    NOT NULL, -- of each record its kind (1 close-out, 2 task) in one byte and its id in 16
    CONSTRAINT watch_log_key PRIMARY KEY (tenant_id, place, written_at, tx)
) STRICT, WITHOUT ROWID;

-- Numbers transactions: there is but one at a time that writes.
CREATE TABLE watch_clock (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    tx   INTEGER NOT NULL -- the last one
) STRICT;
INSERT INTO watch_clock (only, tx) VALUES (1, 0);

-- The transaction that changed it last; 0: none since this column is there. No index names it.
ALTER TABLE task ADD COLUMN changed_in INTEGER NOT NULL DEFAULT 0;
ALTER TABLE close_out ADD COLUMN changed_in INTEGER NOT NULL DEFAULT 0;

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('watch_log', 'watch_log', '1000000 1000000 1 1 1');
ANALYZE sqlite_schema; -- take it up at once
