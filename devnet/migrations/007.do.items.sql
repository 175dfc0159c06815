-- What peers may ask for, in an order in which it can be taken in: transactions, and reports of tasks. A place is drawn
-- before its commit, so what is read must be older than every transaction of the database that is still open.
create sequence item_place;
alter table transaction_bytes
  add column xact xid8 not null default pg_current_xact_id(),
  add column place bigint not null default nextval('item_place');
create index transaction_bytes_place on transaction_bytes (xact, place);

alter table task_report
  add column id varchar(64) not null unique,
  add column xact xid8 not null default pg_current_xact_id(),
  add column place bigint not null default nextval('item_place');
create index task_report_place on task_report (xact, place);
