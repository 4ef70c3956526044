-- `floor.sql` for SQLite: the same rows by the same statements, in three transactions, told apart by a line. Parameters: 1 tenant,
-- 2 opportunity, 3 customer, 4 close-out, 5 request or message, 6 time, 7 a new id.
SELECT state, version, epoch, sent FROM opportunity
WHERE tenant_id = ?1 AND opportunity_id = ?2;
UPDATE opportunity SET state = 5, close_out_id = ?4, closed_at = ?6, loss_at = ?6, updated_at = ?6,
    version = version + 1, epoch = epoch + 1, sent = sent + 1
WHERE tenant_id = ?1 AND opportunity_id = ?2;
UPDATE subject_in_state SET state = 5
WHERE tenant_id = ?1 AND state = 1 AND subject_id = ?2;
UPDATE customer SET open_count = open_count - 1, lost_count = lost_count + 1, amounts = '{"CNY": [40000,0,10000]}',
    last_loss_at = ?6, lifecycle = CASE WHEN open_count = 1 THEN 4 ELSE 2 END, updated_at = ?6, version = version + 1
WHERE tenant_id = ?1 AND customer_id = ?3;
INSERT INTO close_out (tenant_id, close_out_id, subject_kind, subject_id, customer_id, episode, outcome, reason_code,
    reason_version, class, detail, snapshot, amount_minor, amount_currency, actor, closed_at, historical, state, hop, request_id, effects,
    delivery_propagation, delivery_effects)
VALUES (?1, ?4, 2, ?2, ?3, 1, 1, 'NO_INTENT_NOW', 1, 2, '',
    '{"cancelled": [],"currency":"CNY","days_in_stage": 0,"days_open": 0,"minor": 10000,"owner":"rep100","pipeline":"default","stage":"engaging","state": 1,"state_word":"OPEN","team":"north","won_at": null}',
    10000, 'CNY', 'bench', ?6, 0, 1, 0, ?5,
    '[[1,6,"customers/01a2143e-d767-70eb-bc8e-b5e1d75de959",["open_count","5","4","lost_count","0","1","open_amount","500.00 CNY","400.00 CNY","lost_amount","0","100.00 CNY","last_loss_time","","2026-11-25T19.46.46.616326Z"]]]',
    1, '[]');
INSERT INTO timeline (tenant_id, customer_id, timeline_id, happened_at, kind, record_kind, record_id, close_out_id, actor, text)
VALUES (?1, ?3, ?7, ?6, 'opportunity.closed_out', 2, ?2, ?4, 'bench', 'NO_INTENT_NOW@1');
INSERT INTO timeline (tenant_id, customer_id, timeline_id, happened_at, kind, record_kind, record_id, close_out_id, actor, text)
SELECT ?1, ?3, CAST(substr(?7, 1, 15) || x'00' AS BLOB), ?6, 'lifecycle.changed', 1, ?3, ?4, 'bench', 'ACTIVE -> LOST' FROM customer WHERE tenant_id = ?1 AND customer_id = ?3 AND open_count = 0;
INSERT INTO audit (tenant_id, audit_id, audited_at, actor, method, request_id, resource, version_before, version_after, state_before, state_after, close_out_id)
VALUES (?1, CAST(substr(?7, 1, 15) || x'01' AS BLOB), ?6, 'bench', 'CloseOutOpportunity', ?5, 'opportunities/01a2143e-d84d-74b2-a1af-18c61fb9ebc3', 1, 2, 'OPEN', 'CLOSED_OUT', ?4),
    (?1, CAST(substr(?7, 1, 15) || x'02' AS BLOB), ?6, 'bench', 'CloseOutOpportunity', ?5, 'customers/01a2143e-d767-70eb-bc8e-b5e1d75de959', 1, 2, 'ACTIVE', 'ACTIVE', ?4);
INSERT INTO idempotency (tenant_id, principal, method, request_id, fingerprint, reply, close_out_id, lane_kind, lane_id, number, answered_at)
VALUES (?1, 'bench', 'CloseOutOpportunity', ?5, x'79b0774f595e3674484930d9306d4abaaebcbb87040837231e9203daf4d4c1fa',
    x'0a326f70706f7274756e69746965732f30316132313433652d643834642d373462322d613161662d313863363166623965626333122030316132313433656438346437346232613161663138633631666239656263331a2e637573746f6d6572732f30316132313433652d643736372d373065622d626338652d623565316437356465393539220743616d657261732a03616e6e3a24706970656c696e65732f64656661756c742f7374616765732f70726f7370656374696e6740054a070a03434e591064620c0898f69cd80610f8e7c6b4026a0c0898f69cd80610f8e7c6b402720c0898f69cd80610f8e7c6b4027a0c08a6f69cd80610f0c6f1a50282012e636c6f73654f7574732f30316132313433662d306564662d373264632d623637372d64663432333836636336396192010c08a6f69cd80610f0c6f1a5029a0103223222',
    ?4, 2, ?2, 2, ?6);
