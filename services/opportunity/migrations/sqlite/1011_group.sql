-- Customers that are closed out as a whole. job.kind 5: that, or its being taken back, goes on.
CREATE TABLE customer_close_out (
    tenant_id      BLOB    NOT NULL,
    group_id       BLOB    NOT NULL,
    customer_id    BLOB    NOT NULL,
    state          INTEGER NOT NULL, -- 1 closing, 2 closed, 3 reopening, 4 reopened
    reason_code    TEXT    NOT NULL,
    reason_version INTEGER NOT NULL,
    detail         TEXT    NOT NULL,
    competitor_id  BLOB,
    remarks        TEXT,             -- JSON, as of a close-out; NULL: nothing
    actor          TEXT    NOT NULL,
    reach          TEXT    NOT NULL, -- JSON: {scope, teams}, how far the right of who asked reached then
    found          INTEGER NOT NULL, -- opportunities that were open when it was asked for
    lefts          TEXT    NOT NULL, -- JSON: [[opportunity, reason, en, zh]], what a rule left open
    created_at     INTEGER NOT NULL,
    finished_at    INTEGER,          -- NULL: not closed yet
    reopening      TEXT,             -- JSON: how it was taken back; NULL: it was not
    version        INTEGER NOT NULL,
    CONSTRAINT customer_close_out_key PRIMARY KEY (tenant_id, group_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX customer_close_out_of_customer ON customer_close_out (tenant_id, customer_id, group_id);

ALTER TABLE customer ADD COLUMN closing BLOB; -- the one that is under way

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('customer_close_out', 'customer_close_out', '10000 10000 1'),
    ('customer_close_out', 'customer_close_out_of_customer', '10000 10000 2 1');
ANALYZE sqlite_schema; -- take it up at once
