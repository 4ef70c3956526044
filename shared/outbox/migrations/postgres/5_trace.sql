-- A message belongs to the trace of what caused it, whichever process delivers it and when.
ALTER TABLE outbox ADD COLUMN trace_parent TEXT NOT NULL DEFAULT ''; -- as W3C Trace Context writes it; empty: none
