-- What a unit of a currency is worth of another, and from when on. The opportunity service writes it; on the order service it is a
-- copy. What a close-out came to in the tenant's currency by the rate of its time stands in its snapshot: rate, tenant_minor,
-- tenant_currency. lane.record_kind: 1 customer, 2 opportunity, 3 order, 4 reason, 5 settings, 6 exchange rate.
CREATE TABLE exchange_rate (
    tenant_id        BLOB    NOT NULL,
    exchange_rate_id BLOB    NOT NULL, -- made of the next three and in their order; also the id of its lane of messages
    to_currency      TEXT    NOT NULL,
    currency         TEXT    NOT NULL,
    effective_at     INTEGER NOT NULL,
    rate             INTEGER,          -- in units of 10^-12; NULL: deleted
    revision         INTEGER NOT NULL, -- raised by each change
    sent             INTEGER NOT NULL, -- how many messages; 0: it is a copy
    updated_at       INTEGER NOT NULL,
    CONSTRAINT exchange_rate_key PRIMARY KEY (tenant_id, exchange_rate_id)
) STRICT, WITHOUT ROWID;
-- The pages of one currency.
CREATE INDEX exchange_rate_of_currency ON exchange_rate (tenant_id, currency, exchange_rate_id) WHERE rate IS NOT NULL;

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('exchange_rate', 'exchange_rate', '100000 500 1'),
    ('exchange_rate', 'exchange_rate_of_currency', '100000 500 100 1');
ANALYZE sqlite_schema; -- take it up at once
