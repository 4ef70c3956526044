-- Customers that are closed out as a whole. job.kind 5: that, or its being taken back, goes on.
CREATE TABLE customer_close_out (
    tenant_id      UUID     NOT NULL,
    group_id       UUID     NOT NULL,
    customer_id    UUID     NOT NULL,
    state          SMALLINT NOT NULL, -- 1 closing, 2 closed, 3 reopening, 4 reopened
    reason_code    TEXT     COLLATE "C" NOT NULL,
    reason_version BIGINT   NOT NULL,
    detail         TEXT     NOT NULL,
    competitor_id  UUID,
    remarks        TEXT,              -- JSON, as of a close-out; NULL: nothing
    actor          TEXT     NOT NULL,
    reach          TEXT     NOT NULL, -- JSON: {scope, teams}, how far the right of who asked reached then
    found          BIGINT   NOT NULL, -- opportunities that were open when it was asked for
    lefts          TEXT     NOT NULL, -- JSON: [[opportunity, reason, en, zh]], what a rule left open
    created_at     BIGINT   NOT NULL,
    finished_at    BIGINT,            -- NULL: not closed yet
    reopening      TEXT,              -- JSON: how it was taken back; NULL: it was not
    version        BIGINT   NOT NULL,
    CONSTRAINT customer_close_out_key PRIMARY KEY (tenant_id, group_id)
);
CREATE INDEX customer_close_out_of_customer ON customer_close_out (tenant_id, customer_id, group_id);

ALTER TABLE customer ADD COLUMN closing UUID; -- the one that is under way
