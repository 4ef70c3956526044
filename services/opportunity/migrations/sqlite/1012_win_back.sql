-- Plans to win customers back, one for each loss whose reason proposes it: found by state and when they are due, of everybody, of one
-- owner or of one customer.
CREATE TABLE win_back_plan (
    tenant_id       BLOB    NOT NULL,
    plan_id         BLOB    NOT NULL, -- that of the close-out, of either service
    subject_kind    INTEGER NOT NULL, -- 2 opportunity, 3 order
    subject_id      BLOB    NOT NULL,
    customer_id     BLOB    NOT NULL,
    reason_code     TEXT    NOT NULL,
    amount_minor    INTEGER,
    amount_currency TEXT,
    lost_at         INTEGER NOT NULL,
    state           INTEGER NOT NULL, -- 1 planned, 2 running, 3 recovered, 4 given up, 5 cancelled
    owner           TEXT    NOT NULL,
    due_at          INTEGER NOT NULL,
    dated           INTEGER NOT NULL, -- a person has said when
    offer           TEXT    NOT NULL,
    contacts        TEXT    NOT NULL, -- JSON: the last 20
    contact_count   INTEGER NOT NULL,
    recovered_by    BLOB,             -- the opportunity that was made of it
    ended_at        INTEGER,          -- NULL: it is open
    ender           TEXT,
    end_note        TEXT,
    by_correction   INTEGER,          -- 1: another correction may take it up again
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    version         INTEGER NOT NULL,
    CONSTRAINT win_back_plan_key PRIMARY KEY (tenant_id, plan_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX win_back_plan_due ON win_back_plan (tenant_id, state, due_at, plan_id);
CREATE INDEX win_back_plan_of_owner ON win_back_plan (tenant_id, owner, state, due_at, plan_id);
CREATE INDEX win_back_plan_of_customer ON win_back_plan (tenant_id, customer_id, state, due_at, plan_id);

-- customer.lifecycle 3: nothing is open, and a plan runs.
ALTER TABLE customer ADD COLUMN plan_count INTEGER NOT NULL DEFAULT 0;    -- open plans
ALTER TABLE customer ADD COLUMN running_count INTEGER NOT NULL DEFAULT 0; -- those of them that run
ALTER TABLE customer ADD COLUMN win_back_at INTEGER;                      -- when the first of them is due
ALTER TABLE customer ADD COLUMN contacted_at INTEGER;                     -- when a contact was last recorded

ALTER TABLE opportunity ADD COLUMN recovered_from BLOB; -- the plan of which it came

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('win_back_plan', 'win_back_plan', '1000000 10000 1'),
    ('win_back_plan', 'win_back_plan_due', '1000000 10000 2000 2 1'),
    ('win_back_plan', 'win_back_plan_of_owner', '1000000 10000 200 50 2 1'),
    ('win_back_plan', 'win_back_plan_of_customer', '1000000 10000 5 2 1 1');
ANALYZE sqlite_schema; -- take it up at once
