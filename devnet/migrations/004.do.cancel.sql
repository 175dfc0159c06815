-- Which Runs were cancelled: their tasks are not begun, not even by a Proof that comes later.
create table cancel (
  tx varchar(64) primary key references transaction (hash) on delete cascade,
  run varchar(64) not null references transaction (hash) on delete cascade
);
create index cancel_run on cancel (run);
