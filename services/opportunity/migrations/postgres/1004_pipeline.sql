-- Pipelines of the tenant's own. One without a row has the pipeline `default` as it is built in; a row of that id takes its place.
CREATE TABLE pipeline (
    tenant_id   UUID    NOT NULL,
    pipeline_id TEXT    COLLATE "C" NOT NULL,
    en          TEXT    NOT NULL, -- what it is called
    zh          TEXT    NOT NULL,
    stages      TEXT    NOT NULL, -- JSON: [{id, en, zh, win_percent, active}], in order
    active      BOOLEAN NOT NULL,
    place       BIGINT  NOT NULL, -- where it stands among the tenant's
    version     BIGINT  NOT NULL,
    CONSTRAINT pipeline_key PRIMARY KEY (tenant_id, pipeline_id)
);

ALTER TABLE opportunity ADD COLUMN pipeline TEXT COLLATE "C" NOT NULL DEFAULT 'default';
DROP INDEX opportunity_in_stage;
CREATE INDEX opportunity_in_stage ON opportunity (tenant_id, pipeline, stage, opportunity_id);
