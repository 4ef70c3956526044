-- What a tenant has made of the built-in reasons, and its own: one row for each reason as it is now, and one for each version.
-- The opportunity service writes them; on the order service they are a copy. A built-in reason has a row once it is changed.
CREATE TABLE reason (
    tenant_id        UUID     NOT NULL,
    code             TEXT     COLLATE "C" NOT NULL,
    version          BIGINT   NOT NULL,
    scope            SMALLINT NOT NULL, -- 1 opportunity, 2 order, 3 order as processed
    zh               TEXT     NOT NULL, -- labels
    en               TEXT     NOT NULL,
    category         TEXT     COLLATE "C" NOT NULL,
    class            SMALLINT,          -- NULL: no loss
    min_detail       BIGINT   NOT NULL,
    needs_competitor BOOLEAN  NOT NULL,
    win_back_days    BIGINT   NOT NULL,
    historical_only  BOOLEAN  NOT NULL,
    active           BOOLEAN  NOT NULL,
    position         BIGINT   NOT NULL, -- in its scope
    revision         BIGINT   NOT NULL, -- raised by each change, of whatever kind
    lane             UUID     NOT NULL, -- id of its lane of messages
    sent             BIGINT   NOT NULL, -- how many messages; 0: it is a copy
    created_at       BIGINT   NOT NULL,
    updated_at       BIGINT   NOT NULL,
    CONSTRAINT reason_key PRIMARY KEY (tenant_id, code)
);

-- Only added to: close-outs keep code and version.
CREATE TABLE reason_version (
    tenant_id        UUID     NOT NULL,
    code             TEXT     COLLATE "C" NOT NULL,
    version          BIGINT   NOT NULL,
    scope            SMALLINT NOT NULL, -- 1 opportunity, 2 order, 3 order as processed
    zh               TEXT     NOT NULL, -- labels
    en               TEXT     NOT NULL,
    category         TEXT     COLLATE "C" NOT NULL,
    class            SMALLINT,          -- NULL: no loss
    min_detail       BIGINT   NOT NULL,
    needs_competitor BOOLEAN  NOT NULL,
    win_back_days    BIGINT   NOT NULL,
    historical_only  BOOLEAN  NOT NULL,
    actor            TEXT     NOT NULL,
    made_at          BIGINT   NOT NULL,
    CONSTRAINT reason_version_key PRIMARY KEY (tenant_id, code, version)
);
