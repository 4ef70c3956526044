-- What the relay has to remember of a message that does not arrive, and what an operator did about it.

ALTER TABLE outbox
    ADD COLUMN losses      BIGINT NOT NULL DEFAULT 0, -- times in a row that a call with it broke off, the first two counted once
    ADD COLUMN refusals    BIGINT NOT NULL DEFAULT 0, -- times that the receiver said it is at fault itself
    ADD COLUMN waits_for   BIGINT NOT NULL DEFAULT 0, -- number before it that has to arrive first; no process holds it. 0: it is due, or held
    ADD COLUMN gap_at      BIGINT NOT NULL DEFAULT 0, -- number that the receiver wanted instead when it was sent last; 0: none
    ADD COLUMN gap_since   BIGINT NOT NULL DEFAULT 0; -- since when it is this number

-- Few rows are ever in it, and only while an operator has to look.
CREATE INDEX outbox_parked ON outbox (tenant_id, message_id) WHERE parked;

-- What waits for its turn does not stand in the way of what is due.
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (lease_until) WHERE NOT parked AND waits_for = 0;
CREATE INDEX outbox_waiting ON outbox (lease_until) WHERE NOT parked AND waits_for > 0;

ALTER TABLE audit ADD COLUMN note TEXT NOT NULL DEFAULT ''; -- why an operator did it
