-- What the relay has to remember of a message that does not arrive, and what an operator did about it.

ALTER TABLE outbox ADD COLUMN losses      INTEGER NOT NULL DEFAULT 0; -- times in a row that a call with it broke off, the first two counted once
ALTER TABLE outbox ADD COLUMN refusals    INTEGER NOT NULL DEFAULT 0; -- times that the receiver said it is at fault itself
ALTER TABLE outbox ADD COLUMN waits_for   INTEGER NOT NULL DEFAULT 0; -- number before it that has to arrive first; no process holds it. 0: it is due, or held
ALTER TABLE outbox ADD COLUMN gap_at      INTEGER NOT NULL DEFAULT 0; -- number that the receiver wanted instead when it was sent last; 0: none
ALTER TABLE outbox ADD COLUMN gap_since   INTEGER NOT NULL DEFAULT 0; -- since when it is this number

-- Few rows are ever in it, and only while an operator has to look.
CREATE INDEX outbox_parked ON outbox (tenant_id, message_id) WHERE parked;

-- What waits for its turn does not stand in the way of what is due.
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (lease_until) WHERE NOT parked AND waits_for = 0;
CREATE INDEX outbox_waiting ON outbox (lease_until) WHERE NOT parked AND waits_for > 0;

ALTER TABLE audit ADD COLUMN note TEXT NOT NULL DEFAULT ''; -- why an operator did it

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('outbox', 'outbox_waiting', '1000 2'),
    ('outbox', 'outbox_parked', '1000 1000 1');
ANALYZE sqlite_schema; -- take it up at once
