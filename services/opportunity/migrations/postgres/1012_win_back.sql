-- Plans to win customers back, one for each loss whose reason proposes it: found by state and when they are due, of everybody, of one
-- owner or of one customer.
CREATE TABLE win_back_plan (
    tenant_id       UUID     NOT NULL,
    plan_id         UUID     NOT NULL, -- that of the close-out, of either service
    subject_kind    SMALLINT NOT NULL, -- 2 opportunity, 3 order
    subject_id      UUID     NOT NULL,
    customer_id     UUID     NOT NULL,
    reason_code     TEXT     COLLATE "C" NOT NULL,
    amount_minor    BIGINT,
    amount_currency TEXT     COLLATE "C",
    lost_at         BIGINT   NOT NULL,
    state           SMALLINT NOT NULL, -- 1 planned, 2 running, 3 recovered, 4 given up, 5 cancelled
    owner           TEXT     COLLATE "C" NOT NULL,
    due_at          BIGINT   NOT NULL,
    dated           BOOLEAN  NOT NULL, -- a person has said when
    offer           TEXT     NOT NULL,
    contacts        TEXT     NOT NULL, -- JSON: the last 20
    contact_count   BIGINT   NOT NULL,
    recovered_by    UUID,              -- the opportunity that was made of it
    ended_at        BIGINT,            -- NULL: it is open
    ender           TEXT     COLLATE "C",
    end_note        TEXT,
    by_correction   BOOLEAN,         -- true: another correction may take it up again
    created_at      BIGINT   NOT NULL,
    updated_at      BIGINT   NOT NULL,
    version         BIGINT   NOT NULL,
    CONSTRAINT win_back_plan_key PRIMARY KEY (tenant_id, plan_id)
);
CREATE INDEX win_back_plan_due ON win_back_plan (tenant_id, state, due_at, plan_id);
CREATE INDEX win_back_plan_of_owner ON win_back_plan (tenant_id, owner, state, due_at, plan_id);
CREATE INDEX win_back_plan_of_customer ON win_back_plan (tenant_id, customer_id, state, due_at, plan_id);

-- customer.lifecycle 3: nothing is open, and a plan runs.
ALTER TABLE customer ADD COLUMN plan_count BIGINT NOT NULL DEFAULT 0;    -- open plans
ALTER TABLE customer ADD COLUMN running_count BIGINT NOT NULL DEFAULT 0; -- those of them that run
ALTER TABLE customer ADD COLUMN win_back_at BIGINT;                      -- when the first of them is due
ALTER TABLE customer ADD COLUMN contacted_at BIGINT;                     -- when a contact was last recorded

ALTER TABLE opportunity ADD COLUMN recovered_from UUID; -- the plan of which it came
