-- What each look at the open work reads, and no more: however many tasks are done, or wait for others.

-- Can start and is not in the queue, in the order in which it enters it.
create index prove_task_releasable on prove_task (itype, proof_id, created_at, length(key), key)
  where status = 1 and not is_queued;
-- In the queue.
create index prove_task_queued on prove_task (itype) where status = 1 and is_queued;
-- In the queue or at a node.
create index prove_task_in_flight on prove_task (proof_id, itype) where status = 2 or (status = 1 and is_queued);
-- Of a run: what it still has to do.
create index prove_task_unfinished on prove_task (proof_id, status) where status <> 3;
-- The attempts that go on.
create index pipeline_attempt_open on pipeline_attempt (task_id) where finished_at is null;
drop index prove_task_open;
