-- What a tenant has made of the built-in reasons, and its own: one row for each reason as it is now, and one for each version.
-- The opportunity service writes them; on the order service they are a copy. A built-in reason has a row once it is changed.
CREATE TABLE reason (
    tenant_id        BLOB     NOT NULL,
    code             TEXT     NOT NULL,
    version          INTEGER  NOT NULL,
    scope            INTEGER  NOT NULL, -- 1 opportunity, 2 order, 3 order as processed
    zh               TEXT     NOT NULL, -- labels
    en               TEXT     NOT NULL,
    category         TEXT     NOT NULL,
    class            INTEGER ,          -- NULL: no loss
    min_detail       INTEGER  NOT NULL,
    needs_competitor INTEGER  NOT NULL,
    win_back_days    INTEGER  NOT NULL,
    historical_only  INTEGER  NOT NULL,
    active           INTEGER  NOT NULL,
    position         INTEGER  NOT NULL, -- in its scope
    revision         INTEGER  NOT NULL, -- raised by each change, of whatever kind
    lane             BLOB     NOT NULL, -- id of its lane of messages
    sent             INTEGER  NOT NULL, -- how many messages; 0: it is a copy
    created_at       INTEGER  NOT NULL,
    updated_at       INTEGER  NOT NULL,
    CONSTRAINT reason_key PRIMARY KEY (tenant_id, code)
) STRICT, WITHOUT ROWID;

-- Only added to: close-outs keep code and version.
CREATE TABLE reason_version (
    tenant_id        BLOB     NOT NULL,
    code             TEXT     NOT NULL,
    version          INTEGER  NOT NULL,
    scope            INTEGER  NOT NULL, -- 1 opportunity, 2 order, 3 order as processed
    zh               TEXT     NOT NULL, -- labels
    en               TEXT     NOT NULL,
    category         TEXT     NOT NULL,
    class            INTEGER ,          -- NULL: no loss
    min_detail       INTEGER  NOT NULL,
    needs_competitor INTEGER  NOT NULL,
    win_back_days    INTEGER  NOT NULL,
    historical_only  INTEGER  NOT NULL,
    actor            TEXT     NOT NULL,
    made_at          INTEGER  NOT NULL,
    CONSTRAINT reason_version_key PRIMARY KEY (tenant_id, code, version)
) STRICT, WITHOUT ROWID;

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('reason', 'reason', '10000 50 1'),
    ('reason_version', 'reason_version', '100000 500 10 1');
ANALYZE sqlite_schema; -- take it up at once
