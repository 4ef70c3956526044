-- State 3: its close-out waits for another person's approval.
ALTER TABLE opportunity ADD COLUMN declined INTEGER NOT NULL DEFAULT 0; -- how many close-outs were asked for and came to nothing
