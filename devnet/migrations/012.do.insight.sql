-- When what happened: getRunTrace. What came before the commit of a transaction is noted after it, and may be missing
-- where the node was killed in between.
create table transaction_times (
  tx varchar(64) primary key references transaction (hash) on delete cascade,
  run varchar(64) not null references transaction (hash) on delete cascade,
  -- host:port that it came from; null: a client, or this node
  peer text,
  received_at timestamptz not null,
  verified_at timestamptz not null,
  -- what it refers to was there
  ready_at timestamptz not null,
  fetched_at timestamptz not null,
  stored_at timestamptz not null,
  files integer not null
);
create index transaction_times_run on transaction_times (run);
create index transaction_times_age on transaction_times using brin (stored_at);

-- It was first this node's turn; null where it was from the beginning.
alter table task add column turn_at timestamptz;

alter table task_attempt
  -- QEMU, or the host process
  add column spawned_at timestamptz,
  -- over VSOCK
  add column task_taken_at timestamptz,
  add column result_at timestamptz,
  add column program_ended_at timestamptz,
  add column vm_ended_at timestamptz;
