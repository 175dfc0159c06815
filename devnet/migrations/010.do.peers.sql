-- Peers of version 0 or 1 whose messages are too small for a transaction.
create table unreached_peer (
  tx varchar(64) not null references transaction (hash) on delete cascade,
  -- host:port
  peer text not null,
  bytes bigint not null,
  primary key (tx, peer)
);

-- When a task of another node was first heard of: a later report of it changes nothing in the order of the tasks.
alter table task_report add column heard_at timestamptz not null default now();
