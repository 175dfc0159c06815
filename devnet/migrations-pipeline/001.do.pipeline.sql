-- The proving service's state. Names and types of the first columns of each table are the existing service's (there in
-- MySQL); those below "ours" are added.

create table "user" (
  -- 40 hex digits, compared without case.
  address varchar(64) primary key,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table stage_task (
  id varchar(255) primary key,
  address varchar(64) not null,
  status int not null,
  step int not null,
  context text not null,
  result text,
  -- The last sign of life in seconds; of a finished run the milliseconds it took.
  check_at bigint not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- ours
  request_hash varchar(64) not null,
  shape jsonb not null,
  segments_known int not null default 0,
  segments_total int,
  total_steps bigint,
  priority int not null default 0,
  max_provers int not null default 0,
  deadline_at timestamptz,
  error text,
  result_hash varchar(64),
  finished_at timestamptz
);
create index stage_task_unfinished on stage_task (created_at) where finished_at is null;
create index stage_task_by_user on stage_task (address, created_at desc);

create table prove_task (
  id varchar(255) primary key,
  proof_id varchar(255) not null references stage_task (id) on delete cascade,
  -- split 1, prove 2, agg 3, snark 5; ours: single 6, verify 7.
  itype int not null,
  -- 0 waits for inputs, 1 can start, 2 runs, 3 done, 4 failed.
  status int not null,
  time_cost int,
  node_info varchar(255),
  content text not null,
  check_at bigint not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- ours
  key varchar(64) not null,
  needs text[] not null,
  input_hash varchar(64),
  output_hash varchar(64),
  output_bytes bigint,
  is_queued bool not null default false,
  stage_id varchar(64),
  failures int not null default 0,
  losses int not null default 0,
  not_on text[] not null default '{}',
  error text,
  started_at timestamptz,
  finished_at timestamptz,
  unique (proof_id, key)
);
create index prove_task_open on prove_task (itype, proof_id) where status in (1, 2);

create table pipeline_stage (
  id varchar(64) primary key,
  addr varchar(255) not null,
  seen_at timestamptz not null default now()
);

-- Every start of a task on a node, for `status` and for finding out who is to blame.
create table pipeline_attempt (
  id bigserial primary key,
  task_id varchar(255) not null references prove_task (id) on delete cascade,
  node varchar(255) not null,
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  outcome varchar(32),
  error text
);
create index pipeline_attempt_by_task on pipeline_attempt (task_id);
