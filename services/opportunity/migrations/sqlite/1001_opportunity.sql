-- Tables of the opportunity service. Times are microseconds since 1970 UTC; codes are the numbers of the protobuf enums.

CREATE TABLE customer (
    tenant_id        BLOB     NOT NULL,
    customer_id      BLOB     NOT NULL,
    display_name     TEXT     NOT NULL,
    tier             TEXT     NOT NULL,
    owner            TEXT     NOT NULL,
    do_not_contact   INTEGER  NOT NULL,
    lifecycle        INTEGER NOT NULL,
    engaged          INTEGER  NOT NULL, -- there was an opportunity or an order once
    open_count       INTEGER   NOT NULL,
    won_count        INTEGER   NOT NULL,
    lost_count       INTEGER   NOT NULL,
    live_order_count INTEGER   NOT NULL, -- as far as is known here
    amounts          TEXT     NOT NULL, -- JSON: {currency: [open, won, lost]} in minor units
    last_loss_at     INTEGER,
    created_at       INTEGER   NOT NULL,
    updated_at       INTEGER   NOT NULL,
    version          INTEGER   NOT NULL,
    sent             INTEGER   NOT NULL, -- number of the last message in its lane
    CONSTRAINT customer_key PRIMARY KEY (tenant_id, customer_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE opportunity (
    tenant_id         BLOB     NOT NULL,
    opportunity_id    BLOB     NOT NULL,
    number            TEXT     NOT NULL,
    customer_id       BLOB,
    title             TEXT     NOT NULL,
    owner             TEXT     NOT NULL,
    team              TEXT     NOT NULL,
    stage             TEXT     NOT NULL,
    state             INTEGER NOT NULL, -- 1 open, 4 won, 5 closed out
    amount_minor      INTEGER   NOT NULL,
    amount_currency   TEXT     NOT NULL,
    expected_close_at INTEGER,
    source            TEXT     NOT NULL,
    created_at        INTEGER   NOT NULL,
    stage_entered_at  INTEGER   NOT NULL,
    activity_at       INTEGER   NOT NULL,
    won_at            INTEGER,            -- NULL unless won
    close_out_id      BLOB,              -- in force; NULL unless closed out
    closed_at         INTEGER,
    loss_at           INTEGER,            -- NULL if it does not count as a loss of the customer
    historical        INTEGER  NOT NULL,
    updated_at        INTEGER   NOT NULL,
    version           INTEGER   NOT NULL,
    epoch             INTEGER   NOT NULL, -- how many times it has been closed out
    sent              INTEGER   NOT NULL, -- number of the last message in its lane
    CONSTRAINT opportunity_key PRIMARY KEY (tenant_id, opportunity_id),
    CONSTRAINT opportunity_number UNIQUE (tenant_id, number),
    CONSTRAINT opportunity_customer FOREIGN KEY (tenant_id, customer_id) REFERENCES customer (tenant_id, customer_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX opportunity_of_customer ON opportunity (tenant_id, customer_id, opportunity_id);
CREATE INDEX opportunity_in_state ON opportunity (tenant_id, state, stage, opportunity_id);
CREATE INDEX opportunity_of_owner ON opportunity (tenant_id, owner, opportunity_id);
-- The newest loss and the newest win of a customer decide its lifecycle; orders count, too.
CREATE INDEX opportunity_loss ON opportunity (tenant_id, customer_id, loss_at) WHERE loss_at IS NOT NULL;
CREATE INDEX opportunity_win ON opportunity (tenant_id, customer_id, won_at) WHERE won_at IS NOT NULL;
CREATE INDEX lane_loss ON lane (tenant_id, customer_id, loss_at) WHERE loss_at IS NOT NULL;
CREATE INDEX lane_success ON lane (tenant_id, customer_id, success_at) WHERE success_at IS NOT NULL;

CREATE TABLE competitor (
    tenant_id     BLOB    NOT NULL,
    competitor_id BLOB    NOT NULL,
    display_name  TEXT    NOT NULL,
    active        INTEGER NOT NULL,
    created_at    INTEGER  NOT NULL,
    CONSTRAINT competitor_key PRIMARY KEY (tenant_id, competitor_id),
    CONSTRAINT competitor_name UNIQUE (tenant_id, display_name)
) STRICT, WITHOUT ROWID;

-- What SQLite should assume about the tables, as in a tenant with a million opportunities (see the shared migration).
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('customer', 'customer', '20000 20000 1'),
    ('opportunity', 'opportunity', '1000000 1000000 1'),
    ('opportunity', 'sqlite_autoindex_opportunity_2', '1000000 1000000 1'),
    ('opportunity', 'opportunity_of_customer', '1000000 1000000 50 1'),
    ('opportunity', 'opportunity_in_state', '1000000 1000000 300000 50000 1'),
    ('opportunity', 'opportunity_of_owner', '1000000 1000000 10000 1'),
    ('opportunity', 'opportunity_loss', '1000000 1000000 20 1'),
    ('opportunity', 'opportunity_win', '1000000 1000000 20 1'),
    ('lane', 'lane_loss', '1000000 1000000 20 1'),
    ('lane', 'lane_success', '1000000 1000000 20 1'),
    ('competitor', 'competitor', '100 100 1'),
    ('competitor', 'sqlite_autoindex_competitor_2', '100 100 1');
ANALYZE sqlite_schema; -- take it up at once
