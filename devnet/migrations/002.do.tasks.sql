-- What the contract's tables cannot hold: the transaction as it was signed, and what this node did about it.

create table transaction_bytes (
  hash varchar(64) primary key references transaction (hash) on delete cascade,
  -- bincode, protocol section 3
  bytes bytea not null
);

create table task (
  id varchar(32) primary key,
  run varchar(64) not null references transaction (hash) on delete cascade,
  step integer not null,
  kind text not null check (kind in ('proof', 'verification')),
  program varchar(64) not null references program (hash),
  -- the Proof that a verification task checks, or whose arrival made this step ready
  proof varchar(64) references transaction (hash) on delete cascade,
  state text not null default 'queued' check (state in ('queued', 'running', 'done', 'failed')),
  waits_for text,
  queued_at timestamptz not null default now(),
  ended_at timestamptz,
  result varchar(64) references transaction (hash),
  failure jsonb,
  unique nulls not distinct (run, step, proof)
);
create index task_open on task (queued_at) where state in ('queued', 'running');

create table task_attempt (
  task varchar(32) not null references task (id) on delete cascade,
  number integer not null,
  provider text not null,
  accelerator text not null,
  pid integer,
  image_checksum varchar(128) not null,
  queued_at timestamptz not null,
  started_at timestamptz not null default now(),
  booted_at timestamptz,
  program_started_at timestamptz,
  ended_at timestamptz,
  failure jsonb,
  console_tail text not null default '',
  primary key (task, number)
);
