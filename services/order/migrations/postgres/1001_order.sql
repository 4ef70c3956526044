-- Tables of the order service. Times are microseconds since 1970 UTC; codes are the numbers of the protobuf enums.

-- The trade record of a customer. A row without a name is a stub that the customer's own message fills.
CREATE TABLE customer (
    tenant_id         UUID   NOT NULL,
    customer_id       UUID   NOT NULL,
    display_name      TEXT   NOT NULL,
    draft_count       BIGINT NOT NULL,
    live_count        BIGINT NOT NULL,
    processed_count   BIGINT NOT NULL,
    cancelled_count   BIGINT NOT NULL,
    deals_lost        BIGINT NOT NULL,
    amounts           TEXT   NOT NULL, -- JSON: {currency: [draft, live, processed, cancelled]} in minor units
    last_close_out_at BIGINT,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    version           BIGINT NOT NULL,
    CONSTRAINT customer_key PRIMARY KEY (tenant_id, customer_id)
);

CREATE TABLE sales_order (
    tenant_id        UUID     NOT NULL,
    order_id         UUID     NOT NULL,
    number           TEXT     COLLATE "C" NOT NULL,
    customer_id      UUID     NOT NULL,
    opportunity_id   UUID,
    owner            TEXT     COLLATE "C" NOT NULL,
    team             TEXT     NOT NULL,
    state            SMALLINT NOT NULL, -- 1 draft, 2 confirmed, 3 in fulfilment, 5 processed, 6 cancelled
    currency         TEXT     NOT NULL,
    lines            TEXT     NOT NULL, -- JSON: [{product, quantity, fulfilled, cancelled, unit_minor}]
    paid_minor       BIGINT   NOT NULL,
    refund_reference TEXT     NOT NULL,
    close_out_id     UUID,              -- in force; NULL unless closed out
    closed_at        BIGINT,
    created_at       BIGINT   NOT NULL,
    historical       BOOLEAN  NOT NULL,
    updated_at       BIGINT   NOT NULL,
    version          BIGINT   NOT NULL,
    epoch            BIGINT   NOT NULL, -- how many times it has been closed out
    sent             BIGINT   NOT NULL, -- number of the last message in its lane
    CONSTRAINT sales_order_key PRIMARY KEY (tenant_id, order_id),
    CONSTRAINT sales_order_number UNIQUE (tenant_id, number),
    CONSTRAINT sales_order_customer FOREIGN KEY (tenant_id, customer_id) REFERENCES customer (tenant_id, customer_id)
);
CREATE INDEX sales_order_of_customer ON sales_order (tenant_id, customer_id, order_id);
CREATE INDEX sales_order_of_opportunity ON sales_order (tenant_id, opportunity_id, order_id) WHERE opportunity_id IS NOT NULL;
CREATE INDEX sales_order_in_state ON sales_order (tenant_id, state, order_id);
CREATE INDEX sales_order_of_owner ON sales_order (tenant_id, owner, order_id);
