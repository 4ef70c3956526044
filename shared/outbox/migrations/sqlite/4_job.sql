-- Timed duties. A row is made once, by whichever process is first, and worked on step by step under its lock.
CREATE TABLE job (
    tenant_id BLOB    NOT NULL,
    kind      INTEGER NOT NULL, -- 1 retention
    job_key   TEXT    NOT NULL, -- what makes it one of its kind, such as the day
    due_at    INTEGER NOT NULL,
    progress  TEXT    NOT NULL, -- how far it is, in the words of its kind; empty: not begun
    steps     INTEGER NOT NULL, -- how many steps it took so far
    done_at   INTEGER,          -- NULL: not done
    CONSTRAINT job_key PRIMARY KEY (tenant_id, kind, job_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_due ON job (due_at) WHERE done_at IS NULL;
