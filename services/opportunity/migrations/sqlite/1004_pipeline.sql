-- Pipelines of the tenant's own. One without a row has the pipeline `default` as it is built in; a row of that id takes its place.
CREATE TABLE pipeline (
    tenant_id   BLOB    NOT NULL,
    pipeline_id TEXT    NOT NULL,
    en          TEXT    NOT NULL, -- what it is called
    zh          TEXT    NOT NULL,
    stages      TEXT    NOT NULL, -- JSON: [{id, en, zh, win_percent, active}], in order
    active      INTEGER NOT NULL,
    place       INTEGER NOT NULL, -- where it stands among the tenant's
    version     INTEGER NOT NULL,
    CONSTRAINT pipeline_key PRIMARY KEY (tenant_id, pipeline_id)
) STRICT, WITHOUT ROWID;

ALTER TABLE opportunity ADD COLUMN pipeline TEXT NOT NULL DEFAULT 'default';
DROP INDEX opportunity_in_stage;
CREATE INDEX opportunity_in_stage ON opportunity (tenant_id, pipeline, stage, opportunity_id);

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('pipeline', 'pipeline', '5000 5 1'),
    ('opportunity', 'opportunity_in_stage', '1000000 1000000 500000 250000 1');
ANALYZE sqlite_schema; -- take it up at once
