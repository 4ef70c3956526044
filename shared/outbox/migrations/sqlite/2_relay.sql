-- What the relay has to remember of a message that does not arrive, and what an operator did about it.

ALTER TABLE outbox ADD COLUMN losses      INTEGER NOT NULL DEFAULT 0; -- times in a row that a call with it broke off, the first two counted once
ALTER TABLE outbox ADD COLUMN refusals    INTEGER NOT NULL DEFAULT 0; -- times that the receiver said it is at fault itself
ALTER TABLE outbox ADD COLUMN waits_for   INTEGER NOT NULL DEFAULT 0; -- number that the receiver wants first; 0: it does not wait
ALTER TABLE outbox ADD COLUMN waits_since INTEGER NOT NULL DEFAULT 0; -- since when it is this number

-- Few rows are ever in it, and only while an operator has to look.
CREATE INDEX outbox_parked ON outbox (tenant_id, message_id) WHERE parked;

ALTER TABLE audit ADD COLUMN note TEXT NOT NULL DEFAULT ''; -- why an operator did it
