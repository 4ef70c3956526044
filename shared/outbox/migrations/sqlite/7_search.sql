-- What is searched. These rows follow what a record is called and worth, never its state: closing out or reopening a record
-- touches none of them.

-- The parts of the folded name of each customer, one for each letter that begins one, so that "contains" is a range of this key.
-- Written with the customer, and instead of the old ones when it is renamed.
CREATE TABLE search_name (
    tenant_id   BLOB    NOT NULL,
    inside      INTEGER NOT NULL, -- it begins within the name; false: it is the name
    part        TEXT    NOT NULL, -- within the name 24 letters at most
    customer_id BLOB    NOT NULL,
    place       INTEGER NOT NULL, -- letters before it
    CONSTRAINT search_name_key PRIMARY KEY (tenant_id, inside, part, customer_id, place)
) STRICT, WITHOUT ROWID;

-- What the opportunities or orders of this side are found by.
CREATE TABLE search_subject (
    tenant_id       BLOB    NOT NULL,
    subject_id      BLOB    NOT NULL,
    number          TEXT    NOT NULL, -- folded
    customer_id     BLOB,
    owner           TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    amount_minor    INTEGER NOT NULL, -- of an order: what was ordered, whatever of it was cancelled since
    amount_currency TEXT    NOT NULL,
    CONSTRAINT search_subject_key PRIMARY KEY (tenant_id, subject_id)
) STRICT, WITHOUT ROWID;
-- Each in the order of the pages that walk it.
CREATE INDEX search_subject_number ON search_subject (tenant_id, number, subject_id);
CREATE INDEX search_subject_of_customer ON search_subject (tenant_id, customer_id, created_at, subject_id);
CREATE INDEX search_subject_of_owner ON search_subject (tenant_id, owner, created_at, subject_id);
CREATE INDEX search_subject_of_amount ON search_subject (tenant_id, amount_currency, amount_minor, subject_id);
CREATE INDEX search_subject_in_time ON search_subject (tenant_id, created_at, subject_id);

-- What the subject of a close-out was worth, from the snapshot, which never changes. Customer, reason and actor have their
-- indices already. Two more are what search adds to a close-out.
ALTER TABLE close_out ADD COLUMN amount_minor INTEGER GENERATED ALWAYS AS (snapshot ->> 'minor') VIRTUAL;
ALTER TABLE close_out ADD COLUMN amount_currency TEXT GENERATED ALWAYS AS (snapshot ->> 'currency') VIRTUAL;
CREATE INDEX close_out_of_amount ON close_out (tenant_id, amount_currency, amount_minor, close_out_id);
CREATE INDEX close_out_in_time ON close_out (tenant_id, closed_at, close_out_id);

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('search_name', 'search_name', '4000000 4000000 2000000 10 2 1'),
    ('search_subject', 'search_subject', '1000000 1000000 1'),
    ('search_subject', 'search_subject_number', '1000000 1000000 1 1'),
    ('search_subject', 'search_subject_of_customer', '1000000 1000000 50 1 1'),
    ('search_subject', 'search_subject_of_owner', '1000000 1000000 10000 1 1'),
    ('search_subject', 'search_subject_of_amount', '1000000 1000000 500000 50 1'),
    ('search_subject', 'search_subject_in_time', '1000000 1000000 1 1'),
    ('close_out', 'close_out_of_amount', '1000000 1000000 500000 50 1'),
    ('close_out', 'close_out_in_time', '1000000 1000000 1 1');
ANALYZE sqlite_schema; -- take it up at once
