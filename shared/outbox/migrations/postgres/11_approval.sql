-- A close-out may wait for another person's approval; nothing of it is done until then.
-- close_out.state: 1 effective, 2 reversed, 3 pending approval, 4 rejected, 5 expired, 6 withdrawn. job.kind: 1 retention, 2 expiry.
ALTER TABLE close_out ADD COLUMN approval TEXT; -- JSON: why it waits, until when, what was decided; NULL: it needed none
