-- What a close-out says beside its reason and what was corrected, what else a reason asks for, and what a tenant has decided.
ALTER TABLE close_out ADD COLUMN remarks TEXT; -- JSON: {secondary, verification, reassessment, follow_up}; NULL: nothing
ALTER TABLE close_out ADD COLUMN amendments TEXT; -- JSON: what was corrected and what it had said before; NULL: nothing

ALTER TABLE reason
    ADD COLUMN labels            TEXT   NOT NULL DEFAULT '{}', -- JSON: {language: label}, beside zh and en
    ADD COLUMN verification      SMALLINT,                     -- 1 required, 2 not required; NULL: as the settings say
    ADD COLUMN verification_days BIGINT NOT NULL DEFAULT 0,    -- 0: as the settings say
    ADD COLUMN merged_into       TEXT   COLLATE "C";           -- code of the reason that took its place
ALTER TABLE reason_version
    ADD COLUMN labels            TEXT   NOT NULL DEFAULT '{}',
    ADD COLUMN verification      SMALLINT,
    ADD COLUMN verification_days BIGINT NOT NULL DEFAULT 0;

-- The opportunity service writes it; on the order service it is a copy. A tenant that has decided nothing has no row.
CREATE TABLE settings (
    tenant_id  UUID   NOT NULL,
    decided    TEXT   NOT NULL, -- JSON
    revision   BIGINT NOT NULL, -- raised by each change
    sent       BIGINT NOT NULL, -- how many messages; 0: it is a copy
    updated_at BIGINT NOT NULL,
    CONSTRAINT settings_key PRIMARY KEY (tenant_id)
);
