-- Tables that both services have. Times are microseconds since 1970 UTC. Codes are the numbers of the protobuf enums.

-- What this side knows of the other side's records, and how far it has read their messages.
CREATE TABLE lane (
    tenant_id    UUID     NOT NULL,
    record_kind  SMALLINT NOT NULL, -- 1 customer, 2 opportunity, 3 order
    record_id    UUID     NOT NULL,
    last_number  BIGINT   NOT NULL, -- of the last message applied; 0: none yet
    customer_id  UUID,
    parent_id    UUID,              -- the opportunity of an order
    state        SMALLINT,          -- NULL: no message has come yet
    epoch        BIGINT   NOT NULL, -- how many times it has been closed out
    owner        TEXT     NOT NULL,
    close_out_id UUID,              -- its current close-out, with ...
    closed_at    BIGINT,
    outcome      SMALLINT,
    class        SMALLINT,
    loss_at      BIGINT,            -- ... when it counts as a loss of the customer
    success_at   BIGINT,            -- ... or as a success
    CONSTRAINT lane_key PRIMARY KEY (tenant_id, record_kind, record_id)
);
CREATE INDEX lane_of_parent ON lane (tenant_id, parent_id) WHERE parent_id IS NOT NULL;

-- Messages that were applied: a copy gets the same answer.
CREATE TABLE inbox (
    tenant_id   UUID     NOT NULL,
    record_kind SMALLINT NOT NULL,
    record_id   UUID     NOT NULL,
    number      BIGINT   NOT NULL,
    message_id  UUID     NOT NULL,
    hash        BYTEA    NOT NULL, -- SHA-256 of the payload
    outcome     SMALLINT NOT NULL,
    effects     TEXT     NOT NULL, -- JSON
    received_at BIGINT   NOT NULL,
    CONSTRAINT inbox_key PRIMARY KEY (tenant_id, record_kind, record_id, number)
);

-- Messages that the other side has not confirmed yet. A row goes when it is confirmed.
CREATE TABLE outbox (
    tenant_id    UUID     NOT NULL,
    record_kind  SMALLINT NOT NULL,
    record_id    UUID     NOT NULL,
    number       BIGINT   NOT NULL, -- place in the lane, from 1 without a hole
    message_id   UUID     NOT NULL,
    payload      BYTEA    NOT NULL, -- crm.closeout.v1.Message, never encoded again
    close_out_id UUID,              -- whose delivery it is
    reversal     BOOLEAN  NOT NULL, -- that of its reversal
    created_at   BIGINT   NOT NULL,
    lease_until  BIGINT   NOT NULL, -- until then one process holds it
    attempts     BIGINT   NOT NULL, -- times it was claimed from this table
    parked       BOOLEAN  NOT NULL, -- refused; an operator has to look
    fault        TEXT     NOT NULL, -- why
    CONSTRAINT outbox_key PRIMARY KEY (tenant_id, record_kind, record_id, number)
);
CREATE INDEX outbox_due ON outbox (lease_until) WHERE NOT parked;

-- Answers by request id: a copy of a request gets the same one.
CREATE TABLE idempotency (
    tenant_id    UUID   NOT NULL,
    principal    TEXT   COLLATE "C" NOT NULL,
    method       TEXT   COLLATE "C" NOT NULL,
    request_id   UUID   NOT NULL,
    fingerprint  BYTEA  NOT NULL, -- SHA-256 of the request
    reply        BYTEA  NOT NULL, -- the resource, encoded
    close_out_id UUID,
    lane_kind    SMALLINT,        -- the message it sent
    lane_id      UUID,
    number       BIGINT,
    answered_at  BIGINT NOT NULL,
    CONSTRAINT idempotency_key PRIMARY KEY (tenant_id, principal, method, request_id)
);

