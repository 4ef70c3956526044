-- Tables that both services have. Times are microseconds since 1970 UTC. Codes are the numbers of the protobuf enums.

-- What this side knows of the other side's records, and how far it has read their messages.
CREATE TABLE lane (
    tenant_id    BLOB     NOT NULL,
    record_kind  INTEGER NOT NULL, -- 1 customer, 2 opportunity, 3 order
    record_id    BLOB     NOT NULL,
    last_number  INTEGER   NOT NULL, -- of the last message applied; 0: none yet
    customer_id  BLOB,
    parent_id    BLOB,              -- the opportunity of an order
    state        INTEGER,          -- NULL: no message has come yet
    epoch        INTEGER   NOT NULL, -- how many times it has been closed out
    owner        TEXT     NOT NULL,
    close_out_id BLOB,              -- its current close-out, with ...
    closed_at    INTEGER,
    outcome      INTEGER,
    class        INTEGER,
    loss_at      INTEGER,            -- ... when it counts as a loss of the customer
    success_at   INTEGER,            -- ... or as a success
    CONSTRAINT lane_key PRIMARY KEY (tenant_id, record_kind, record_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX lane_of_parent ON lane (tenant_id, parent_id) WHERE parent_id IS NOT NULL;

-- Messages that were applied: a copy gets the same answer.
CREATE TABLE inbox (
    tenant_id   BLOB     NOT NULL,
    record_kind INTEGER NOT NULL,
    record_id   BLOB     NOT NULL,
    number      INTEGER   NOT NULL,
    message_id  BLOB     NOT NULL,
    hash        BLOB    NOT NULL, -- SHA-256 of the payload
    outcome     INTEGER NOT NULL,
    effects     TEXT     NOT NULL, -- JSON
    received_at INTEGER   NOT NULL,
    CONSTRAINT inbox_key PRIMARY KEY (tenant_id, record_kind, record_id, number)
) STRICT, WITHOUT ROWID;

-- Messages that the other side has not confirmed yet. A row goes when it is confirmed.
CREATE TABLE outbox (
    tenant_id    BLOB     NOT NULL,
    record_kind  INTEGER NOT NULL,
    record_id    BLOB     NOT NULL,
    number       INTEGER   NOT NULL, -- place in the lane, from 1 without a hole
    message_id   BLOB     NOT NULL,
    payload      BLOB    NOT NULL, -- crm.closeout.v1.Message, never encoded again
    close_out_id BLOB,              -- whose delivery it is
    reversal     INTEGER  NOT NULL, -- that of its reversal
    created_at   INTEGER   NOT NULL,
    lease_until  INTEGER   NOT NULL, -- until then one process holds it
    attempts     INTEGER   NOT NULL, -- times it was claimed from this table
    parked       INTEGER  NOT NULL, -- refused; an operator has to look
    fault        TEXT     NOT NULL, -- why
    CONSTRAINT outbox_key PRIMARY KEY (tenant_id, record_kind, record_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_due ON outbox (lease_until) WHERE NOT parked;

-- Answers by request id: a copy of a request gets the same one.
CREATE TABLE idempotency (
    tenant_id    BLOB   NOT NULL,
    principal    TEXT   NOT NULL,
    method       TEXT   NOT NULL,
    request_id   BLOB   NOT NULL,
    fingerprint  BLOB  NOT NULL, -- SHA-256 of the request
    reply        BLOB  NOT NULL, -- the resource, encoded
    close_out_id BLOB,
    lane_kind    INTEGER,        -- the message it sent
    lane_id      BLOB,
    number       INTEGER,
    answered_at  INTEGER NOT NULL,
    CONSTRAINT idempotency_key PRIMARY KEY (tenant_id, principal, method, request_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE task (
    tenant_id   BLOB     NOT NULL,
    task_id     BLOB     NOT NULL,
    root_kind   INTEGER NOT NULL, -- what it is for
    root_id     BLOB     NOT NULL,
    kind        INTEGER NOT NULL,
    title       TEXT     NOT NULL,
    assignee    TEXT     NOT NULL,
    due_at      INTEGER,
    state       INTEGER NOT NULL, -- 1 open, 2 in progress, 3 done, 4 cancelled
    prior_state INTEGER,          -- before the close-out that cancelled it
    closed_by   BLOB,              -- that close-out; NULL again when a person changes it
    created_at  INTEGER   NOT NULL,
    updated_at  INTEGER   NOT NULL,
    version     INTEGER   NOT NULL,
    CONSTRAINT task_key PRIMARY KEY (tenant_id, task_id)
) STRICT, WITHOUT ROWID;
-- No index names state or closed_by: cancelling a task touches no index.
CREATE INDEX task_of_root ON task (tenant_id, root_kind, root_id, task_id);
CREATE INDEX task_of_assignee ON task (tenant_id, assignee, task_id);

CREATE TABLE close_out (
    tenant_id      BLOB     NOT NULL,
    close_out_id   BLOB     NOT NULL,
    subject_kind   INTEGER NOT NULL,
    subject_id     BLOB     NOT NULL,
    customer_id    BLOB,
    episode        INTEGER   NOT NULL, -- of this subject, from 1
    outcome        INTEGER NOT NULL,
    reason_code    TEXT     NOT NULL,
    reason_version INTEGER   NOT NULL,
    class          INTEGER,
    detail         TEXT     NOT NULL,
    competitor_id  BLOB,
    snapshot       TEXT     NOT NULL, -- JSON: the subject just before
    actor          TEXT     NOT NULL,
    closed_at      INTEGER   NOT NULL,
    historical     INTEGER  NOT NULL,
    state          INTEGER NOT NULL, -- 1 effective, 2 reversed
    cause          BLOB,              -- the close-out (of either side) that caused it
    hop            INTEGER   NOT NULL, -- how far from a person's call
    request_id     BLOB,
    effects        TEXT     NOT NULL, -- JSON: what it did here
    delivery_propagation INTEGER NOT NULL,
    delivery_outcome     INTEGER,
    delivery_effects     TEXT NOT NULL, -- JSON: what it did there
    reversal             TEXT,          -- JSON: how it was undone
    reversal_delivery_propagation INTEGER,
    reversal_delivery_outcome     INTEGER,
    reversal_delivery_effects     TEXT,
    CONSTRAINT close_out_key PRIMARY KEY (tenant_id, close_out_id),
    CONSTRAINT close_out_episode UNIQUE (tenant_id, subject_kind, subject_id, episode)
) STRICT, WITHOUT ROWID;
CREATE INDEX close_out_of_customer ON close_out (tenant_id, customer_id, close_out_id);
CREATE INDEX close_out_of_cause ON close_out (tenant_id, cause) WHERE cause IS NOT NULL;

-- What happened to a customer's record. Only added to.
CREATE TABLE timeline (
    tenant_id    BLOB     NOT NULL,
    customer_id  BLOB     NOT NULL,
    timeline_id  BLOB     NOT NULL, -- later entries have greater ones
    happened_at  INTEGER   NOT NULL,
    kind         TEXT     NOT NULL,
    record_kind  INTEGER NOT NULL,
    record_id    BLOB     NOT NULL,
    close_out_id BLOB,
    actor        TEXT     NOT NULL,
    text         TEXT     NOT NULL,
    CONSTRAINT timeline_key PRIMARY KEY (tenant_id, customer_id, timeline_id)
) STRICT, WITHOUT ROWID;

-- Every effect of every command and message. Only added to.
CREATE TABLE audit (
    tenant_id      BLOB   NOT NULL,
    audit_id       BLOB   NOT NULL,
    audited_at     INTEGER NOT NULL,
    actor          TEXT   NOT NULL,
    method         TEXT   NOT NULL,
    request_id     BLOB,
    message_id     BLOB,
    resource       TEXT   NOT NULL,
    version_before INTEGER NOT NULL, -- 0: it was made
    version_after  INTEGER NOT NULL,
    state_before   TEXT   NOT NULL,
    state_after    TEXT   NOT NULL,
    close_out_id   BLOB,
    CONSTRAINT audit_key PRIMARY KEY (tenant_id, audit_id)
) STRICT, WITHOUT ROWID;

-- What SQLite should assume about the tables, as it would find in a tenant with a million records: rows in all, then for each
-- column of the index how many share its value and those before it. Without it the planner walks a tenant's whole table.
ANALYZE;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('lane', 'lane', '1000000 1000000 500000 1'),
    ('lane', 'lane_of_parent', '1000000 1000000 2'),
    ('inbox', 'inbox', '1000000 1000000 500000 3 1'),
    ('outbox', 'outbox', '1000 1000 500 2 1'),
    ('outbox', 'outbox_due', '1000 2'),
    ('idempotency', 'idempotency', '1000000 1000000 10000 2000 1'),
    ('task', 'task', '1000000 1000000 1'),
    ('task', 'task_of_root', '1000000 1000000 500000 3 1'),
    ('task', 'task_of_assignee', '1000000 1000000 10000 1'),
    ('close_out', 'close_out', '1000000 1000000 1'),
    ('close_out', 'sqlite_autoindex_close_out_2', '1000000 1000000 500000 1 1'),
    ('close_out', 'close_out_of_customer', '1000000 1000000 50 1'),
    ('close_out', 'close_out_of_cause', '1000000 1000000 2'),
    ('timeline', 'timeline', '1000000 1000000 50 1'),
    ('audit', 'audit', '1000000 1000000 1');
ANALYZE sqlite_schema; -- take it up at once
