-- Since when a task is in the queue: kinds of tasks take turns by it.
alter table prove_task add column queued_at timestamptz;
update prove_task set queued_at = updated_at where is_queued;
