-- After how many days a close-out proposes to try to win the customer back, and what is known of a loss on the other side: why, and what
-- it was worth. Of what was lost before that is not known until its lane is sent again (`closeout resend`).
ALTER TABLE close_out ADD COLUMN win_back_days INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lane ADD COLUMN reason_code TEXT;
ALTER TABLE lane ADD COLUMN lost_minor INTEGER;
ALTER TABLE lane ADD COLUMN lost_currency TEXT;
