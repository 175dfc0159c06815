-- What many nodes share: who they are, whose results count, what they report of their tasks.

create table known_node (
  public_key varchar(130) primary key,
  first_seen timestamptz not null default now(),
  last_seen timestamptz not null default now()
);

-- Runs that came while other nodes were there to run them. Any other Run is this node's alone, and ends with its tasks.
create table shared_run (
  run varchar(64) primary key references transaction (hash) on delete cascade,
  -- true: few nodes work, and only results of known nodes count; false: all nodes work, and all results count
  assigned boolean not null,
  -- nothing is to be decided any more
  settled boolean not null default false,
  failure jsonb,
  ended_at timestamptz
);
create index shared_run_open on shared_run (run) where not settled;

-- The last signed report of each task of each node.
create table task_report (
  author varchar(130) not null,
  task varchar(64) not null,
  run varchar(64) not null references transaction (hash) on delete cascade,
  sent_at timestamptz not null,
  status jsonb not null,
  bytes bytea not null,
  primary key (author, task)
);
create index task_report_run on task_report (run);

-- standby: another node's turn, for now
alter table task drop constraint task_state_check;
alter table task add constraint task_state_check check (state in ('standby', 'queued', 'running', 'done', 'failed'));

create view counted_proof as
  select p.tx, p.parent as run, p.prover, t.author, t.created_at
  from proof p join transaction t on t.hash = p.tx
  where not exists (select 1 from shared_run s where s.run = p.parent and s.assigned)
    or exists (select 1 from known_node k where k.public_key = t.author);

create view counted_verification as
  select v.tx, v.parent as proof, c.run, v.verifier, t.author, t.created_at
  from verification v join counted_proof c on c.tx = v.parent join transaction t on t.hash = v.tx
  where not exists (select 1 from shared_run s where s.run = c.run and s.assigned)
    or exists (select 1 from known_node k where k.public_key = t.author);
