-- When Runs whose sender set a deadline are to have ended, at this node.
create table run_deadline (
  run varchar(64) primary key references transaction (hash) on delete cascade,
  ends_at timestamptz not null
);