CREATE TABLE task (
    tenant_id   UUID     NOT NULL,
    task_id     UUID     NOT NULL,
    root_kind   SMALLINT NOT NULL, -- what it is for
    root_id     UUID     NOT NULL,
    kind        SMALLINT NOT NULL,
    title       TEXT     NOT NULL,
    assignee    TEXT     COLLATE "C" NOT NULL,
    due_at      BIGINT,
    state       SMALLINT NOT NULL, -- 1 open, 2 in progress, 3 done, 4 cancelled
    prior_state SMALLINT,          -- before the close-out that cancelled it
    closed_by   UUID,              -- that close-out; NULL again when a person changes it
    created_at  BIGINT   NOT NULL,
    updated_at  BIGINT   NOT NULL,
    version     BIGINT   NOT NULL,
    CONSTRAINT task_key PRIMARY KEY (tenant_id, task_id)
);
-- No index names state or closed_by: cancelling a task stays a heap-only update.
CREATE INDEX task_of_root ON task (tenant_id, root_kind, root_id, task_id);
CREATE INDEX task_of_assignee ON task (tenant_id, assignee, task_id);

CREATE TABLE close_out (
    tenant_id      UUID     NOT NULL,
    close_out_id   UUID     NOT NULL,
    subject_kind   SMALLINT NOT NULL,
    subject_id     UUID     NOT NULL,
    customer_id    UUID,
    episode        BIGINT   NOT NULL, -- of this subject, from 1
    outcome        SMALLINT NOT NULL,
    reason_code    TEXT     COLLATE "C" NOT NULL,
    reason_version BIGINT   NOT NULL,
    class          SMALLINT,
    detail         TEXT     NOT NULL,
    competitor_id  UUID,
    snapshot       TEXT     NOT NULL, -- JSON: the subject just before
    actor          TEXT     COLLATE "C" NOT NULL,
    closed_at      BIGINT   NOT NULL,
    historical     BOOLEAN  NOT NULL,
    state          SMALLINT NOT NULL, -- 1 effective, 2 reversed
    cause          UUID,              -- the close-out (of either side) that caused it
    hop            BIGINT   NOT NULL, -- how far from a person's call
    request_id     UUID,
    effects        TEXT     NOT NULL, -- JSON: what it did here
    delivery_propagation SMALLINT NOT NULL,
    delivery_outcome     SMALLINT,
    delivery_effects     TEXT NOT NULL, -- JSON: what it did there
    reversal             TEXT,          -- JSON: how it was undone
    reversal_delivery_propagation SMALLINT,
    reversal_delivery_outcome     SMALLINT,
    reversal_delivery_effects     TEXT,
    CONSTRAINT close_out_key PRIMARY KEY (tenant_id, close_out_id),
    CONSTRAINT close_out_episode UNIQUE (tenant_id, subject_kind, subject_id, episode)
);
CREATE INDEX close_out_of_customer ON close_out (tenant_id, customer_id, close_out_id);
CREATE INDEX close_out_of_cause ON close_out (tenant_id, cause) WHERE cause IS NOT NULL;

-- What happened to a customer's record. Only added to.
CREATE TABLE timeline (
    tenant_id    UUID     NOT NULL,
    customer_id  UUID     NOT NULL,
    timeline_id  UUID     NOT NULL, -- later entries have greater ones
    happened_at  BIGINT   NOT NULL,
    kind         TEXT     NOT NULL,
    record_kind  SMALLINT NOT NULL,
    record_id    UUID     NOT NULL,
    close_out_id UUID,
    actor        TEXT     NOT NULL,
    text         TEXT     NOT NULL,
    CONSTRAINT timeline_key PRIMARY KEY (tenant_id, customer_id, timeline_id)
);

-- Every effect of every command and message. Only added to.
CREATE TABLE audit (
    tenant_id      UUID   NOT NULL,
    audit_id       UUID   NOT NULL,
    audited_at     BIGINT NOT NULL,
    actor          TEXT   NOT NULL,
    method         TEXT   NOT NULL,
    request_id     UUID,
    message_id     UUID,
    resource       TEXT   NOT NULL,
    version_before BIGINT NOT NULL, -- 0: it was made
    version_after  BIGINT NOT NULL,
    state_before   TEXT   NOT NULL,
    state_after    TEXT   NOT NULL,
    close_out_id   UUID,
    CONSTRAINT audit_key PRIMARY KEY (tenant_id, audit_id)
);
