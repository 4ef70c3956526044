-- Parts of an order that were cancelled while it went on.
ALTER TABLE sales_order ADD COLUMN cancellations TEXT NOT NULL DEFAULT '[]'; -- JSON: [{at, actor, reason, version, detail, refund, lines}]
