-- What a unit of a currency is worth of another, and from when on. The opportunity service writes it; on the order service it is a
-- copy. What a close-out came to in the tenant's currency by the rate of its time stands in its snapshot: rate, tenant_minor,
-- tenant_currency. lane.record_kind: 1 customer, 2 opportunity, 3 order, 4 reason, 5 settings, 6 exchange rate.
CREATE TABLE exchange_rate (
    tenant_id        UUID   NOT NULL,
    exchange_rate_id UUID   NOT NULL,             -- made of the next three and in their order; also the id of its lane of messages
    to_currency      TEXT   COLLATE "C" NOT NULL,
    currency         TEXT   COLLATE "C" NOT NULL,
    effective_at     BIGINT NOT NULL,
    rate             BIGINT,                      -- in units of 10^-12; NULL: deleted
    revision         BIGINT NOT NULL,             -- raised by each change
    sent             BIGINT NOT NULL,             -- how many messages; 0: it is a copy
    updated_at       BIGINT NOT NULL,
    CONSTRAINT exchange_rate_key PRIMARY KEY (tenant_id, exchange_rate_id)
);
-- The pages of one currency.
CREATE INDEX exchange_rate_of_currency ON exchange_rate (tenant_id, currency, exchange_rate_id) WHERE rate IS NOT NULL;
