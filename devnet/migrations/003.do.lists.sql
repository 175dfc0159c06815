-- Lists, newest first, a page at a time.

create index transaction_newest on transaction (kind, created_at desc, hash desc);
create index transaction_newest_of on transaction (author, kind, created_at desc, hash desc);
create index task_newest on task (queued_at desc, id desc);
create index deploy_prover on deploy (prover);
create index deploy_verifier on deploy (verifier);
