-- State 2: on hold until a day. job.kind 3: the day has come.
ALTER TABLE opportunity ADD COLUMN resume_at BIGINT;
ALTER TABLE opportunity ADD COLUMN hold_note TEXT NOT NULL DEFAULT '';
