-- Tables of the opportunity service. Times are microseconds since 1970 UTC; codes are the numbers of the protobuf enums.

CREATE TABLE customer (
    tenant_id        UUID     NOT NULL,
    customer_id      UUID     NOT NULL,
    display_name     TEXT     NOT NULL,
    tier             TEXT     NOT NULL,
    owner            TEXT     COLLATE "C" NOT NULL,
    do_not_contact   BOOLEAN  NOT NULL,
    lifecycle        SMALLINT NOT NULL,
    engaged          BOOLEAN  NOT NULL, -- there was an opportunity or an order once
    open_count       BIGINT   NOT NULL,
    won_count        BIGINT   NOT NULL,
    lost_count       BIGINT   NOT NULL,
    live_order_count BIGINT   NOT NULL, -- as far as is known here
    amounts          TEXT     NOT NULL, -- JSON: {currency: [open, won, lost]} in minor units
    last_loss_at     BIGINT,
    created_at       BIGINT   NOT NULL,
    updated_at       BIGINT   NOT NULL,
    version          BIGINT   NOT NULL,
    sent             BIGINT   NOT NULL, -- number of the last message in its lane
    CONSTRAINT customer_key PRIMARY KEY (tenant_id, customer_id)
);

CREATE TABLE opportunity (
    tenant_id         UUID     NOT NULL,
    opportunity_id    UUID     NOT NULL,
    number            TEXT     COLLATE "C" NOT NULL,
    customer_id       UUID,
    title             TEXT     NOT NULL,
    owner             TEXT     COLLATE "C" NOT NULL,
    team              TEXT     NOT NULL,
    stage             TEXT     COLLATE "C" NOT NULL,
    state             SMALLINT NOT NULL, -- 1 open, 4 won, 5 closed out
    amount_minor      BIGINT   NOT NULL,
    amount_currency   TEXT     NOT NULL,
    expected_close_at BIGINT,
    source            TEXT     NOT NULL,
    created_at        BIGINT   NOT NULL,
    stage_entered_at  BIGINT   NOT NULL,
    activity_at       BIGINT   NOT NULL,
    won_at            BIGINT,            -- NULL unless won
    close_out_id      UUID,              -- in force; NULL unless closed out
    closed_at         BIGINT,
    loss_at           BIGINT,            -- NULL if it does not count as a loss of the customer
    historical        BOOLEAN  NOT NULL,
    updated_at        BIGINT   NOT NULL,
    version           BIGINT   NOT NULL,
    epoch             BIGINT   NOT NULL, -- how many times it has been closed out
    sent              BIGINT   NOT NULL, -- number of the last message in its lane
    CONSTRAINT opportunity_key PRIMARY KEY (tenant_id, opportunity_id),
    CONSTRAINT opportunity_number UNIQUE (tenant_id, number),
    CONSTRAINT opportunity_customer FOREIGN KEY (tenant_id, customer_id) REFERENCES customer (tenant_id, customer_id)
);
CREATE INDEX opportunity_of_customer ON opportunity (tenant_id, customer_id, opportunity_id);
CREATE INDEX opportunity_in_state ON opportunity (tenant_id, state, stage, opportunity_id);
CREATE INDEX opportunity_of_owner ON opportunity (tenant_id, owner, opportunity_id);
-- The newest loss and the newest win of a customer decide its lifecycle; orders count, too.
CREATE INDEX opportunity_loss ON opportunity (tenant_id, customer_id, loss_at) WHERE loss_at IS NOT NULL;
CREATE INDEX opportunity_win ON opportunity (tenant_id, customer_id, won_at) WHERE won_at IS NOT NULL;
CREATE INDEX lane_loss ON lane (tenant_id, customer_id, loss_at) WHERE loss_at IS NOT NULL;
CREATE INDEX lane_success ON lane (tenant_id, customer_id, success_at) WHERE success_at IS NOT NULL;

CREATE TABLE competitor (
    tenant_id     UUID    NOT NULL,
    competitor_id UUID    NOT NULL,
    display_name  TEXT    NOT NULL,
    active        BOOLEAN NOT NULL,
    created_at    BIGINT  NOT NULL,
    CONSTRAINT competitor_key PRIMARY KEY (tenant_id, competitor_id),
    CONSTRAINT competitor_name UNIQUE (tenant_id, display_name)
);
