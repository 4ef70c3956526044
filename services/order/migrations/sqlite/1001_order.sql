-- Tables of the order service. Times are microseconds since 1970 UTC; codes are the numbers of the protobuf enums.

-- The trade record of a customer. A row without a name is a stub that the customer's own message fills.
CREATE TABLE customer (
    tenant_id         BLOB   NOT NULL,
    customer_id       BLOB   NOT NULL,
    display_name      TEXT   NOT NULL,
    draft_count       INTEGER NOT NULL,
    live_count        INTEGER NOT NULL,
    processed_count   INTEGER NOT NULL,
    cancelled_count   INTEGER NOT NULL,
    deals_lost        INTEGER NOT NULL,
    amounts           TEXT   NOT NULL, -- JSON: {currency: [draft, live, processed, cancelled]} in minor units
    last_close_out_at INTEGER,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    version           INTEGER NOT NULL,
    CONSTRAINT customer_key PRIMARY KEY (tenant_id, customer_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE sales_order (
    tenant_id        BLOB     NOT NULL,
    order_id         BLOB     NOT NULL,
    number           TEXT     NOT NULL,
    customer_id      BLOB     NOT NULL,
    opportunity_id   BLOB,
    owner            TEXT     NOT NULL,
    team             TEXT     NOT NULL,
    state            INTEGER NOT NULL, -- 1 draft, 2 confirmed, 3 in fulfilment, 5 processed, 6 cancelled
    currency         TEXT     NOT NULL,
    lines            TEXT     NOT NULL, -- JSON: [{product, quantity, fulfilled, cancelled, unit_minor}]
    paid_minor       INTEGER   NOT NULL,
    refund_reference TEXT     NOT NULL,
    close_out_id     BLOB,              -- in force; NULL unless closed out
    closed_at        INTEGER,
    created_at       INTEGER   NOT NULL,
    historical       INTEGER  NOT NULL,
    updated_at       INTEGER   NOT NULL,
    version          INTEGER   NOT NULL,
    epoch            INTEGER   NOT NULL, -- how many times it has been closed out
    sent             INTEGER   NOT NULL, -- number of the last message in its lane
    CONSTRAINT sales_order_key PRIMARY KEY (tenant_id, order_id),
    CONSTRAINT sales_order_number UNIQUE (tenant_id, number),
    CONSTRAINT sales_order_customer FOREIGN KEY (tenant_id, customer_id) REFERENCES customer (tenant_id, customer_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX sales_order_of_customer ON sales_order (tenant_id, customer_id, order_id);
CREATE INDEX sales_order_of_opportunity ON sales_order (tenant_id, opportunity_id, order_id) WHERE opportunity_id IS NOT NULL;
CREATE INDEX sales_order_in_state ON sales_order (tenant_id, state, order_id);
CREATE INDEX sales_order_of_owner ON sales_order (tenant_id, owner, order_id);

-- What SQLite should assume about the tables, as in a tenant with a million orders (see the shared migration).
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('customer', 'customer', '20000 20000 1'),
    ('sales_order', 'sales_order', '1000000 1000000 1'),
    ('sales_order', 'sqlite_autoindex_sales_order_2', '1000000 1000000 1'),
    ('sales_order', 'sales_order_of_customer', '1000000 1000000 50 1'),
    ('sales_order', 'sales_order_of_opportunity', '1000000 1000000 2 1'),
    ('sales_order', 'sales_order_in_state', '1000000 1000000 200000 1'),
    ('sales_order', 'sales_order_of_owner', '1000000 1000000 10000 1');
ANALYZE sqlite_schema; -- take it up at once
