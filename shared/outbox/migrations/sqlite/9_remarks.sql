-- What a close-out says beside its reason and what was corrected, what else a reason asks for, and what a tenant has decided.
ALTER TABLE close_out ADD COLUMN remarks TEXT; -- JSON: {secondary, verification, reassessment, follow_up}; NULL: nothing
ALTER TABLE close_out ADD COLUMN amendments TEXT; -- JSON: what was corrected and what it had said before; NULL: nothing

ALTER TABLE reason ADD COLUMN labels TEXT NOT NULL DEFAULT '{}'; -- JSON: {language: label}, beside zh and en
ALTER TABLE reason ADD COLUMN verification INTEGER; -- 1 required, 2 not required; NULL: as the settings say
ALTER TABLE reason ADD COLUMN verification_days INTEGER NOT NULL DEFAULT 0; -- 0: as the settings say
ALTER TABLE reason ADD COLUMN merged_into TEXT; -- code of the reason that took its place
ALTER TABLE reason_version ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
ALTER TABLE reason_version ADD COLUMN verification INTEGER;
ALTER TABLE reason_version ADD COLUMN verification_days INTEGER NOT NULL DEFAULT 0;

-- The opportunity service writes it; on the order service it is a copy. A tenant that has decided nothing has no row.
CREATE TABLE settings (
    tenant_id  BLOB    NOT NULL,
    decided    TEXT    NOT NULL, -- JSON
    revision   INTEGER NOT NULL, -- raised by each change
    sent       INTEGER NOT NULL, -- how many messages; 0: it is a copy
    updated_at INTEGER NOT NULL,
    CONSTRAINT settings_key PRIMARY KEY (tenant_id)
) STRICT, WITHOUT ROWID;

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('settings', 'settings', '10000 1');
ANALYZE sqlite_schema; -- take it up at once
