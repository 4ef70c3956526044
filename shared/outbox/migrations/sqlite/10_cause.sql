-- A close-out may be reversed although its opportunity is closed out, where it has caused that itself.
ALTER TABLE lane ADD COLUMN cause BLOB; -- this side's close-out that caused the current one of the record
