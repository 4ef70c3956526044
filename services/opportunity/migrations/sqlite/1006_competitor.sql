-- Competitors are renamed, taken out of use and back into it, and merged. What names one that was merged goes on naming it.
ALTER TABLE competitor ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE competitor ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0; -- 0: not since it was made
ALTER TABLE competitor ADD COLUMN merged_into BLOB; -- NULL unless it was merged; never into one that was merged itself
-- A merge takes those along that were merged into its sources before.
CREATE INDEX competitor_merged ON competitor (tenant_id, merged_into, competitor_id) WHERE merged_into IS NOT NULL;
-- The pages of those in use; most of a tenant's may be out of it.
CREATE INDEX competitor_in_use ON competitor (tenant_id, competitor_id) WHERE active;

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('competitor', 'competitor_merged', '50 50 5 1'),
    ('competitor', 'competitor_in_use', '50 50 1');
ANALYZE sqlite_schema; -- take it up at once
