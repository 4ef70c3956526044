-- What tenants have decided about stale opportunities. job.kind 4: it is acted upon, on a day.
CREATE TABLE stale_policy (
    tenant_id  UUID   NOT NULL,
    policy     TEXT   NOT NULL, -- JSON: {rule: [warn, propose, close], rules: {name: rule}, business_days_only, holidays, ...}, days
    revision   BIGINT NOT NULL, -- raised by each change
    updated_at BIGINT NOT NULL,
    CONSTRAINT stale_policy_key PRIMARY KEY (tenant_id)
);

-- What was done about its being stale, and since when it was: 1 warned, 2 proposed. NULL since somebody worked on it.
ALTER TABLE opportunity ADD COLUMN stale_level SMALLINT;
ALTER TABLE opportunity ADD COLUMN stale_since BIGINT;
