-- What tenants have decided about stale opportunities. job.kind 4: it is acted upon, on a day.
CREATE TABLE stale_policy (
    tenant_id  BLOB   NOT NULL,
    policy     TEXT   NOT NULL, -- JSON: {rule: [warn, propose, close], rules: {name: rule}, business_days_only, holidays, ...}, days
    revision   INTEGER NOT NULL, -- raised by each change
    updated_at INTEGER NOT NULL,
    CONSTRAINT stale_policy_key PRIMARY KEY (tenant_id)
) STRICT, WITHOUT ROWID;

-- What was done about its being stale, and since when it was: 1 warned, 2 proposed. NULL since somebody worked on it.
ALTER TABLE opportunity ADD COLUMN stale_level INTEGER;
ALTER TABLE opportunity ADD COLUMN stale_since INTEGER;

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('stale_policy', 'stale_policy', '10000 1');
ANALYZE sqlite_schema; -- take it up at once
