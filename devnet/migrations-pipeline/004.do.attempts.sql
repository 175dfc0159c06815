-- Which start of a task an answer is of: what an earlier one says after a later one began changes nothing.
alter table prove_task add column attempt int not null default 0;
-- It is in the queue, but nobody gets it before.
alter table prove_task add column not_before timestamptz;
-- Since when nodes answer nothing but BUSY.
alter table prove_task add column busy_since timestamptz;
-- A retry of a run gives its tasks new ids, under which no node knows an old answer.
alter table pipeline_attempt drop constraint pipeline_attempt_task_id_fkey;
alter table pipeline_attempt add constraint pipeline_attempt_task_id_fkey
  foreign key (task_id) references prove_task (id) on update cascade on delete cascade;
-- A retried run has its time once more from here on.
alter table stage_task add column retried_at timestamptz;
-- Stages of one database share one base folder, whose id this is.
alter table pipeline_stage add column base_id varchar(64);
