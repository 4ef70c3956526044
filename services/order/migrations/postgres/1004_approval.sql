-- State 4: its close-out waits for another person's approval.
ALTER TABLE sales_order ADD COLUMN declined BIGINT NOT NULL DEFAULT 0; -- how many close-outs were asked for and came to nothing
