-- The close-out of an order may take its opportunity's win back; its reversal gives that back, if nothing has moved it since.
ALTER TABLE opportunity ADD COLUMN taken_back_by BLOB; -- the order's close-out
ALTER TABLE opportunity ADD COLUMN won_before INTEGER; -- when it had been won