INSERT INTO outbox (tenant_id, record_kind, record_id, number, message_id, payload, close_out_id, reversal, created_at, lease_until, attempts, parked, fault)
VALUES (?1, 2, ?2, 2, ?5,
    x'0a326f70706f7274756e69746965732f30316132313433652d643834642d373462322d613161662d313863363166623965626333122030316132313433656438346437346232613161663138633631666239656263331a2e637573746f6d6572732f30316132313433652d643736372d373065622d626338652d623565316437356465393539220743616d657261732a03616e6e3a24706970656c696e65732f64656661756c742f7374616765732f70726f7370656374696e6740054a070a03434e591064620c0898f69cd80610f8e7c6b402',
    ?4, 0, ?6, ?6 + 15000000, 0, 0, '');
-- then
INSERT INTO inbox (tenant_id, record_kind, record_id, number, message_id, hash, outcome, effects, received_at)
VALUES (?1, 2, ?2, 2, ?5, x'6fdf13847cdf746238e56e5e989ad57df5983aabbd7f24a88c5c2c96d4895d52', 1,
    '[[2,1,"tasks/01a2143e-d965-7471-9d0d-32f6b373305f",["","OPEN","CANCELLED"]],[2,1,"tasks/01a2143e-d9de-7732-9369-1de4b2d2b705",["","OPEN","CANCELLED"]],[2,1,"tasks/01a2143e-da6b-7266-949e-f07da02e2d3e",["","OPEN","CANCELLED"]],[2,6,"customers/01a2143e-d767-70eb-bc8e-b5e1d75de959",["deals_lost","0","1","last_close_out_time","","2026-11-25T19.46.46.616326Z"]]]',
    ?6);
UPDATE lane SET last_number = 2, state = 4, epoch = 1, close_out_id = ?4, closed_at = ?6, outcome = 1, class = 2, loss_at = ?6
WHERE tenant_id = ?1 AND record_kind = 2 AND record_id = ?2;
UPDATE task SET state = 4, prior_state = state, closed_by = ?4, updated_at = ?6, version = version + 1
WHERE tenant_id = ?1 AND root_kind = 2 AND root_id = ?2 AND state IN (1, 2);
UPDATE customer SET deals_lost = deals_lost + 1, last_close_out_at = ?6, updated_at = ?6, version = version + 1
WHERE tenant_id = ?1 AND customer_id = ?3;
INSERT INTO timeline (tenant_id, customer_id, timeline_id, happened_at, kind, record_kind, record_id, close_out_id, actor, text)
VALUES (?1, ?3, ?7, ?6, 'opportunity.closed_out', 2, ?2, ?4, 'bench', 'NO_INTENT_NOW@1');
INSERT INTO audit (tenant_id, audit_id, audited_at, actor, method, message_id, resource, version_before, version_after, state_before, state_after, close_out_id)
VALUES (?1, CAST(substr(?7, 1, 15) || x'03' AS BLOB), ?6, 'bench', 'Apply', ?5, 'tasks/01a2143e-d965-7471-9d0d-32f6b373305f', 1, 2, 'OPEN', 'CANCELLED', ?4),
    (?1, CAST(substr(?7, 1, 15) || x'04' AS BLOB), ?6, 'bench', 'Apply', ?5, 'tasks/01a2143e-d9de-7732-9369-1de4b2d2b705', 1, 2, 'OPEN', 'CANCELLED', ?4),
    (?1, CAST(substr(?7, 1, 15) || x'05' AS BLOB), ?6, 'bench', 'Apply', ?5, 'tasks/01a2143e-da6b-7266-949e-f07da02e2d3e', 1, 2, 'OPEN', 'CANCELLED', ?4),
    (?1, CAST(substr(?7, 1, 15) || x'06' AS BLOB), ?6, 'bench', 'Apply', ?5, 'customers/01a2143e-d767-70eb-bc8e-b5e1d75de959', 1, 2, '', '', ?4);
-- then
UPDATE close_out SET delivery_propagation = 2, delivery_outcome = 1,
    delivery_effects = '[[2,1,"tasks/01a2143e-d965-7471-9d0d-32f6b373305f",["","OPEN","CANCELLED"]],[2,1,"tasks/01a2143e-d9de-7732-9369-1de4b2d2b705",["","OPEN","CANCELLED"]],[2,1,"tasks/01a2143e-da6b-7266-949e-f07da02e2d3e",["","OPEN","CANCELLED"]],[2,6,"customers/01a2143e-d767-70eb-bc8e-b5e1d75de959",["deals_lost","0","1","last_close_out_time","","2026-11-25T19.46.46.616326Z"]]]'
WHERE tenant_id = ?1 AND close_out_id = ?4;
DELETE FROM outbox WHERE tenant_id = ?1 AND record_kind = 2 AND record_id = ?2 AND number = 2;
